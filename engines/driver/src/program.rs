//! Running a program of an engine to its end. It must not know what the program does.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::{Command, ExitStatus, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot be run.
    #[error("cannot run {0}")]
    Start(Utf8PathBuf, #[source] io::Error),
    /// It failed.
    #[error("{program} failed with {status}: {output}")]
    Failed {
        /// The program.
        program: Utf8PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed on standard error.
        output: String,
    },
}

/// Runs `program` with this environment and nothing of ours, and gives what it prints on standard
/// output. `input` is short enough for the buffer of a pipe.
pub fn run(
    program: &Utf8Path,
    arguments: &[&str],
    environment: &BTreeMap<String, String>,
    input: &str,
) -> Result<String, RunError> {
    let failed = |error| RunError::Start(program.to_owned(), error);
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that left before it read its input has said why.
        drop(pipe.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(RunError::Failed {
        program: program.to_owned(),
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
