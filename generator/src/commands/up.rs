//! `doze up`: from what is installed and running to what `doze.toml` says, by the fewest steps.

mod applied;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use doze_contract::{InstanceName, Plan, ProjectName, error::chain, exit::Exit};
use doze_units::{Prefix, manager::UnitState};

use self::applied::Applied;
use super::{Compiled, Context, register};
use crate::{
    compile::plan_name,
    config::Project,
    dirs::SOURCE,
    failure::Failure,
    file_lock::{self, FileLock},
    foreground::{self, Foreground},
    fsx, limits,
    output::{complain, print_lines},
    ports, registered,
    supply::Reach,
    systemd::{self, Systemd},
    tree::{self, Area, Installed, Roots, Step},
};

pub(super) fn run(context: &Context, names: &[String], foreground: bool) -> Result<(), Failure> {
    let compiled = context.compile(Reach::Registries)?;
    let names = &wanted(&compiled, names)?;
    let project = &compiled.project.name;
    if foreground::is_running(&context.control(project)) {
        return Err(Failure::Plain {
            message: format!("{project} is up in the foreground of another terminal"),
            hint: Some("stop it there with Ctrl-C, or with `doze down`".into()),
            exit: Exit::Failed,
        });
    }
    match Systemd::connect()? {
        Some(systemd) if !foreground => under_systemd(context, &compiled, names, &systemd),
        found => in_foreground(context, compiled, names, found.is_none() && !foreground),
    }
}

/// The instances of these names with all that they depend on; none means all.
fn wanted(compiled: &Compiled, names: &[String]) -> Result<Vec<InstanceName>, Failure> {
    let plans = names.iter().map(|name| compiled.plan(name));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let names = plans.into_iter().map(|plan| &plan.instance);
    let all = compiled.project.with_dependencies(names);
    Ok(all.into_iter().cloned().collect())
}

