//! `doze dash`.

use super::{Context, restart, sleep, wake};
use crate::{
    config,
    dash::{self, Source, Verb},
    failure::Failure,
    terminal,
};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    if !terminal::is_there() {
        return Err(Failure::usage(
            "the dashboard needs a terminal for its input and its output, and not a dumb one; \
             `doze status` does not",
        ));
    }
    let file = context.file()?;
    let source = Source {
        path: config::find(context.config.as_deref(), &context.dirs.here)?,
        inputs: context.inputs.clone(),
        dirs: context.dirs.clone(),
        control: context.control(&file.name),
    };
    let context = context.clone();
    let act = move |verb, name: &str| match verb {
        Verb::Wake => wake::run(&context, name, false),
        Verb::Sleep => sleep::run(&context, name, false),
        Verb::Restart => match restart::restart(&context, &[name.to_owned()], |_| ())?.as_slice() {
            [] => Err(Failure::plain(format!("`{name}` is asleep"))),
            _ => Ok(()),
        },
    };
    Ok(dash::run(source, &file.name, act)?)
}
