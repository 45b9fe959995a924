//! One project: its file, its pins, its addresses, its data.
//!
//! Must not know how units are looked at.

use std::process::Command;

use doze_contract::{Endpoint, InstanceName, Plan, error::chain};
use doze_registry::lock::FileLock;

use super::{
    super::{
        Compiled, Context,
        observed::{Holder, Observed},
        status, up,
    },
    failed, programs, rows_of, units,
};
use crate::{
    config::File,
    doctor::{Row, or_ok, pid_of, quoted},
    failure::Failure,
    manager::{Manager, Units},
    names::Names,
    ports::{self, BusyError},
    registered::{self, Registration},
    supply::{Reach, Supply},
    tree::Area,
};

/// Everything about the project of this file.
pub(super) fn rows(context: &Context, file: &File, manager: Option<&dyn Manager>) -> Vec<Row> {
    let mut rows = programs::store(context, Some(file));
    let mut can_compile = true;
    match context.drivers() {
        Ok(drivers) => {
            let found = programs::drivers(&drivers, file);
            can_compile = found.iter().all(|row| row.fix.is_none() && is_ok(row));
            rows.extend(found);
            rows.extend(programs::toolchains(&drivers, file));
        }
        Err(failure) => rows.push(failed("drivers", &failure)),
    }
    rows.extend(rows_of("data", orphaned(context, file)));
    rows.extend(rows_of("registered", strays(context)));
    if !can_compile {
        return rows;
    }
    let compiled = context.draft(Reach::Pinned).and_then(|(compiled, supply)| {
        let project = &compiled.project;
        up::refuse_taken_name(context, &project.name, &project.source)?;
        Ok((compiled, supply))
    });
    match compiled {
        Ok((compiled, supply)) => {
            let well = format!("{} compiles", compiled.project.source);
            rows.push(Row::ok("config", well));
            rows.extend(lock_file(supply));
            rows.extend(launchers(&compiled));
            rows.extend(rows_of("units", installed(context, &compiled, manager)));
        }
        Err(failure) => rows.push(failed("config", &failure)),
    }
    rows
}

fn is_ok(row: &Row) -> bool {
    row.state == crate::doctor::State::Ok
}

/// What is installed of the project, and what runs.
fn installed(
    context: &Context,
    compiled: &Compiled,
    manager: Option<&dyn Manager>,
) -> Result<Vec<Row>, Failure> {
    let project = &compiled.project.name;
    let holder = Holder::find(context, project)?;
    let ours = matches!(holder, Holder::Manager(_));
    let manager = manager.filter(|_| ours);
    let observed = Observed::read(context, compiled, manager)?;
    let found = match manager {
        Some(manager) => manager.units(project)?,
        None => Units::new(),
    };
    let called = Names::of(context.dirs.init, project);
    let listens = matches!(holder, Holder::Listener);
    let is_bound = |name: &InstanceName| {
        let socket = found.get(&called.socket(name));
        listens || socket.is_some_and(|socket| socket.is_active())
    };
    let mut rows = ports(compiled, is_bound);
    rows.extend(locks(compiled, &observed));
    rows.extend(generator(context, compiled));
    match manager {
        Some(manager) => rows.extend(units::rows(compiled, &observed, &called, manager, &found)?),
        None if listens => rows.push(Row::ok("units", "another terminal holds the addresses")),
        None => rows.push(Row::ok("units", "without a manager there are none")),
    }
    Ok(rows)
}

/// The addresses that nobody holds for the project can be had.
fn ports(compiled: &Compiled, is_bound: impl Fn(&InstanceName) -> bool) -> Vec<Row> {
    let mut found = Vec::new();
    for plan in compiled
        .plans
        .iter()
        .filter(|plan| !is_bound(&plan.instance))
    {
        for endpoint in plan.addresses() {
            if let Err(error) = ports::check(endpoint, plan.init_socket(endpoint)) {
                found.push(taken(plan, endpoint, &error));
            }
        }
    }
    let all = compiled.plans.iter().map(|plan| plan.addresses().count());
    let well = format!(
        "nobody else has one of the {} addresses",
        all.sum::<usize>()
    );
    or_ok(found, "ports", well)
}

fn taken(plan: &Plan, endpoint: &Endpoint, error: &BusyError) -> Row {
    let detail = format!("{}: {}", plan.instance, chain(error));
    match (error, endpoint) {
        (BusyError::Taken { holder, .. }, _) => held_by(holder.as_deref(), detail),
        (BusyError::NotASocket(_), Endpoint::Unix(path)) => {
            let (from, to) = (quoted(path), quoted(format!("{path}.old")));
            Row::fail("ports", detail).fix(format!("mv {from} {to}"))
        }
        _ => Row::fail("ports", detail),
    }
}

