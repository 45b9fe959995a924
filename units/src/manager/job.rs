//! Jobs: asking for some, and waiting until all are over.
//!
//! Must not know why a unit is to be started or stopped.

use std::{collections::HashMap, fmt, future::poll_fn, pin::Pin};

use zbus::{OwnedObjectPath, export::futures_core::Stream};

use super::{
    ManagerError,
    proxy::{self, JobRemoved, JobRemovedStream, SystemdProxy},
};

/// What a job does to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    /// As [`Verb::Start`], without what the unit wants and needs.
    StartAlone,
    Stop,
    Restart,
    TryRestart,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// As it should.
    Done,
    /// There was nothing to do in the state that the unit is in.
    Skipped,
    /// The unit failed.
    Failed,
    /// The job took too long.
    Timeout,
    /// A unit that it needs failed.
    Dependency,
    /// Another job took its place, or somebody cancelled it.
    Canceled,
    /// systemd did not accept the job, and says why.
    Refused(String),
}

impl JobResult {
    /// Whether the unit is now as it was asked to be.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }

    fn from_word(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "skipped" => Self::Skipped,
            "failed" => Self::Failed,
            "timeout" => Self::Timeout,
            "dependency" => Self::Dependency,
            "canceled" => Self::Canceled,
            other => Self::Refused(other.into()),
        }
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Skipped => "nothing to do",
            Self::Failed => "failed",
            Self::Timeout => "timed out",
            Self::Dependency => "a unit that it needs failed",
            Self::Canceled => "canceled",
            Self::Refused(reason) => reason,
        })
    }
}

/// Asks for a job for each unit, then waits for all of them.
///
/// The ends of jobs are received from before the first is asked for, and read while the others
/// are: a job may be over before the call that asked for it returns, and a queue of unread signals
/// would hold up the replies behind it.
pub(super) async fn run<U: AsRef<str>>(
    systemd: &SystemdProxy<'_>,
    verb: Verb,
    units: &[U],
) -> Result<Vec<(String, JobResult)>, ManagerError> {
    let removed = systemd.receive_job_removed().await;
    let mut removed = removed.map_err(ManagerError::call("wait for jobs"))?;
    let mut ended = HashMap::new();

    let mut asking = Box::pin(ask(systemd, verb, units));
    let jobs = loop {
        tokio::select! {
            jobs = &mut asking => break jobs?,
            signal = next(&mut removed) => note(&mut ended, signal)?,
        }
    };

    let mut results = Vec::with_capacity(jobs.len());
    for (unit, job) in units.iter().zip(jobs) {
        let result = match job {
            Asked::Answered(result) => result,
            Asked::Queued(job) => loop {
                if let Some(result) = ended.remove(&job) {
                    break result;
                }
                note(&mut ended, next(&mut removed).await)?;
            },
        };
        results.push((unit.as_ref().to_owned(), result));
    }
    Ok(results)
}

enum Asked {
    Queued(OwnedObjectPath),
    Answered(JobResult),
}

async fn ask<U: AsRef<str>>(
    systemd: &SystemdProxy<'_>,
    verb: Verb,
    units: &[U],
) -> Result<Vec<Asked>, ManagerError> {
    let mut jobs = Vec::with_capacity(units.len());
    for unit in units.iter().map(AsRef::as_ref) {
        let asked = match verb {
            Verb::Start => systemd.start_unit(unit, "replace").await,
            Verb::StartAlone => systemd.start_unit(unit, "ignore-dependencies").await,
            Verb::Stop => systemd.stop_unit(unit, "replace").await,
            Verb::Restart => systemd.restart_unit(unit, "replace").await,
            Verb::TryRestart => systemd.try_restart_unit(unit, "replace").await,
        };
        jobs.push(match asked {
            Ok(job) => Asked::Queued(job),
            Err(error) if verb == Verb::Stop && proxy::is_no_such_unit(&error) => {
                Asked::Answered(JobResult::Done)
            }
            Err(zbus::Error::MethodError(name, text, _)) => {
                let reason = text.unwrap_or_else(|| name.to_string());
                Asked::Answered(JobResult::Refused(reason))
            }
            Err(error) => return Err(ManagerError::call("queue a job")(error)),
        });
    }
    Ok(jobs)
}

async fn next(removed: &mut JobRemovedStream) -> Option<JobRemoved> {
    poll_fn(|cx| Pin::new(&mut *removed).poll_next(cx)).await
}

fn note(
    ended: &mut HashMap<OwnedObjectPath, JobResult>,
    signal: Option<JobRemoved>,
) -> Result<(), ManagerError> {
    let signal = signal.ok_or(ManagerError::Closed)?;
    let end = signal
        .args()
        .map_err(ManagerError::call("read the end of a job"))?;
    ended.insert(end.job.to_owned().into(), JobResult::from_word(end.result));
    Ok(())
}
