//! When a member is ready: it answers, says so in a file or in its output, or has lived long
//! enough.
//!
//! Ready is another fact than alive: a process that exists and a socket that accepts do not yet
//! serve anybody. Must not know engines: what is said and what is read comes from the plan.

mod file;
mod hello;
mod output;
mod probe;

use std::{fmt, io, process::ExitStatus, time::Duration};

use doze_contract::{
    Bytes, Endpoint,
    plan::{Hello, Probe, Readiness},
};
use tokio::time::sleep;

pub(crate) use self::output::Ear;
use self::{file::FileWatch, hello::HelloWatch, output::OutputWatch, probe::Question};
use crate::helper::Bench;

/// Between two tries at the least; the timer's own resolution.
const RETRY: Duration = Duration::from_millis(1);

/// Why readiness cannot be watched for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("the plan does not say how")]
    Missing,
    #[error("`{pattern}` is no regular expression")]
    Pattern {
        pattern: String,
        #[source]
        source: regex_lite::Error,
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
    /// It printed no such line.
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
            Self::Output => write!(f, "it has printed no line that matches"),
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
    Output(OutputWatch),
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
            Readiness::LogLine { pattern } => {
                let watch = OutputWatch::new(pattern).map_err(|source| WatchError::Pattern {
                    pattern: pattern.clone(),
                    source,
                });
                Self::Output(watch?)
            }
            Readiness::Alive { lasts } => Self::Alive(*lasts),
        })
    }

    /// What has to be shown the member's output, if anything has; once.
    pub(crate) fn ear(&mut self) -> Option<Ear> {
        match self {
            Self::Output(output) => output.ear(),
            Self::Hello(_) | Self::File(_) | Self::Probe(..) | Self::Alive(_) => None,
        }
    }

    /// Waits, however long it takes. `seen` always tells what it is waiting for.
    pub(crate) async fn ready(&mut self, seen: &mut Seen, bench: &mut Bench<'_>) -> io::Result<()> {
        match self {
            Self::Hello(hello) => hello.ready(seen).await,
            Self::File(file) => file.ready(seen).await,
            Self::Probe(question, probe) => probe::answered(question, *probe, seen, bench).await,
            Self::Output(output) => {
                *seen = Seen::Output;
                output.ready().await;
                Ok(())
            }
            Self::Alive(lasts) => {
                *seen = Seen::Young;
                sleep(*lasts).await;
                Ok(())
            }
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
