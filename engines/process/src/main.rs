//! The driver of a project's own processes, as a program that speaks the driver protocol.

use std::process::ExitCode;

fn main() -> ExitCode {
    doze_driver::run(&doze_engine_process::Process)
}
