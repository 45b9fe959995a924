//! The table of processes, by proc(5).

use std::{fs, os::fd::OwnedFd};

use camino::Utf8Path;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that a signal can reach and nobody else with its number.
#[derive(Debug)]
pub(super) struct Held(OwnedFd);

impl Held {
    /// Nothing if it is gone.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty());
        held.ok().map(Self)
    }

    /// Fails only when it is gone.
    pub(super) fn signal(&self, signal: Signal) {
        let _sent = pidfd_send_signal(&self.0, signal);
    }
}

/// The state of a process as ps(1) writes it; nothing if it is gone.
pub(super) fn state(pid: i32) -> Option<char> {
    Some(stat(pid)?.0)
}

/// Those that have one of these for a parent.
pub(super) fn children(parents: &[i32]) -> Vec<i32> {
    let is_child = |pid: &i32| stat(*pid).is_some_and(|(_, parent)| parents.contains(&parent));
    all().filter(is_child).collect()
}

/// Those that work in a folder, zombies left out.
pub(super) fn work_in(folder: &Utf8Path) -> Vec<i32> {
    let cwd = |pid| fs::read_link(format!("/proc/{pid}/cwd"));
    all()
        .filter(|pid| cwd(*pid).is_ok_and(|cwd| cwd.starts_with(folder)))
        .collect()
}

/// Those that have this text on their command line, zombies left out.
pub(super) fn name(text: &str) -> Vec<i32> {
    let says = |line: Vec<u8>| {
        line.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    all()
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(says))
        .collect()
}

/// The state of a process and its parent (`proc_pid_stat(5)`); nothing if it is gone.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, parentheses included.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn all() -> impl Iterator<Item = i32> {
    let table = fs::read_dir("/proc").into_iter().flatten();
    table.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
