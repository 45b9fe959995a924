//! A child process in a process group of its own, with its output in the log.
//!
//! Owns the proof that a pid is ours: a signal is only sent while the child has not been reaped,
//! so neither its pid nor its group can mean anybody else. Must not know what the child is for.

use std::{
    future::poll_fn,
    io::{self, PipeReader},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    task::JoinHandle,
    time::timeout,
};

use crate::{exit::Exit, log::Log, orphans, task};

/// How long to wait for the rest of the output of a process that has ended, in case something
/// that it started lives on with the pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// A running child, or what became of it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    pid: Pid,
    child: Child,
    exit: Exit,
    output: Option<JoinHandle<()>>,
    ended: Option<ExitStatus>,
    spares_group: bool,
}

/// Where the standard output of a child goes. Its standard error always goes to the log.
#[derive(Debug)]
pub(crate) enum Output {
    /// To the log.
    Log,
    /// To [`Process::dialogue`], together with standard input.
    Dialogue,
    /// To the log; standard input is this.
    LogFrom(OwnedFd),
}

impl Process {
    /// Starts `command`. Standard input is empty unless `output` says otherwise.
    pub(crate) fn spawn(
        name: &str,
        command: Command,
        output: Output,
        log: &Log,
    ) -> io::Result<Self> {
        Self::spawn_heard(name, command, output, None, log)
    }

    /// The same, and gives whatever goes to the log to `listener` as well.
    pub(crate) fn spawn_heard(
        name: &str,
        mut command: Command,
        output: Output,
        listener: Option<pipe::Sender>,
        log: &Log,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        match output {
            Output::Log => command.stdin(Stdio::null()).stdout(writer.try_clone()?),
            Output::Dialogue => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
            Output::LogFrom(input) => command.stdin(input).stdout(writer.try_clone()?),
        };
        let child = command.stderr(writer).process_group(0).spawn()?;
        // The command holds our copies of the pipe's other end; with them it would never end.
        drop(command);
        let pid = Pid::from_child(&child);
        let exit = Exit::of(pid)?;
        orphans::own(pid);
        Ok(Self {
            name: String::from(name),
            pid,
            child,
            exit,
            output: Some(task::spawn(pass_on(reader, log.clone(), listener))),
            ended: None,
            spares_group: false,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child's standard input and output, once, if it was spawned for a dialogue.
    pub(crate) fn dialogue(&mut self) -> io::Result<Option<(pipe::Sender, pipe::Receiver)>> {
        let (Some(stdin), Some(stdout)) = (self.child.stdin.take(), self.child.stdout.take())
        else {
            return Ok(None);
        };
        Ok(Some((
            pipe::Sender::from_owned_fd(stdin.into())?,
            pipe::Receiver::from_owned_fd(stdout.into())?,
        )))
    }

    /// Ready when the child has ended. What is left of its group is killed then, unless it is
    /// spared, while the unreaped child still keeps the group's number from being anybody else's.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        loop {
            if let Some(status) = self.ended {
                return Poll::Ready(status);
            }
            let has_ended = ready!(self.exit.poll(cx));
            if has_ended && !self.spares_group {
                self.kill_group();
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended = Some(status);
                orphans::disown(self.pid);
            }
        }
    }

    /// Waits until the child has ended.
    pub(crate) async fn gone(&mut self) -> ExitStatus {
        poll_fn(|cx| self.poll_ended(cx)).await
    }

    /// Waits until the child has ended and all it printed is in the log.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = self.gone().await;
        if let Some(output) = &mut self.output {
            // Either it is over, or something that left the group keeps the pipe: not our matter.
            timeout(LAST_OUTPUT, output).await.ok();
            self.output = None;
        }
        status
    }

    /// Whether its end was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Waits until the child has ended, and then for those that it started: they may take as long.
    pub(crate) async fn group_gone(&mut self) -> io::Result<()> {
        self.spares_group = true;
        self.gone().await;
        orphans::group_gone(self.pid).await
    }

    /// Sends a signal to the child alone.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // It may have ended a moment ago; then there is nothing to signal.
            kill_process(self.pid, signal).ok();
        }
    }

    /// Sends a signal to the child and to whatever it started.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if self.ended.is_none() {
            kill_process_group(self.pid, signal).ok();
        }
    }

    /// Sends SIGKILL to the child and to whatever it started.
    pub(crate) fn kill_group(&self) {
        self.signal_group(Signal::KILL);
    }
}

/// Copies what the child prints to the log until nobody can print any more, and to the listener
/// until that has left.
async fn pass_on(reader: PipeReader, log: Log, mut listener: Option<pipe::Sender>) {
    let Ok(mut reader) = pipe::Receiver::from_owned_fd(reader.into()) else {
        return;
    };
    let mut buffer = vec![0; 4096];
    while let Ok(count) = reader.read(&mut buffer).await {
        match buffer.get(..count) {
            Some(bytes) if count > 0 => {
                log.pass(bytes);
                if let Some(pipe) = &mut listener
                    && pipe.write_all(bytes).await.is_err()
                {
                    listener = None;
                }
            }
            _ => break,
        }
    }
}
