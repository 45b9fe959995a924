//! When a member is ready: it answers, says so in a file or in its output, or has lived long
//! enough.
//!
//! Ready is another fact than alive: a process that exists and a socket that accepts do not yet
//! serve anybody. Must not know engines: what is said and what is read comes from the plan.

mod file;
mod hello;
mod probe;

use std::{fmt, future::pending, io, process::ExitStatus, time::Duration};

use doze_contract::{
    Bytes, Endpoint,
    plan::{Hello, Probe, Readiness},
};
use tokio::{
    net::unix::pipe,
    time::{sleep, timeout},
};

use self::{file::FileWatch, hello::HelloWatch, probe::Question};
use crate::{helper::Bench, process::Output};

/// Between two tries at the least; the timer's own resolution.
const RETRY: Duration = Duration::from_millis(1);

/// How long what listens to the output of a member that has ended may take to say what it heard.
const ANSWER: Duration = Duration::from_secs(2);

/// Why readiness cannot be watched for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("the plan does not say how")]
    Missing,
    #[error("cannot run `{command}`")]
    Listener {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("something of the system failed")]
    System(#[from] io::Error),
}

/// What was last seen of a member that is not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing was tried yet.
    #[default]
    Nothing,
    /// It does not accept connections.
    Refused,
    /// It accepted a connection and has not answered.
    Silent,
    /// It did not answer in the time that one try may take.
    Slow(Duration),
    /// It answered something else.
    Reply(Vec<u8>),
    /// It answered with this status.
    Status(u16),
    /// The command that checks it ended so.
    Check(ExitStatus),
    /// The file does not say so.
    File,
    /// What it prints does not say so.
    Output,
    /// It lives, but not for long enough.
    Young,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "nothing was tried"),
            Self::Refused => write!(f, "it accepts no connection"),
            Self::Silent => write!(f, "it accepts a connection but does not answer"),
            Self::Slow(within) => write!(f, "it does not answer within {within:?}"),
            Self::Reply(reply) => write!(f, "it answers {:?}", Bytes(reply.clone())),
            Self::Status(status) => write!(f, "it answers with status {status}"),
            Self::Check(status) => write!(f, "the command that checks it failed ({status})"),
            Self::File => write!(f, "its file does not say so"),
            Self::Output => write!(f, "its output does not say so"),
            Self::Young => write!(f, "it has to live for longer"),
        }
    }
}

/// Watches for the readiness of one member. To be made before the member is spawned, so that a
/// file which a former process left behind is not taken for its word.
#[derive(Debug)]
pub(crate) enum Watch<'a> {
    Hello(HelloWatch<'a>),
    File(FileWatch<'a>),
    Probe(Question<'a>, Probe),
    Output(&'a [String]),
    Alive(Duration),
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        ready: &'a Readiness,
        hello: Option<&'a Hello>,
        upstream: Option<&'a Endpoint>,
    ) -> Result<Self, WatchError> {
        let upstream = || upstream.ok_or(WatchError::Missing);
        let or_upstream = |at: &'a Option<Endpoint>| at.as_ref().map_or_else(upstream, Ok);
        Ok(match ready {
            Readiness::Hello => Self::Hello(HelloWatch::new(
                hello.ok_or(WatchError::Missing)?,
                upstream()?,
            )?),
            Readiness::FileLine { path, line, text } => {
                Self::File(FileWatch::new(path, *line, text)?)
            }
            Readiness::Connect { at } => {
                Self::Probe(Question::Connect(or_upstream(at)?), probe::CONNECT)
            }
            Readiness::Http { at, path, probe } => {
                Self::Probe(Question::Http(or_upstream(at)?, path), *probe)
            }
            Readiness::Exec { argv, probe } => Self::Probe(Question::Exec(argv), *probe),
            Readiness::Output { argv } => Self::Output(argv),
            Readiness::Alive { lasts } => Self::Alive(*lasts),
        })
    }

    /// Starts what listens to the member's output, if something does, in the place of helpers.
    /// What is written to the other end reaches it.
    pub(crate) fn listener(
        &self,
        bench: &mut Bench<'_>,
    ) -> Result<Option<pipe::Sender>, WatchError> {
        let Self::Output(argv) = self else {
            return Ok(None);
        };
        let (input, end) = io::pipe()?;
        let started = bench.start(argv, Output::LogFrom(input.into()));
        started.map_err(|source| WatchError::Listener {
            command: argv.join(" "),
            source,
        })?;
        Ok(Some(pipe::Sender::from_owned_fd(end.into())?))
    }

    /// Waits, however long it takes. `seen` always tells what it is waiting for.
    pub(crate) async fn ready(&mut self, seen: &mut Seen, bench: &mut Bench<'_>) -> io::Result<()> {
        match self {
            Self::Hello(hello) => hello.ready(seen).await,
            Self::File(file) => file.ready(seen).await,
            Self::Probe(question, probe) => probe::answered(question, *probe, seen, bench).await,
            Self::Output(_) => {
                *seen = Seen::Output;
                if let Some(listener) = bench.place {
                    let status = listener.ended().await;
                    if status.success() {
                        *bench.place = None;
                        return Ok(());
                    }
                    *seen = Seen::Check(status);
                }
                // It will not say so any more.
                pending().await
            }
            Self::Alive(lasts) => {
                *seen = Seen::Young;
                sleep(*lasts).await;
                Ok(())
            }
        }
    }

    /// Whether a member is to be called ready that has ended by itself, and well.
    pub(crate) async fn holds_at_the_end(&self, bench: &mut Bench<'_>) -> bool {
        match (self, &mut bench.place) {
            // There is nothing else to wait for in one that does its work and ends.
            (Self::Alive(_), _) => true,
            // Its output is over, and so the answer is near.
            (Self::Output(_), Some(listener)) => timeout(ANSWER, listener.ended())
                .await
                .is_ok_and(|status| status.success()),
            (Self::Hello(_) | Self::File(_) | Self::Probe(..) | Self::Output(_), _) => false,
        }
    }

    /// Ends the watch of a member that is ready.
    pub(crate) fn end(self) {
        match self {
            Self::Hello(hello) => hello.end(),
            Self::File(file) => file.end(),
            Self::Probe(..) | Self::Output(_) | Self::Alive(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
