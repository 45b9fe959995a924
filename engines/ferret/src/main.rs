//! The driver of FerretDB, as a program that speaks the driver protocol.

use std::process::ExitCode;

fn main() -> ExitCode {
    doze_driver::run(&doze_engine_ferret::Ferret)
}
