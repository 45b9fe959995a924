//! `doze sleep NAME`.

use super::Context;
use crate::{awake, failure::Failure};

/// Stops the engine. That it sleeps already is as good.
pub(super) fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).status_socket;
    awake::sleep(&socket)
        .map_err(Failure::io(format!("stop `{name}`")))
        .map(drop)
}