/// Refuses a project whose name, and so whose units and data, belong to another `doze.toml` that
/// is still there.
pub(super) fn refuse_taken_name(context: &Context, project: &Project) -> Result<(), Failure> {
    let owner = context.dirs.plans(&project.name).join(SOURCE);
    let read = fsx::read(&owner).map_err(Failure::io(format!("read {owner}")))?;
    match read.as_deref().map(str::trim_end) {
        Some(other) if other != project.source && Utf8Path::new(other).is_file() => {
            Err(Failure::NameTaken {
                name: project.name.to_string(),
                other: other.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// One command at a time works on a project.
pub(super) fn lock(context: &Context, project: &ProjectName) -> Result<FileLock, Failure> {
    Ok(file_lock::lock(
        &context.dirs.project(project).join("lock"),
    )?)
}

/// Forgets what was applied: nothing of it runs any more.
pub(super) fn forget_applied(context: &Context, project: &ProjectName) -> Result<(), Failure> {
    Applied::forget(&context.dirs.sockets(project)).map_err(Failure::io("forget what was applied"))
}

fn in_foreground(
    context: &Context,
    compiled: Compiled,
    names: &[InstanceName],
    no_manager: bool,
) -> Result<(), Failure> {
    let project = compiled.project.name.clone();
    refuse_taken_name(context, &compiled.project)?;
    // Whatever the manager is to do, this listener goes by plans of its own.
    let roots = Roots {
        generated: false,
        ..context.roots(&compiled.project)
    };
    // The lock is for writing only: other commands go on working while the listener runs.
    let lock = lock(context, &project)?;
    registered::unlink_plans(&context.dirs, &project)
        .map_err(Failure::io("make room for plans"))?;
    for step in tree::converge(&compiled.tree, &compiled.installed(&roots)?) {
        if step.place().0 != Area::Units {
            write(&compiled, &roots, &step)?;
        }
    }
    drop(lock);
    let named = compiled.plans.iter().map(|plan| &plan.instance);
    let named = named.filter(|name| names.is_empty() || names.contains(name));
    limits::tell(&compiled.project, &compiled.tree, &named.collect(), None)?;
    let wanted = |plan: &Plan| names.is_empty() || names.contains(&plan.instance);
    let plans: Vec<_> = compiled.plans.into_iter().filter(wanted).collect();
    let mut lines = Vec::new();
    if no_manager {
        lines.push("no systemd user manager here, so this process holds the sockets".into());
    }
    for plan in &plans {
        lines.push(line(plan, "listening"));
    }
    lines.push("Ctrl-C stops everything".into());
    let instances = plans
        .into_iter()
        .map(|plan| {
            (
                context.dirs.plans(&project).join(plan_name(&plan.instance)),
                plan,
            )
        })
        .map(|(path, plan)| (plan, path))
        .collect();
    let foreground = Foreground {
        activator: compiled.host.activator(),
        instances,
        control: context.control(&project),
    };
    Ok(foreground.run(|| drop(print_lines(&lines)))?)
}

fn under_systemd(
    context: &Context,
    compiled: &Compiled,
    names: &[InstanceName],
    systemd: &Systemd,
) -> Result<(), Failure> {
    let project = &compiled.project.name;
    let prefix = Prefix::of(project);
    refuse_taken_name(context, &compiled.project)?;
    let _lock = lock(context, project)?;
    let roots = context.roots(&compiled.project);
    let installed = compiled.installed(&roots)?;
    let steps = tree::converge(&compiled.tree, &installed);
    let states = systemd.states(project)?;
    let folder = context.dirs.sockets(project);
    let applied =
        Applied::read(&folder, &compiled.tree).map_err(Failure::io("read what was applied"))?;

    // An address that cannot be had is known before anything is touched for it.
    let changes = decide(&compiled.plans, names, &states, &steps, &applied);
    let (changes, mut failed) = possible(changes, &installed);

    // A unit has to be stopped while its file, its plan, and what they say are still there.
    let gone: Vec<String> = removed_units(&steps).map(ToOwned::to_owned).collect();
    let loaded = gone.iter().filter(|unit| states.contains_key(*unit));
    let rebound = changes.iter().flat_map(|change| &change.stop);
    let stop: Vec<_> = loaded.chain(rebound).cloned().collect();
    if roots.generated && !steps.is_empty() {
        register::try_out(context, compiled, systemd)?;
    }
    systemd.stop(&stop)?;
    for step in &steps {
        write(compiled, &roots, step)?;
    }
    let units_changed = steps.iter().any(|step| step.place().0 == Area::Units);
    let reload = units_changed || roots.generated && !steps.is_empty();
    let reload = reload || !states.contains_key(&prefix.target());
    if reload {
        systemd.reload()?;
    }
    if roots.generated {
        register::settle(context, compiled, systemd, reload)?;
    }
    // Whoever connects to a socket that goes on listening from now on meets the new plan. Who came
    // a moment ago may have woken the old one.
    let states = systemd.states(project)?;
    let running = |unit: &&String| states.get(*unit).is_some_and(UnitState::is_running);
    let outdated = changes.iter().filter_map(|change| change.outdated.as_ref());
    let outdated: Vec<String> = outdated.filter(running).cloned().collect();
    systemd.end(&outdated)?;

    let started = || {
        changes
            .iter()
            .filter(|change| change.start)
            .map(|change| change.plan)
    };
    let mut start: Vec<_> = started()
        .map(|plan| prefix.socket(&plan.instance))
        .collect();
    let whole = names.is_empty() && failed.is_empty();
    if whole
        && !states
            .get(&prefix.target())
            .is_some_and(UnitState::is_active)
    {
        start.push(prefix.target());
    }
    failed.extend(systemd.start(&start)?.iter().map(ToString::to_string));
    if whole && failed.is_empty() && !roots.generated {
        systemd::enable(&context.dirs.units, project).map_err(Failure::io("enable the target"))?;
    }
    if failed.is_empty() {
        applied
            .record(&folder)
            .map_err(Failure::io("record what was applied"))?;
    }

    let mut lines = Vec::new();
    for unit in gone.iter().filter_map(|unit| unit.strip_suffix(".socket")) {
        lines.push(format!(
            "{unit} is no longer declared and is gone; its data stays"
        ));
    }
    let ended = |unit: &String| outdated.contains(unit);
    let stopped = changes
        .iter()
        .filter(|change| change.stops_engine || change.outdated.as_ref().is_some_and(ended));
    lines.extend(stopped.map(|c| format!("{}: stopped for its new settings", c.plan.instance)));
    lines.extend(started().map(|plan| line(plan, "systemd listens")));
    print_lines(&lines).map_err(Failure::io("print"))?;
    let touched = changes
        .iter()
        .filter(|change| change.start || change.outdated.is_some());
    let touched = touched.map(|change| &change.plan.instance).collect();
    limits::tell(&compiled.project, &compiled.tree, &touched, Some(systemd))?;
    for reason in &failed {
        complain(format_args!("error: {reason}\n"));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

/// What has to be done for one instance, so that what runs is what is installed.
#[derive(Debug)]
struct Change<'a> {
    plan: &'a Plan,
    /// Units to stop before their files are replaced.
    stop: Vec<String>,
    /// An awake engine is among them.
    stops_engine: bool,
    /// The service behind a socket that goes on listening, which goes by old files if it runs.
    outdated: Option<String>,
    /// The socket has to be started.
    start: bool,
    /// The socket is bound now, to the addresses of the plan that is installed.
    bound: bool,
}

fn decide<'a>(
    plans: &'a [Plan],
    names: &[InstanceName],
    states: &BTreeMap<String, UnitState>,
    steps: &[Step],
    applied: &Applied,
) -> Vec<Change<'a>> {
    let touched: BTreeSet<&str> = steps.iter().map(|step| step.place().1.as_str()).collect();
    let is_active = |unit: &str| states.get(unit).is_some_and(UnitState::is_active);
    // Whoever started the units may not have left a record; then it is the files that tell.
    let changed = |unit: &str, plan: &str| {
        let by_file = touched.contains(unit) || touched.contains(plan);
        applied.differs(unit, plan).unwrap_or(by_file)
    };
    let change = |plan: &'a Plan| {
        let prefix = Prefix::of(&plan.project);
        let (socket, service) = (
            prefix.socket(&plan.instance),
            prefix.service(&plan.instance),
        );
        let bound = is_active(&socket);
        // A manager that has loaded a damaged socket unit has let go of its addresses.
        let damaged = touched.contains(socket.as_str());
        let rebind = bound && (damaged || changed(&socket, &socket));
        let restart = rebind || changed(&service, &plan_name(&plan.instance));
        // A boot that fails again and again goes by the old plan, too.
        let running = states.get(&service).is_some_and(UnitState::is_running);
        let stops_engine = running && rebind;
        let wanted = names.is_empty() || names.contains(&plan.instance);
        let outdated = (restart && !rebind).then(|| service.clone());
        // Once the socket is gone, no client can have the service started again.
        let stop = [(socket, rebind), (service, stops_engine)];
        Change {
            plan,
            stop: stop
                .into_iter()
                .filter_map(|(unit, stop)| stop.then_some(unit))
                .collect(),
            stops_engine,
            outdated,
            start: rebind || (wanted && !bound),
            bound,
        }
    };
    plans.iter().map(change).collect()
}

/// The changes whose addresses can be had, and why the others cannot. Of a socket that is bound,
/// only the new addresses are in question.
fn possible<'a>(changes: Vec<Change<'a>>, installed: &Installed) -> (Vec<Change<'a>>, Vec<String>) {
    let (mut possible, mut failed) = (Vec::new(), Vec::new());
    for change in changes {
        let old = installed.text(Area::Plans, &plan_name(&change.plan.instance));
        let old: Option<Plan> = old.and_then(|text| serde_json::from_str(text).ok());
        let held = old
            .filter(|_| change.bound)
            .map(|plan| plan.endpoints)
            .unwrap_or_default();
        let mut new = change
            .plan
            .endpoints
            .iter()
            .filter(|endpoint| !held.contains(endpoint));
        let check = |endpoint| ports::check(endpoint, change.plan.init_socket(endpoint));
        match new.try_for_each(check) {
            Err(error) if change.start => {
                failed.push(format!("{}: {}", change.plan.instance, chain(&error)));
            }
            _ => possible.push(change),
        }
    }
    (possible, failed)
}

fn removed_units(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Remove((Area::Units, name)) => Some(name.as_str()),
        Step::Add(_) | Step::Change(_) | Step::Remove(_) => None,
    })
}

fn write(compiled: &Compiled, roots: &Roots, step: &Step) -> Result<(), Failure> {
    let (area, name) = step.place();
    if roots.generated && *area != Area::Project {
        return Ok(());
    }
    tree::apply(&compiled.tree, roots, step)
        .map_err(Failure::io(format!("write {}", roots.of(*area).join(name))))
}

fn line(plan: &Plan, what: &str) -> String {
    let places: Vec<_> = plan.endpoints.iter().map(ToString::to_string).collect();
    format!(
        "{} ({}): {what} on {}",
        plan.instance,
        plan.engine,
        places.join(", ")
    )
}
