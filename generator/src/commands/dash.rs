//! `doze dash`.

use super::Context;
use crate::{
    config,
    dash::{self, Source},
    failure::Failure,
};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    if !dash::is_possible() {
        return Err(Failure::usage(
            "the dashboard needs a terminal for its input and its output; `doze status` does not",
        ));
    }
    let file = context.file()?;
    let source = Source {
        path: config::find(context.config.as_deref(), &context.dirs.here)?,
        inputs: context.inputs.clone(),
        dirs: context.dirs.clone(),
        control: context.control(&file.name),
    };
    Ok(dash::run(source, &file.name)?)
}
