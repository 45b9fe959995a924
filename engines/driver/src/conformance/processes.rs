//! The processes that work for one instance, found by the folder that they work in or name. It
//! must not know who started them.

use std::{fs, os::fd::OwnedFd, time::Duration};

use camino::Utf8Path;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::until;

/// How long a killed process may take to be gone.
const BOUND: Duration = Duration::from_secs(10);

/// The processes that work in `folder` or name something of it on their command line, zombies left
/// out.
pub(super) fn of(folder: &Utf8Path) -> Vec<i32> {
    all()
        .filter(|pid| works_in(*pid, folder) || names(*pid, folder))
        .collect()
}

/// Ends those that work in `folder` with SIGKILL, new ones included. Who only names it may be
/// somebody who looks on.
pub(super) fn end_all(folder: &Utf8Path) -> Result<(), String> {
    until(BOUND, || {
        let left: Vec<i32> = all().filter(|pid| works_in(*pid, folder)).collect();
        for pid in &left {
            // Held by a descriptor before the second look, for the id may be somebody else's now.
            let held = Pid::from_raw(*pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            if let Some(Ok(held)) = held
                && works_in(*pid, folder)
            {
                // Fails only when it is gone already.
                let _killed = pidfd_send_signal(held, Signal::KILL);
            }
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("the processes {left:?} are left"))
        }
    })
}

/// Kills a process with all that it has started, those in sessions of their own included: an engine
/// may fork while it is killed, and what was just forked may not have learnt yet whom to watch. So
/// each is stopped before its children are looked for, and none is killed before all are stopped.
pub(super) fn kill_tree(root: Pid) {
    let mut tree: Vec<(i32, OwnedFd)> = Vec::new();
    let mut found = vec![root.as_raw_nonzero().get()];
    while !found.is_empty() {
        for pid in found {
            let held = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            let Some(Ok(held)) = held else { continue };
            // Fails only when it is gone, and then it has no children.
            let _stopped = pidfd_send_signal(&held, Signal::STOP);
            let _settled = until(BOUND, || match stat(pid) {
                Some((state, _)) if !is_still(state) => Err(format!("{pid} is {state}")),
                _ => Ok(()),
            });
            tree.push((pid, held));
        }
        let known = |pid: &i32| tree.iter().any(|(known, _)| known == pid);
        let child = |pid: &i32| stat(*pid).is_some_and(|(_, parent)| known(&parent));
        found = all().filter(|pid| !known(pid) && child(pid)).collect();
    }
    for (_, held) in &tree {
        let _killed = pidfd_send_signal(held, Signal::KILL);
    }
}

/// Stopped, dead, or on the way to it.
fn is_still(state: char) -> bool {
    matches!(state, 'T' | 't' | 'Z' | 'X')
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

fn works_in(pid: i32, folder: &Utf8Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
}

fn names(pid: i32, folder: &Utf8Path) -> bool {
    // Without its last slash: the folder itself counts as well.
    let folder = folder.as_str().trim_end_matches('/').as_bytes();
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.windows(folder.len()).any(|window| window == folder))
}
