//! The launchd of a world, in place of its `systemd --user`: the one for Linux of `tests/launchd`.
//!
//! Must not know: which agents a test gives it.
//!
//! It loads what is in `~/Library/LaunchAgents` when it starts, as at a login, and writes a log of
//! events that tests read instead of a clock.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::cgroup::Cgroup;
use super::manager::Manager;
use super::{BOUND, User, World};
use crate::programs;
use crate::tree;
use crate::wait::wait_until;

/// The launchd of a world, running or not.
#[derive(Debug)]
pub(super) struct Launchd {
    /// `tests/launchd`, where the world's user can read it.
    tools: PathBuf,
    /// Where it listens and writes.
    folder: PathBuf,
}

impl Launchd {
    /// What makes a program see this launchd, and `launchctl` before any other.
    pub(super) fn add_to(&self, environment: &mut Vec<(&'static str, OsString)>) {
        for (name, value) in environment.iter_mut() {
            if *name == "PATH" {
                let mut path = self.tools.join("bin").into_os_string();
                path.push(":");
                path.push(&value);
                *value = path;
            }
        }
        environment.push(("DOZE_INIT", "launchd".into()));
        environment.push(("DOZE_TEST_LAUNCHD", self.control().into()));
    }

    fn control(&self) -> PathBuf {
        self.folder.join("control")
    }

    fn words(&self) -> [OsString; 3] {
        let program = self.tools.join("launchd");
        [program.into(), "--socket".into(), self.control().into()]
    }
}

impl World {
    /// As [`World::with_manager`], with a launchd instead.
    pub fn with_launchd() -> Option<Self> {
        Self::with_launchd_of(User::Unprivileged)
    }

    /// As [`World::with_launchd`], for that user.
    pub fn with_launchd_of(user: User) -> Option<Self> {
        Self::managed(user, |world| {
            let folder = world.dir().join("launchd");
            world.make_dir(&folder);
            world.make_dir(&world.agents());
            let tools = world.readable(&programs::workspace().join("tests/launchd"));
            Some(Launchd { tools, folder })
        })
    }

    /// Where the world's user keeps its agents.
    pub fn agents(&self) -> PathBuf {
        self.home().join("Library/LaunchAgents")
    }

    /// Where launchd has its agents: `gui/UID`.
    pub fn launchd_domain(&self) -> String {
        format!("gui/{}", self.account.uid)
    }

    /// All that launchd has done so far, see `tests/launchd/events.py`.
    pub fn launchd_events(&self) -> Vec<Value> {
        let launchd = self.launchd.as_ref().expect("a world with launchd");
        let log = fs::read_to_string(launchd.folder.join("events.jsonl")).unwrap_or_default();
        // The last line may be in the making.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line| serde_json::from_str(line).expect("an event is JSON");
        whole.lines().map(parse).collect()
    }

    /// What of it is of one kind and about one agent.
    pub fn launchd_events_of(&self, label: &str, event: &str) -> Vec<Value> {
        let is = |found: &Value| {
            found.pointer("/label").is_some_and(|found| found == label)
                && found.pointer("/event").is_some_and(|found| found == event)
        };
        self.launchd_events().into_iter().filter(is).collect()
    }

    /// Waits until there are so many events of one kind about one agent, and returns the last.
    #[track_caller]
    pub fn wait_for_event(&self, label: &str, event: &str, count: usize) -> Value {
        wait_until(event, BOUND, || {
            let mut found = self.launchd_events_of(label, event);
            match found.pop() {
                Some(last) if found.len() + 1 >= count => Ok(last),
                _ => Err(format!("{:?}", self.launchd_events())),
            }
        })
    }

    /// A job that checks in for the names it is given, see `tests/launchd/probe.c`; where the
    /// world's user can run it.
    pub fn probe(&self) -> PathBuf {
        let probe = self.dir().join("bin").join(programs::launchd::PROBE);
        if !probe.is_file() {
            self.bring(programs::launchd::PROBE);
            self.bring(programs::launchd::LIBRARY);
        }
        probe
    }

    /// The activator of this world, whose library it is given as well.
    pub(super) fn launchd_activator(&self) -> PathBuf {
        self.bring(programs::launchd::LIBRARY);
        programs::launchd::activator().to_path_buf()
    }

    fn bring(&self, name: &str) {
        let to = self.dir().join("bin").join(name);
        if !to.is_file() {
            tree::link_or_copy(&programs::launchd::folder().join(name), &to);
        }
    }

    pub(super) fn start_launchd(&mut self, cgroup: Cgroup) {
        let launchd = self.launchd.as_ref().expect("a world with launchd");
        self.manager = Some(Manager::start(
            cgroup,
            self.dir(),
            &self.account,
            self.environment(),
            &launchd.words(),
        ));
        wait_until("launchd", BOUND, || self.launchd_answers());
    }

    fn launchd_answers(&self) -> Result<(), String> {
        let asked = self
            .command("launchctl")
            .args(["print", &self.launchd_domain()])
            .output()
            .map_err(|error| format!("launchctl: {error}"))?;
        if asked.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&asked.stderr);
        Err(format!("{said} {}", self.manager_log()))
    }
}
