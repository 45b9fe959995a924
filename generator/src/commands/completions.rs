//! `doze completions SHELL`.

use clap_complete::Shell;

use crate::{complete, failure::Failure, output::print};

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let script = complete::script(&shell.to_string());
    let script = script.ok_or_else(|| Failure::plain(format!("there are none for {shell}")))?;
    print(format_args!("{script}")).map_err(Failure::io("print"))
}
