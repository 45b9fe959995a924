//! `doze down`.

use doze_contract::ProjectName;
use serde_json::json;

use super::{Context, observed, up};
use crate::{enabled, failure::Failure, foreground, manager, output::print_json};

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
    enabled::disable(&context.dirs, project).map_err(Failure::io("disable the project"))?;
    if let Some(manager) = manager::connect(&context.dirs)? {
        manager.down(project)?;
    }
    up::forget_applied(context, project)
}
