//! `doze sleep NAME`.

use serde_json::json;

use super::{Context, observed::Holder, status};
use crate::{
    awake, compile::starts_with_project, failure::Failure, foreground, names::Names,
    output::print_json,
};

/// Stops the engine. That it sleeps already is as good.
pub(super) fn run(context: &Context, name: &str, json: bool) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let socket = context.dirs.instance(&project, &instance).status_socket;
    let was_awake = awake::sleep(&socket).map_err(Failure::io(format!("stop `{name}`")))?;
    // One that failed may be about to be started again.
    let plan = status::plan(context, &project, &instance)?;
    if !was_awake && plan.as_ref().is_some_and(starts_with_project) {
        match Holder::find(context, &project)?.manager() {
            Some(manager) => {
                let called = Names::of(context.dirs.init, &project);
                manager.stop(&[called.service(&instance)])?;
            }
            None => foreground::leave(&context.control(&project), &instance)
                .map_err(Failure::io(format!("stop `{name}`")))?,
        }
    }
    if json {
        let answer = json!({ "name": name, "was_awake": was_awake });
        print_json(&answer).map_err(Failure::io("print"))?;
    }
    Ok(())
}
