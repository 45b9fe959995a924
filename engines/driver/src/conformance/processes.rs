//! The processes that work for one instance, found by the folder that they work in or name. It
//! must not know who started them.

use std::{fs, path::Path, time::Duration};

use camino::Utf8Path;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::until;

/// How long a killed process may take to be gone.
const BOUND: Duration = Duration::from_secs(10);

/// The processes with something of `folder` for their working folder or on their command line,
/// zombies left out.
pub(super) fn of(folder: &Utf8Path) -> Vec<i32> {
    let table = fs::read_dir("/proc").into_iter().flatten();
    table
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| belongs(*pid, folder))
        .collect()
}

/// Ends them with SIGKILL, new ones included.
pub(super) fn end_all(folder: &Utf8Path) -> Result<(), String> {
    until(BOUND, || {
        let left = of(folder);
        for pid in &left {
            // Held by a descriptor before the second look, for the id may be somebody else's now.
            let held = Pid::from_raw(*pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            if let Some(Ok(held)) = held
                && belongs(*pid, folder)
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

fn belongs(pid: i32, folder: &Utf8Path) -> bool {
    let file = |name: &str| format!("/proc/{pid}/{name}");
    // Without its last slash: the folder itself counts as well.
    let folder = folder.as_str().trim_end_matches('/');
    let works_there =
        fs::read_link(file("cwd")).is_ok_and(|cwd| cwd.starts_with(Path::new(folder)));
    works_there
        || fs::read(file("cmdline")).is_ok_and(|line| {
            line.windows(folder.len())
                .any(|window| window == folder.as_bytes())
        })
}
