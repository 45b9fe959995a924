//! The table of processes, by ps(1) and lsof(8), which every macOS has.

use std::process::{Command, Stdio};

use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process};

/// A process that a signal can reach; its number may be somebody else's when it is gone, for there is
/// nothing else to reach it by.
#[derive(Debug)]
pub(super) struct Held(Pid);

impl Held {
    /// Nothing if it cannot be one.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Pid::from_raw(pid).map(Self)
    }

    /// Fails only when it is gone.
    pub(super) fn signal(&self, signal: Signal) {
        let _sent = kill_process(self.0, signal);
    }
}

/// The state of a process as ps(1) writes it; nothing if it is gone.
pub(super) fn state(pid: i32) -> Option<char> {
    let told = output("/bin/ps", &["-o", "state=", "-p", &pid.to_string()]);
    told.trim().chars().next()
}

/// Those that have one of these for a parent.
pub(super) fn children(parents: &[i32]) -> Vec<i32> {
    let told = output("/bin/ps", &["-axo", "pid=,ppid="]);
    let pairs = told.lines().filter_map(|line| {
        let (pid, parent) = line.trim().split_once(' ')?;
        Some((pid.parse().ok()?, parent.trim().parse().ok()?))
    });
    pairs
        .filter(|(_, parent)| parents.contains(parent))
        .map(|(pid, _)| pid)
        .collect()
}

/// Those that work in a folder.
pub(super) fn work_in(folder: &Utf8Path) -> Vec<i32> {
    let told = output("/usr/sbin/lsof", &["-d", "cwd", "-F", "pn"]);
    let (mut pid, mut found) = (None, Vec::new());
    for line in told.lines() {
        if let Some(number) = line.strip_prefix('p') {
            pid = number.parse().ok();
        } else if let (Some(pid), Some(cwd)) = (pid, line.strip_prefix('n'))
            && Utf8Path::new(cwd).starts_with(folder)
        {
            found.push(pid);
        }
    }
    found
}

/// Those that have this text on their command line.
pub(super) fn name(text: &str) -> Vec<i32> {
    let told = output("/bin/ps", &["-axwwo", "pid=,command="]);
    let lines = told.lines().filter(|line| line.contains(text));
    lines
        .filter_map(|line| line.trim().split_once(' ')?.0.parse().ok())
        .collect()
}

/// What a program says; nothing if it cannot be run.
fn output(program: &str, words: &[&str]) -> String {
    let told = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output();
    told.map_or_else(
        |_| String::new(),
        |told| String::from_utf8_lossy(&told.stdout).into_owned(),
    )
}
