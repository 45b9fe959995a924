//! The `doze` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    doze::run()
}
