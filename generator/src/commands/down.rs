//! `doze down`.

use super::{Context, up};
use crate::{
    failure::Failure,
    foreground,
    systemd::{self, Systemd},
};

/// Takes the sockets away and stops what is awake. That there is nothing to stop is as good.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let project = context.project_name()?;
    let control = context.control(&project);
    if foreground::down(&control).map_err(Failure::io("stop the listener in the foreground"))? {
        return Ok(());
    }
    let _lock = up::lock(context, &project)?;
    systemd::disable(&context.dirs.units, &project).map_err(Failure::io("disable the target"))?;
    if let Some(systemd) = Systemd::connect()? {
        systemd.down(&project)?;
    }
    up::forget_applied(context, &project)
}
