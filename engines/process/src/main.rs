//! The driver of a project's own processes, as a program that speaks the driver protocol, and that
//! looks through their output where a plan says so.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use camino::{FromPathBufError, Utf8PathBuf};
use doze_engine_process::{MATCH, Process, matches};

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).collect();
    if let [verb, pattern] = words.as_slice()
        && verb == MATCH
    {
        return look_for(&pattern.to_string_lossy());
    }
    let program = env::current_exe()
        .and_then(|path| Utf8PathBuf::try_from(path).map_err(FromPathBufError::into_io_error));
    match program {
        Ok(program) => doze_driver::run(&Process { program }),
        Err(error) => {
            say(&format!("cannot tell where this program is: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends with status 0 as soon as a line of standard input matches, with 1 at its end without one, and
/// with 2 if nothing can be told.
fn look_for(pattern: &str) -> ExitCode {
    match matches(pattern, io::stdin().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            say(&message);
            ExitCode::from(2)
        }
    }
}

fn say(message: &str) {
    let told = writeln!(io::stderr(), "{message}");
    // With standard error gone as well, only the exit status is left to tell it.
    drop(told);
}
