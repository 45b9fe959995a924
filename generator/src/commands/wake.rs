//! `doze wake NAME`, and what it shares with `doze hold`: to wake is to hold for a moment.

use camino::Utf8Path;
use doze_contract::exit::Exit;

use super::Context;
use crate::{
    awake::{self, Call, Hold, Wake},
    failure::Failure,
};

pub(super) fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).wake_socket;
    ready(name, call(name, &socket)?).map(drop)
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
