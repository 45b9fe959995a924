//! What the manager runs, against what is declared and what is on the disk.
//!
//! Must not know how a difference is carried out: `doze up` does that.

use std::collections::BTreeMap;

use camino::Utf8Path;
use doze_contract::Plan;
use doze_units::{Prefix, manager::UnitState};

use super::super::{Compiled, observed::Observed};
use crate::{
    changes::UnitAction,
    compile::starts_with_project,
    doctor::{Row, or_ok, quoted},
    failure::Failure,
    systemd::Systemd,
    tree::Area,
};

pub(super) fn rows(
    compiled: &Compiled,
    observed: &Observed,
    systemd: &Systemd,
    states: &BTreeMap<String, UnitState>,
) -> Result<Vec<Row>, Failure> {
    let prefix = Prefix::of(&compiled.project.name);
    let is_active = |unit: &String| states.get(unit).is_some_and(UnitState::is_active);
    let mut sockets = compiled.plans.iter();
    let is_up = is_active(&prefix.target())
        || sockets.any(|plan| is_active(&prefix.socket(&plan.instance)));
    let mut rows = failed(compiled, systemd, states)?;
    if !is_up && rows.is_empty() {
        return Ok(vec![Row::ok("units", "not up; `doze up` brings it up")]);
    }
    rows.extend(unread(systemd, states)?);
    rows.extend(drift(compiled, observed));
    for plan in &compiled.plans {
        let socket = prefix.socket(&plan.instance);
        if is_active(&socket) {
            let is_awake = observed.awake.contains_key(&plan.instance);
            rows.extend(unlinked(plan, &socket, is_awake));
        }
    }
    Ok(or_ok(rows, "units", "what runs is what doze.toml says"))
}

/// Units that failed. Of a service the next client tries again; a socket stays as it is, and so does
/// a process, whose socket systemd closes with its last try.
fn failed(
    compiled: &Compiled,
    systemd: &Systemd,
    states: &BTreeMap<String, UnitState>,
) -> Result<Vec<Row>, Failure> {
    let prefix = Prefix::of(&compiled.project.name);
    let mut found = Vec::new();
    let mut told = Vec::new();
    for plan in compiled
        .plans
        .iter()
        .filter(|plan| starts_with_project(plan))
    {
        let (name, service) = (&plan.instance, prefix.service(&plan.instance));
        let Some(state) = states.get(&service).filter(|state| state.is_failed()) else {
            continue;
        };
        let result = systemd.result(state)?;
        let detail = format!("{name} failed ({result}); `doze logs {name}` tells why");
        let socket = prefix.socket(name);
        let given_up = states.get(&socket).is_some_and(UnitState::is_failed);
        let fix = if given_up {
            "doze up".to_owned()
        } else {
            format!("doze restart {name}")
        };
        found.push(Row::fail("failed", detail).fix(fix));
        told.extend([service, socket]);
    }
    let failed = states.values().filter(|state| state.is_failed());
    for state in failed.filter(|state| !told.contains(&state.name)) {
        let (unit, result) = (&state.name, systemd.result(state)?);
        let forget = format!("systemctl --user reset-failed {}", quoted(unit));
        found.push(if unit.ends_with(".socket") {
            let detail = format!("{unit} failed ({result}), and nobody holds its addresses");
            Row::fail("failed", detail).fix(format!("{forget} && doze up"))
        } else {
            let detail = format!("{unit} failed ({result}); its next client tries again");
            Row::warn("failed", detail).fix(forget)
        });
    }
    Ok(found.into_iter().map(|row| row.harmless(true)).collect())
}

/// Units whose files changed since the manager read them.
fn unread(systemd: &Systemd, states: &BTreeMap<String, UnitState>) -> Result<Option<Row>, Failure> {
    let names = systemd.unread(states.values())?;
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
fn unlinked(plan: &Plan, socket: &str, is_awake: bool) -> Option<Row> {
    let public = plan.init_sockets.iter();
    let public = public.flat_map(|socket| [socket.path.as_path(), socket.public.as_path()]);
    let mut paths = public.chain([plan.paths.wake_socket.as_path()]);
    let is_there = |path: &&Utf8Path| path.exists();
    let gone = paths.find(|path| !is_there(path))?;
    let row = Row::fail("sockets", format!("{socket} listens, and {gone} is gone"));
    let fix = format!("systemctl --user restart {}", quoted(socket));
    Some(row.fix(fix).harmless(!is_awake))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}
