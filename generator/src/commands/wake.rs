//! `doze wake NAME`.

use super::Context;
use crate::{
    awake::{self, Wake},
    failure::Failure,
};

pub(super) fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).wake_socket;
    match awake::wake(&socket).map_err(Failure::io(format!("wake `{name}`")))? {
        Wake::Ready(_) => Ok(()),
        Wake::Failed(reason) => Err(Failure::Plain {
            message: format!("`{name}` does not wake: {reason}"),
            hint: Some(format!("doze logs {name}")),
            exit: doze_contract::exit::Exit::Failed,
        }),
        Wake::NotUp => Err(not_up(name)),
    }
}

pub(super) fn not_up(name: &str) -> Failure {
    Failure::Plain {
        message: format!("`{name}` is not up"),
        hint: Some("doze up".into()),
        exit: doze_contract::exit::Exit::Failed,
    }
}
