//! A command that runs to its end beside the members: a hook, or a check.
//!
//! There is one at a time, in a process group of its own. Must not know what its end means.

use std::{fmt, io, process::ExitStatus};

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
    #[error("the {kind} command `{command}` failed ({status}); it said: {words}")]
    Failed {
        kind: Hook,
        command: String,
        status: ExitStatus,
        words: String,
    },
}

/// When a hook runs; the words of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    BeforeStart,
    AfterReady,
    BeforeStop,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeStart => "before_start",
            Self::AfterReady => "after_ready",
            Self::BeforeStop => "before_stop",
        })
    }
}

impl Bench<'_> {
    /// Runs the hooks one after the other, until one fails.
    pub(crate) async fn hooks(
        &mut self,
        kind: Hook,
        hooks: &[Vec<String>],
    ) -> Result<(), HookError> {
        for hook in hooks {
            let command = || hook.join(" ");
            self.log.say(format_args!("{kind}: {}", command()));
            let status = self.run(hook).await.map_err(|source| HookError::Spawn {
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
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "it has no words");
        let command = self.surroundings.command(argv).ok_or_else(missing)?;
        let spawned = self.spawn(|log| Process::spawn("a command", command, Output::Log, log));
        let status = self.place.insert(spawned?).ended().await;
        *self.place = None;
        Ok(status)
    }

    /// Starts something that shares the lock.
    pub(crate) fn spawn(
        &self,
        spawn: impl FnOnce(&Log) -> io::Result<Process>,
    ) -> io::Result<Process> {
        match self.lock {
            Some(lock) => lock.shared(|| spawn(self.log)),
            None => spawn(self.log),
        }
    }

    /// Kills the one that runs, if any.
    pub(crate) async fn end(&mut self) {
        if let Some(mut helper) = self.place.take() {
            helper.kill_group();
            helper.ended().await;
        }
    }
}
