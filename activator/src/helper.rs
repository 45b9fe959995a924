//! A command that runs to its end beside the members: a hook, or a check.
//!
//! There is one at a time, in a process group of its own. Must not know what its end means.

use std::{fmt, io, process::ExitStatus, time::Duration};

use rustix::process::umask;
use tokio::time::{Instant, timeout};

use crate::{
    environment::Surroundings,
    lock::Lock,
    log::Log,
    process::{Output, Process},
};

/// What a helper needs.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) surroundings: &'a Surroundings,
    /// Whoever works for the instance shares it.
    pub(crate) lock: Option<&'a Lock>,
    pub(crate) log: &'a Log,
    /// The place of the helper that runs: one whose task is dropped is left here.
    pub(crate) place: &'a mut Option<Process>,
}

/// Why a hook has not done its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error("cannot run the {kind} command `{command}`")]
    Spawn {
        kind: Hook,
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("the {kind} command `{command}` failed ({status}){words}")]
    Failed {
        kind: Hook,
        command: String,
        status: ExitStatus,
        words: String,
    },
    #[error(
        "the {kind} command `{command}` was killed: the hooks took more than {within:?}{words}"
    )]
    Late {
        kind: Hook,
        command: String,
        within: Duration,
        words: String,
    },
}

/// The time that several hooks may take together.
#[derive(Debug)]
pub(crate) struct Allowance {
    within: Duration,
    left: Duration,
}

impl Allowance {
    pub(crate) fn of(within: Duration) -> Self {
        Self {
            within,
            left: within,
        }
    }
}

/// When a hook runs; the words of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    PreStart,
    PostStart,
    PreStop,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
        })
    }
}

impl Bench<'_> {
    /// Runs the hooks one after the other, until one fails or the time for them is over.
    pub(crate) async fn hooks(
        &mut self,
        kind: Hook,
        hooks: &[Vec<String>],
        time: &mut Allowance,
    ) -> Result<(), HookError> {
        for hook in hooks {
            let command = || hook.join(" ");
            self.log.say(format_args!("{kind}: {}", command()));
            let begun = Instant::now();
            let Ok(ran) = timeout(time.left, self.run(hook)).await else {
                self.end().await;
                return Err(HookError::Late {
                    kind,
                    command: command(),
                    within: time.within,
                    words: self.log.last_words(),
                });
            };
            time.left = time.left.saturating_sub(begun.elapsed());
            let status = ran.map_err(|source| HookError::Spawn {
                kind,
                command: command(),
                source,
            })?;
            if !status.success() {
                return Err(HookError::Failed {
                    kind,
                    command: command(),
                    status,
                    words: self.log.last_words(),
                });
            }
        }
        Ok(())
    }

    /// Runs one command. What it prints goes to the log.
    pub(crate) async fn run(&mut self, argv: &[String]) -> io::Result<ExitStatus> {
        self.end().await;
        let status = self.start(argv, Output::Log)?.ended().await;
        *self.place = None;
        Ok(status)
    }

    /// Starts one command, to be waited for in its place.
    pub(crate) fn start(&mut self, argv: &[String], output: Output) -> io::Result<&mut Process> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "it has no words");
        let command = self.surroundings.command(argv).ok_or_else(missing)?;
        let spawned = self.spawn(|log| Process::spawn("a command", command, output, log));
        Ok(self.place.insert(spawned?))
    }

    /// Starts something that shares the lock.
    pub(crate) fn spawn(
        &self,
        spawn: impl FnOnce(&Log) -> io::Result<Process>,
    ) -> io::Result<Process> {
        // It is the whole process's, of which nothing else runs meanwhile.
        let before = self.surroundings.umask.map(umask);
        let spawned = match self.lock {
            Some(lock) => lock.shared(|| spawn(self.log)),
            None => spawn(self.log),
        };
        if let Some(before) = before {
            umask(before);
        }
        spawned
    }

    /// Kills the one that runs, if any.
    pub(crate) async fn end(&mut self) {
        if let Some(mut helper) = self.place.take() {
            helper.kill_group();
            helper.ended().await;
        }
    }
}
