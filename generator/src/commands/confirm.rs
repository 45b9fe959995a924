//! The question before something that cannot be undone.

use std::io::{self, IsTerminal};

use doze_contract::exit::Exit;

use crate::{failure::Failure, output::complain};

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; anything but yes is no, and that fails.
pub(super) fn ask(question: &str) -> Result<(), Failure> {
    complain(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(Failure::io("read the answer"))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::plain("nothing was changed")),
    }
}

/// The refusal to do harm that nobody agreed to.
pub(super) fn unasked(command: &str, harm: &[String]) -> Failure {
    Failure::Plain {
        message: format!("`doze {command}` would {}", harm.join(", ")),
        hint: Some(format!("`doze {command} --yes` does it without asking")),
        exit: Exit::Config,
    }
}
