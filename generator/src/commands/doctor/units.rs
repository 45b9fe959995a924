//! What the manager runs, against what is declared and what is on the disk.
//!
//! Must not know how a difference is carried out: `doze up` does that.

use camino::Utf8Path;
use doze_contract::Plan;

use super::super::{Compiled, observed::Observed};
use crate::{
    changes::UnitAction,
    compile::starts_with_project,
    dirs::Init,
    doctor::{Row, or_ok, quoted},
    failure::Failure,
    manager::{Manager, Units},
    names::Names,
    tree::Area,
};

pub(super) fn rows(
    compiled: &Compiled,
    observed: &Observed,
    called: &Names,
    manager: &dyn Manager,
    found: &Units,
) -> Result<Vec<Row>, Failure> {
    let is_active = |unit: &String| found.get(unit).is_some_and(|unit| unit.is_active());
    let mut sockets = compiled.plans.iter();
    let is_up = called.target().as_ref().is_some_and(is_active)
        || sockets.any(|plan| is_active(&called.socket(&plan.instance)));
    let mut rows = failed(compiled, called, manager, found)?;
    if !is_up && rows.is_empty() {
        return Ok(vec![Row::ok("units", "not up; `doze up` brings it up")]);
    }
    rows.extend(unread(manager, found)?);
    rows.extend(drift(compiled, observed));
    for plan in &compiled.plans {
        let socket = called.socket(&plan.instance);
        if is_active(&socket) {
            let is_awake = observed.awake.contains_key(&plan.instance);
            rows.extend(unlinked(plan, &socket, manager.init(), is_awake));
        }
    }
    Ok(or_ok(rows, "units", "what runs is what doze.toml says"))
}

/// Units that failed. Of a service the next client tries again; a socket stays as it is, and so does
/// a process, whose socket systemd closes with its last try.
fn failed(
    compiled: &Compiled,
    called: &Names,
    manager: &dyn Manager,
    found: &Units,
) -> Result<Vec<Row>, Failure> {
    let is_failed = |unit: &String| found.get(unit).is_some_and(|unit| unit.is_failed());
    let mut rows = Vec::new();
    let mut told = Vec::new();
    for plan in compiled
        .plans
        .iter()
        .filter(|plan| starts_with_project(plan))
    {
        let (name, service) = (&plan.instance, called.service(&plan.instance));
        if !is_failed(&service) {
            continue;
        }
        let result = manager.result(&service)?;
        let detail = format!("{name} failed ({result}); `doze logs {name}` tells why");
        let socket = called.socket(name);
        let fix = if is_failed(&socket) {
            "doze up".to_owned()
        } else {
            format!("doze restart {name}")
        };
        rows.push(Row::fail("failed", detail).fix(fix));
        told.extend([service, socket]);
    }
    let failed = found.keys().filter(|unit| is_failed(unit));
    for unit in failed.filter(|unit| !told.contains(unit)) {
        let result = manager.result(unit)?;
        let forget = match manager.init() {
            Init::Launchd => None,
            Init::Systemd | Init::Foreground => {
                Some(format!("systemctl --user reset-failed {}", quoted(unit)))
            }
        };
        rows.push(match forget {
            Some(forget) if called.stem(unit).is_some() => {
                let detail = format!("{unit} failed ({result}), and nobody holds its addresses");
                Row::fail("failed", detail).fix(format!("{forget} && doze up"))
            }
            forget => {
                let detail = format!("{unit} failed ({result}); its next client tries again");
                let row = Row::warn("failed", detail);
                match forget {
                    Some(forget) => row.fix(forget),
                    None => row,
                }
            }
        });
    }
    Ok(rows.into_iter().map(|row| row.harmless(true)).collect())
}

/// Units whose files changed since the manager read them.
fn unread(manager: &dyn Manager, found: &Units) -> Result<Option<Row>, Failure> {
    let all: Vec<_> = found.keys().cloned().collect();
    let names = manager.unread(&all)?;
    if names.is_empty() {
        return Ok(None);
    }
    let detail = format!("the manager has not read again: {}", names.join(", "));
    let row = Row::fail("reload", detail);
    Ok(Some(
        row.fix("systemctl --user daemon-reload").harmless(true),
    ))
}

/// Files that are not what `doze.toml` compiles to, and units that do not run as it says.
fn drift(compiled: &Compiled, observed: &Observed) -> Vec<Row> {
    let decision = observed.decide(compiled, &[]);
    let (changes, restarts) = decision.map_or_else(Default::default, |decision| {
        (decision.units(), decision.restarts(&observed.awake))
    });
    // `doze up` stops what is awake and goes by old files: that is for the user to say.
    let mend = |row: Row| row.fix("doze up").harmless(restarts.is_empty());
    let mut rows = Vec::new();
    for (area, name) in [
        (Area::Units, "units"),
        (Area::Plans, "plans"),
        (Area::Project, "endpoints"),
    ] {
        let files = observed.steps.iter().map(crate::tree::Step::place);
        let files: Vec<_> = files.filter(|place| place.0 == area).collect();
        if let Some(list) = list(files.iter().map(|place| place.1.as_str())) {
            let missing = files
                .iter()
                .filter(|place| !observed.roots.of(area).join(&place.1).exists());
            let detail = match missing.count() {
                0 => format!("not what doze.toml compiles to: {list}"),
                missing => format!("not what doze.toml compiles to ({missing} missing): {list}"),
            };
            rows.push(mend(Row::fail(name, detail)));
        }
    }
    let of = |wanted: UnitAction| changes.iter().filter(move |change| change.action == wanted);
    for (action, name, what) in [
        (UnitAction::Start, "sockets", "should be up and are not"),
        (
            UnitAction::Restart,
            "sockets",
            "were started with other settings",
        ),
        (UnitAction::Stop, "sockets", "are up and no longer declared"),
        (
            UnitAction::Enable,
            "enabled",
            "does not come up with the next login",
        ),
    ] {
        if let Some(list) = list(of(action).map(|change| change.unit.as_str())) {
            rows.push(mend(Row::fail(name, format!("{list}: {what}"))));
        }
    }
    if rows.is_empty() && !restarts.is_empty() {
        let names = restarts.iter().map(|restart| restart.instance.as_str());
        let list = list(names).unwrap_or_default();
        rows.push(mend(Row::fail(
            "sockets",
            format!("{list}: awake by an old plan"),
        )));
    }
    rows
}

/// An active socket whose path is gone: nobody can find it any more.
fn unlinked(plan: &Plan, socket: &str, init: Init, is_awake: bool) -> Option<Row> {
    let public = plan.init_sockets.iter();
    let public = public.flat_map(|socket| [socket.path.as_path(), socket.public.as_path()]);
    let mut paths = public.chain([plan.paths.wake_socket.as_path()]);
    let is_there = |path: &&Utf8Path| path.exists();
    let gone = paths.find(|path| !is_there(path))?;
    let row = Row::fail("sockets", format!("{socket} listens, and {gone} is gone"));
    let fix = match init {
        Init::Launchd => "doze down && doze up".to_owned(),
        Init::Systemd | Init::Foreground => {
            format!("systemctl --user restart {}", quoted(socket))
        }
    };
    Some(row.fix(fix).harmless(!is_awake))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}
