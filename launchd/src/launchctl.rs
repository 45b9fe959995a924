//! `launchctl`, the one way to a launchd (launchctl(1)).
//!
//! A step is data until it is taken. Must not know why it is.

use std::{
    collections::BTreeSet,
    io,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Labels,
    printed::{self, Job},
};

/// The program, by `PATH`.
const PROGRAM: &str = "launchctl";

/// What it exits with if there is no job of a label, after `print` and after any other verb.
const NOT_FOUND: i32 = 113;
const NO_PROCESS: i32 = 3;

/// `EINPROGRESS` and `EALREADY` of macOS: a job of the label is still going.
const IN_PROGRESS: i32 = 36;
const ALREADY: i32 = 37;

/// `EIO`: among much else, that a job of the label is still there.
const IO: i32 = 5;

/// How long a job that was told to end before may take to be unloaded.
const FORMER: Duration = Duration::from_secs(10);

/// How often to look whether a job has ended. Nothing tells.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(100);

/// What is done to a launchd at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Load the agent of this file: its sockets are bound.
    Bootstrap(String),
    /// Stop the job of this label, and unload it.
    Bootout(String),
    /// Let the job of this label be loaded again.
    Enable(String),
    /// Start the job of this label, if it does not run.
    Kickstart(String),
    /// Send the job of this label SIGTERM.
    Terminate(String),
}

impl Step {
    /// The words behind `launchctl`.
    pub fn arguments(&self, domain: &str) -> Vec<String> {
        let target = |label: &String| format!("{domain}/{label}");
        match self {
            Self::Bootstrap(path) => vec!["bootstrap".into(), domain.into(), path.clone()],
            Self::Bootout(label) => vec!["bootout".into(), target(label)],
            Self::Enable(label) => vec!["enable".into(), target(label)],
            Self::Kickstart(label) => vec!["kickstart".into(), target(label)],
            Self::Terminate(label) => vec!["kill".into(), "SIGTERM".into(), target(label)],
        }
    }
}

/// Why `launchctl` did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum LaunchctlError {
    /// It cannot be started.
    #[error("cannot run {PROGRAM}")]
    Run(#[source] io::Error),
    /// It said no.
    #[error("{command}: {said}")]
    Refused {
        /// The command line.
        command: String,
        /// What it said, in one line, or its exit status.
        said: String,
    },
    /// A job that was told to end did not.
    #[error("{label} has not ended after {within:?}")]
    Stays {
        /// The job.
        label: String,
        /// How long was waited.
        within: Duration,
    },
}

/// The jobs of a domain at one moment.
#[derive(Debug, Clone, Default)]
pub struct Domain {
    /// All jobs.
    pub jobs: Vec<Job>,
    /// The labels that the user has disabled.
    pub disabled: BTreeSet<String>,
}

/// The launchd of this user, in one domain.
#[derive(Debug)]
pub struct Launchctl {
    domain: String,
}

/// What a call said.
struct Said {
    code: Option<i32>,
    output: String,
    error: String,
}

