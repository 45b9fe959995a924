//! The table of processes, by ps(1), which every macOS has. Must not know what they are for.

use std::process::{Command, Stdio};

/// A process, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// That of its parent.
    pub(crate) parent: u32,
    /// Its command line.
    pub(crate) command: String,
}

/// All of them; none if ps cannot be run.
pub(crate) fn all() -> Vec<Process> {
    let mut ps = Command::new("/bin/ps");
    ps.args(["-axwwo", "pid=,ppid=,command="]);
    let Ok(told) = ps.stdin(Stdio::null()).output() else {
        return Vec::new();
    };
    let told = String::from_utf8_lossy(&told.stdout);
    let process = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (parent, command) = rest.trim_start().split_once(' ')?;
        Some(Process {
            pid: pid.parse().ok()?,
            parent: parent.parse().ok()?,
            command: command.into(),
        })
    };
    told.lines().filter_map(process).collect()
}
