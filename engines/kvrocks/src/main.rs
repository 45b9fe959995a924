//! The driver of Kvrocks, as a program that speaks the driver protocol, and that a plan may start the
//! server through.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use camino::{FromPathBufError, Utf8PathBuf};
use doze_contract::error::chain;
use doze_engine_kvrocks::{Kvrocks, LISTEN, listen};

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    if words.next().is_some_and(|verb| verb == LISTEN) {
        return failed(&chain(&listen(words)));
    }
    let program = env::current_exe()
        .and_then(|path| Utf8PathBuf::try_from(path).map_err(FromPathBufError::into_io_error));
    match program {
        Ok(program) => doze_driver::run(&Kvrocks { program }),
        Err(error) => failed(&format!("cannot tell where this program is: {error}")),
    }
}

fn failed(message: &str) -> ExitCode {
    let told = writeln!(io::stderr(), "{message}");
    // With standard error gone as well, only the exit status is left to tell it.
    drop(told);
    ExitCode::FAILURE
}
