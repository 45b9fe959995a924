//! The processes that work for one instance, found by the folder that they work in or name. It
//! must not know who started them.

use std::{fs, time::Duration};

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
