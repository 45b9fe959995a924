//! `doze wait NAMES… --ready|--asleep`: until instances are in a state, without bringing them into it.
//!
//! An activator binds its status socket when it starts and takes it away when it leaves, so changes
//! of the folders are what is waited for. Of one that boots only the activator knows how far it
//! is; that one is asked again after a few milliseconds.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use doze_contract::{
    Plan, duration,
    plan::Paths,
    status::{Phase, Status},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
};
use serde_json::json;

use super::{Context, observed::is_ready, status};
use crate::{
    awake,
    cli::WaitUntil,
    compile::starts_with_project,
    failure::Failure,
    folders::Folders,
    look::{Group, word},
    output::print_json,
};

/// Between two questions to an activator whose engine boots, at first and at most.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Ready,
    Asleep,
}

impl From<WaitUntil> for Until {
    fn from(said: WaitUntil) -> Self {
        if said.ready {
            Self::Ready
        } else {
            Self::Asleep
        }
    }
}

impl Until {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Asleep => "asleep",
        }
    }
}

pub(super) fn run(
    context: &Context,
    names: &[String],
    until: Until,
    within: Duration,
    json: bool,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let (project, instances) = context.instances(names)?;
    for instance in &instances {
        let plan = status::plan(context, &project, instance)?;
        let paths = context.dirs.instance(&project, instance);
        let wait = Wait {
            name: instance.as_str(),
            paths: &paths,
            plan: plan.as_ref(),
            until,
            deadline: begin + within,
        };
        if let Some(state) = wait.run()? {
            return Err(Failure::plain(format!(
                "`{instance}` is not {} after {}: it is {state}",
                until.word(),
                duration::show(within),
            )));
        }
    }
    if json {
        let answer = json!({
            "instances": instances,
            "state": until.word(),
            "waited_ms": u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        print_json(&answer).map_err(Failure::io("print"))?;
    }
    Ok(())
}

/// The wait for one instance.
struct Wait<'a> {
    name: &'a str,
    paths: &'a Paths,
    plan: Option<&'a Plan>,
    until: Until,
    deadline: Instant,
}

impl Wait<'_> {
    /// Waits; if the time is over, the state in which it is then.
    fn run(&self) -> Result<Option<&'static str>, Failure> {
        let cannot = || Failure::io(format!("wait for `{}`", self.name));
        let mut pause = SHORTEST;
        loop {
            // Watched before it is looked at, so that no change is missed in between.
            let watch = self.watch().map_err(cannot())?;
            let status = awake::status(&self.paths.status_socket).map_err(cannot())?;
            if self.is_over(status.as_ref())? {
                return Ok(None);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let group = Group::of(self.plan.map(|plan| &plan.body.start));
                return Ok(Some(
                    status.map_or("asleep", |status| word(status.phase, group)),
                ));
            }
            match self.until {
                // It may not be listening yet, which it does not tell either.
                Until::Ready if self.paths.status_socket.symlink_metadata().is_ok() => {
                    pause = LONGEST.min(pause * 2);
                    watch.wait(left.min(pause)).map_err(cannot())?;
                }
                Until::Ready => watch.wait(left).map_err(cannot())?,
                Until::Asleep => self.gone(left).map_err(cannot())?,
            }
        }
    }

    fn is_over(&self, status: Option<&Status>) -> Result<bool, Failure> {
        match (self.until, status) {
            (Until::Asleep, status) => Ok(status.is_none()),
            (Until::Ready, Some(status)) if is_ready(status) => Ok(true),
            (Until::Ready, Some(status))
                if status.phase == Phase::Failed && !self.tries_again() =>
            {
                let reason = status.error.as_deref().unwrap_or("nobody knows why");
                Err(Failure::plain(format!(
                    "`{}` does not wake: {reason}",
                    self.name
                )))
            }
            (Until::Ready, _) => Ok(false),
        }
    }

    /// Whether it is started again without a client.
    fn tries_again(&self) -> bool {
        self.plan.is_some_and(starts_with_project)
    }

    /// Waits until the activator has gone, in whatever way, or for so long.
    fn gone(&self, within: Duration) -> io::Result<()> {
        match awake::line(&self.paths.status_socket)? {
            Some(line) => ended(&line, within),
            None => Ok(()),
        }
    }

    /// Watches the folder of its sockets, or where that will be.
    fn watch(&self) -> io::Result<Folders> {
        let mut watch = Folders::new()?;
        let socket = &self.paths.status_socket;
        for folder in socket.ancestors().skip(1) {
            match watch.names(folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other.map(|()| watch),
            }
        }
        Ok(watch)
    }
}

/// Waits until a connection that says nothing has ended, or for so long.
fn ended(line: &impl AsFd, within: Duration) -> io::Result<()> {
    let within = Timespec::try_from(within).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(line, PollFlags::IN)];
    match poll(&mut fds, Some(&within)) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
        _ => Ok(()),
    }
}
