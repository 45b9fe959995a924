//! `doze run -- CMD`, and what it shares with `doze hold`: a command with the project's variables.

use std::{
    io::{self, ErrorKind},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use super::Context;
use crate::{cli::Form, config::Project, failure::Failure, variables::variables};

pub(super) fn run(context: &Context, words: &[String]) -> Result<ExitCode, Failure> {
    with_variables(context, &context.project()?, words)
}

/// Runs a command with the variables of this project; its exit status is to be passed on.
pub(super) fn with_variables(
    context: &Context,
    project: &Project,
    words: &[String],
) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::plain("there is no command to run"));
    };
    let variables = variables(&project.instances).into_iter();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(variables.map(|variable| (variable.name, variable.value)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("start the event loop"))?;
    rustix::process::umask(context.umask);
    let ended = runtime.block_on(outlive(command));
    match ended.map_err(Failure::io(format!("wait for {program}")))? {
        Ok(status) => Ok(code(status).into()),
        Err(source) => {
            // As a shell says that there is no such program, or that it is none.
            let code = if source.kind() == ErrorKind::NotFound {
                127
            } else {
                126
            };
            Failure::io(format!("run {program}"))(source).report(Form::Human);
            Ok(code.into())
        }
    }
}

/// Starts the command and waits for its end; the inner error is that it does not start. What a key
/// at the terminal sends reaches the command as well, and it is for the command to say what it
/// means; a request to end is passed on to it.
async fn outlive(mut command: Command) -> io::Result<io::Result<ExitStatus>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.map(Ok),
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => {
                // There is an id until the child was waited for, so it is still its own.
                let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
                if let Some(pid) = pid {
                    kill_process(pid, Signal::TERM)?;
                }
            }
        }
    }
}

/// The exit status; that of a command which a signal ended is as a shell gives it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
