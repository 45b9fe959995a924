//! The program that the init system starts for the first client of an instance.

use std::process::ExitCode;

fn main() -> ExitCode {
    doze_activator::main(std::env::args().skip(1)).into()
}