impl Launchctl {
    /// The domain of the user's session with a screen, else that of the user alone, as over ssh;
    /// nothing if there is neither, or no `launchctl`.
    pub fn find(uid: u32) -> Result<Option<Self>, LaunchctlError> {
        for domain in [format!("gui/{uid}"), format!("user/{uid}")] {
            match run(&["print".into(), domain.clone()]) {
                Ok(Said { code: Some(0), .. }) => return Ok(Some(Self { domain })),
                Err(LaunchctlError::Run(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(None);
                }
                other => other.map(drop)?,
            }
        }
        Ok(None)
    }

    /// The name of the domain, such as `gui/501`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What there is of the domain now.
    pub fn look(&self) -> Result<Domain, LaunchctlError> {
        let words = ["print".into(), self.domain.clone()];
        let said = run(&words)?;
        if said.code != Some(0) {
            return Err(refused(&words, &said));
        }
        Ok(Domain {
            jobs: printed::jobs(&said.output),
            disabled: printed::disabled(&said.output),
        })
    }

    /// The file that a job was loaded from; nothing if there is no such job.
    pub fn loaded_from(&self, label: &str) -> Result<Option<String>, LaunchctlError> {
        let service = self.service(label)?;
        Ok(service.map(|service| service.path.unwrap_or_default()))
    }

    /// Takes a step, and waits until it is done, so long at most where something has to end first.
    /// To end what is not there is done at once.
    pub fn take(&self, step: &Step, within: Duration) -> Result<(), LaunchctlError> {
        let words = step.arguments(&self.domain);
        let begin = Instant::now();
        let ends_at = begin + within;
        let mut pauses = Pauses::new(match step {
            Step::Bootstrap(_) => ends_at.min(begin + FORMER),
            Step::Bootout(_) | Step::Enable(_) | Step::Kickstart(_) | Step::Terminate(_) => ends_at,
        });
        loop {
            let said = run(&words)?;
            match (step, said.code) {
                (Step::Bootout(label), Some(0 | IN_PROGRESS | ALREADY)) => {
                    return self.until(label, begin, pauses, |service| service.is_none());
                }
                (_, Some(0))
                | (Step::Bootout(_) | Step::Terminate(_), Some(NO_PROCESS | NOT_FOUND)) => {
                    return Ok(());
                }
                // The job of before has not ended yet.
                (Step::Bootstrap(path), Some(IN_PROGRESS | ALREADY | IO))
                    if self.is_there(path)? && pauses.pause() => {}
                _ => return Err(refused(&words, &said)),
            }
        }
    }

    /// Ends the process of a job, which stays loaded, and waits until it has gone; another one may
    /// have come then.
    pub fn end(&self, label: &str, within: Duration) -> Result<(), LaunchctlError> {
        let before = self.service(label)?.and_then(|service| service.pid);
        if before.is_none() {
            return Ok(());
        }
        let begin = Instant::now();
        self.take(&Step::Terminate(label.into()), within)?;
        let pauses = Pauses::new(begin + within);
        self.until(label, begin, pauses, |service| {
            service.and_then(|service| service.pid) != before
        })
    }

    /// Whether there is a job of the label that this file is called by.
    fn is_there(&self, path: &str) -> Result<bool, LaunchctlError> {
        let file = path.rsplit('/').next().and_then(Labels::label_in);
        Ok(self.service(file.unwrap_or(path))?.is_some())
    }

    fn until(
        &self,
        label: &str,
        begin: Instant,
        mut pauses: Pauses,
        is_over: impl Fn(Option<printed::Service>) -> bool,
    ) -> Result<(), LaunchctlError> {
        while !is_over(self.service(label)?) {
            if !pauses.pause() {
                return Err(LaunchctlError::Stays {
                    label: label.into(),
                    within: begin.elapsed(),
                });
            }
        }
        Ok(())
    }

    fn service(&self, label: &str) -> Result<Option<printed::Service>, LaunchctlError> {
        let words = ["print".into(), format!("{}/{label}", self.domain)];
        let said = run(&words)?;
        match said.code {
            Some(0) => Ok(Some(printed::service(&said.output))),
            Some(NOT_FOUND | NO_PROCESS) => Ok(None),
            _ => Err(refused(&words, &said)),
        }
    }
}

/// Ever longer pauses, until a moment.
struct Pauses {
    next: Duration,
    until: Instant,
}

impl Pauses {
    fn new(until: Instant) -> Self {
        Self {
            next: SHORTEST,
            until,
        }
    }

    /// Waits a while; whether there was time for that.
    #[expect(
        clippy::disallowed_methods,
        reason = "launchd tells nobody that a job has ended"
    )]
    fn pause(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        thread::sleep(self.next);
        self.next = LONGEST.min(self.next * 2);
        true
    }
}

fn run(words: &[String]) -> Result<Said, LaunchctlError> {
    let output = Command::new(PROGRAM).args(words).output();
    let output = output.map_err(LaunchctlError::Run)?;
    Ok(Said {
        code: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn refused(words: &[String], said: &Said) -> LaunchctlError {
    let lines: Vec<_> = said
        .error
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let said = match (lines.is_empty(), said.code) {
        (false, _) => lines.join("; "),
        (true, Some(code)) => format!("exit status {code}"),
        (true, None) => "it was killed".into(),
    };
    LaunchctlError::Refused {
        command: format!("{PROGRAM} {}", words.join(" ")),
        said,
    }
}