/// A manager holds the sockets of its units, and everything else of a user: nobody is told to end
/// that.
fn held_by(holder: Option<&str>, detail: String) -> Row {
    if holder.is_some_and(|holder| holder.starts_with("systemd ") || holder.starts_with("launchd "))
    {
        let look = "`systemctl list-sockets` tells for which unit, with --user for one of yours";
        return Row::fail("ports", format!("{detail}; {look}"));
    }
    let row = Row::fail("ports", detail);
    match holder.and_then(pid_of) {
        Some(pid) => row.fix(format!("kill {pid}")),
        None => row,
    }
}

/// Who has the data of an instance that is asleep keeps it from waking.
fn locks(compiled: &Compiled, observed: &Observed) -> Vec<Row> {
    let asleep = compiled.plans.iter();
    let asleep = asleep.filter(|plan| !observed.awake.contains_key(&plan.instance));
    let held = asleep.filter_map(|plan| {
        let holder = FileLock::holder(&plan.paths.lock)?;
        // An activator that boots or leaves has not its status socket, and is soon done.
        if holder.starts_with("doze-activator ") {
            return None;
        }
        let detail = format!("{} is asleep, and {holder} has its data", plan.instance);
        let row = Row::fail("locks", detail);
        Some(match pid_of(&holder) {
            Some(pid) => row.fix(format!("kill {pid}")),
            None => row,
        })
    });
    or_ok(
        held.collect(),
        "locks",
        "nobody has the data of what is asleep",
    )
}

/// Engines that are started by another program need that to work here.
fn launchers(compiled: &Compiled) -> Option<Row> {
    let launchers = compiled.plans.iter().map(|plan| &plan.launcher);
    let launcher = launchers.into_iter().find(|words| !words.is_empty())?;
    let (program, arguments) = launcher.split_first()?;
    let tried = Command::new(program).args(arguments).arg("true").status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(Row::ok("namespaces", format!("{program} works")));
    }
    let detail = format!(
        "`{} true` fails, and engines are started by it",
        launcher.join(" ")
    );
    let fix = "sudo sysctl -w user.max_user_namespaces=10000";
    Some(Row::fail("namespaces", detail).fix(fix))
}

/// `doze.lock` says what the file is resolved to.
fn lock_file(mut supply: Supply) -> Vec<Row> {
    let path = supply.lock().to_owned();
    let row = if supply.is_outdated() {
        let detail = format!("{path} does not say what doze.toml is resolved to");
        Row::warn("lock", detail).fix("doze lock").harmless(true)
    } else {
        Row::ok("lock", "doze.lock is as doze.toml wants it")
    };
    vec![row]
}

/// Data of instances that are no longer declared.
fn orphaned(context: &Context, file: &File) -> Result<Vec<Row>, Failure> {
    let paths = status::orphaned(context, file)?.into_iter();
    let found = paths.map(|path| {
        let row = Row::warn("data", format!("no instance owns {path}"));
        row.fix("doze apply --yes --prune")
    });
    Ok(or_ok(
        found.collect(),
        "data",
        "every data directory has its instance",
    ))
}

/// Registrations of projects that are gone.
fn strays(context: &Context) -> Result<Vec<Row>, Failure> {
    let cannot = || Failure::io("list registered projects");
    let mut found = Vec::new();
    let files = registered::all(&context.dirs).map_err(cannot())?;
    for file in &files {
        let detail = match Registration::read(file) {
            Ok(registration) if registration.source.is_file() => continue,
            Ok(registration) => format!("{} is registered, and gone", registration.source),
            Err(error) => format!("{file} cannot be read: {error}"),
        };
        found.push(Row::warn("registered", detail).fix(format!("rm {}", quoted(file))));
    }
    Ok(or_ok(
        found,
        "registered",
        format!("{} projects", files.len()),
    ))
}

/// A registered project has its units from the generator.
fn generator(context: &Context, compiled: &Compiled) -> Option<Row> {
    let project = &compiled.project;
    registered::find(&context.dirs, &project.source)?;
    let units = context.roots(project).of(Area::Units).to_owned();
    let target = units.join(doze_units::Prefix::of(&project.name).target());
    Some(if target.is_file() {
        Row::ok("generator", "doze-generator makes the units")
    } else {
        let detail = format!("doze-generator has not made {target}; the manager does not find it");
        Row::fail("generator", detail).fix("doze down --unregister && doze up")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_kill_a_manager() {
        let fix = |holder| held_by(Some(holder), "taken".into()).fix;
        assert_eq!(fix("python3 (pid 27)").as_deref(), Some("kill 27"));
        for holder in ["systemd (pid 27)", "systemd (pid 1)"] {
            assert_eq!(fix(holder), None, "{holder}");
        }
        assert_eq!(fix("a process of another user"), None);
    }
}
