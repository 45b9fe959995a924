//! `doze completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure, output::print};

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "doze", &mut script);
    print(format_args!("{}", String::from_utf8_lossy(&script))).map_err(Failure::io("print"))
}
