//! `doze down`.

use doze_contract::ProjectName;
use serde_json::json;

use super::{Context, observed, up};
use crate::{
    failure::Failure,
    foreground,
    output::print_json,
    systemd::{self, Systemd},
};

/// Takes the sockets away and stops what is awake. That there is nothing to stop is as good.
pub(super) fn run(context: &Context, json: bool) -> Result<(), Failure> {
    let project = context.project_name()?;
    let awake = observed::awake(context, &project)?;
    stop(context, &project)?;
    if json {
        let stopped: Vec<_> = awake.keys().collect();
        let answer = json!({ "project": project, "stopped": stopped });
        print_json(&answer).map_err(Failure::io("print"))?;
    }
    Ok(())
}

fn stop(context: &Context, project: &ProjectName) -> Result<(), Failure> {
    let control = context.control(project);
    if foreground::down(&control).map_err(Failure::io("stop the listener in the foreground"))? {
        return Ok(());
    }
    let _lock = up::lock(context, project)?;
    systemd::disable(&context.dirs.units, project).map_err(Failure::io("disable the target"))?;
    if let Some(systemd) = Systemd::connect()? {
        systemd.down(project)?;
    }
    up::forget_applied(context, project)
}
