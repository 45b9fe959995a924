//! The driver of Temporal's development server, as a program that speaks the driver protocol.

use std::process::ExitCode;

fn main() -> ExitCode {
    doze_driver::run(&doze_engine_temporal::Temporal)
}
