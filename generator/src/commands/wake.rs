//! `doze wake NAME`, and what it shares with `doze hold`: to wake is to hold for a moment.

use std::time::Instant;

use camino::Utf8Path;
use doze_contract::{InstanceName, ProjectName, exit::Exit};
use serde_json::json;

use super::{Context, observed::Holder, status};
use crate::{
    awake::{self, Call, Hold, Wake},
    compile::starts_with_project,
    failure::Failure,
    output::print_json,
};

pub(super) fn run(context: &Context, name: &str, json: bool) -> Result<(), Failure> {
    let begin = Instant::now();
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).wake_socket;
    rearm_processes(context, &project, &[&instance])?;
    let hold = ready(name, call(name, &socket)?)?;
    if json {
        let waited = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answer = json!({ "name": name, "state": "ready", "waited_ms": waited });
        print_json(&answer).map_err(Failure::io("print"))?;
    }
    drop(hold);
    Ok(())
}

/// Readies those of these that start with their project for being woken by name. Of the others
/// nothing is asked, nor is the manager.
pub(super) fn rearm_processes(
    context: &Context,
    project: &ProjectName,
    instances: &[&InstanceName],
) -> Result<(), Failure> {
    let mut processes = Vec::new();
    for instance in instances {
        let plan = status::plan(context, project, instance)?;
        if plan.as_ref().is_some_and(starts_with_project) {
            processes.push(*instance);
        }
    }
    if processes.is_empty() {
        return Ok(());
    }
    match Holder::find(context, project)?.manager() {
        Some(manager) => Ok(manager.rearm(project, &processes)?),
        None => Ok(()),
    }
}

/// Wakes an instance, which has to be up.
pub(super) fn call(name: &str, socket: &Utf8Path) -> Result<Call, Failure> {
    let called = awake::call(socket).map_err(Failure::io(format!("wake `{name}`")))?;
    called.ok_or_else(|| not_up(name))
}

/// The failure of what needs an address that nobody holds.
pub(super) fn not_up(name: &str) -> Failure {
    Failure::Plain {
        message: format!("`{name}` is not up"),
        hint: Some("doze up".into()),
        exit: Exit::Failed,
    }
}

/// Waits until it is ready.
pub(super) fn ready(name: &str, call: Call) -> Result<Hold, Failure> {
    match call
        .answer()
        .map_err(Failure::io(format!("wake `{name}`")))?
    {
        Wake::Ready(hold) => Ok(hold),
        Wake::Failed(reason) => Err(Failure::Plain {
            message: format!("`{name}` does not wake: {reason}"),
            hint: Some(format!("doze logs {name}")),
            exit: Exit::Failed,
        }),
    }
}
