//! `doze wake NAME`, and what it shares with `doze hold`: to wake is to hold for a moment.

use std::slice;

use camino::Utf8Path;
use doze_contract::{InstanceName, ProjectName, exit::Exit};
use doze_units::{Prefix, manager::UnitState};

use super::{Context, observed::Holder, status};
use crate::{
    awake::{self, Call, Hold, Wake},
    compile::starts_with_project,
    failure::Failure,
};

pub(super) fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).wake_socket;
    rearm(context, &project, &instance)?;
    ready(name, call(name, &socket)?).map(drop)
}

/// Has the manager forget how often an instance that starts with its project was started, for this
/// is no retry: at the limit the wake socket is closed, and before it a start would wait until the
/// next retry is due.
fn rearm(context: &Context, project: &ProjectName, instance: &InstanceName) -> Result<(), Failure> {
    let plan = status::plan(context, project, instance)?;
    if !plan.as_ref().is_some_and(starts_with_project) {
        return Ok(());
    }
    let holder = Holder::find(context, project)?;
    let Some(systemd) = holder.systemd() else {
        return Ok(());
    };
    let prefix = Prefix::of(project);
    let states = systemd.states(project)?;
    let target = states.get(&prefix.target());
    if target.is_some_and(UnitState::is_active) {
        let service = prefix.service(instance);
        let waits = |state: &UnitState| state.sub == "auto-restart";
        if states.get(&service).is_some_and(waits) {
            systemd.stop(slice::from_ref(&service))?;
        }
        systemd.forget(&[service])?;
        systemd.start(&[prefix.socket(instance)])?;
    }
    Ok(())
}

/// Wakes an instance, which has to be up.
pub(super) fn call(name: &str, socket: &Utf8Path) -> Result<Call, Failure> {
    let called = awake::call(socket).map_err(Failure::io(format!("wake `{name}`")))?;
    called.ok_or_else(|| Failure::Plain {
        message: format!("`{name}` is not up"),
        hint: Some("doze up".into()),
        exit: Exit::Failed,
    })
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
