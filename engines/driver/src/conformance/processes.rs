//! The processes that work for one instance, found by the folder that they work in or name. It
//! must not know who started them.

#[cfg_attr(target_os = "linux", path = "processes/linux.rs")]
#[cfg_attr(target_os = "macos", path = "processes/macos.rs")]
mod table;

use std::time::Duration;

use camino::Utf8Path;
use rustix::process::{Pid, Signal};

use self::table::Held;
use super::until;

/// How long a killed process may take to be gone.
const BOUND: Duration = Duration::from_secs(10);

/// The processes that work in `folder` or name something of it on their command line, zombies left
/// out.
pub(super) fn of(folder: &Utf8Path) -> Vec<i32> {
    let mut found = table::work_in(folder);
    // Without its last slash: the folder itself counts as well.
    found.extend(table::name(folder.as_str().trim_end_matches('/')));
    found.sort_unstable();
    found.dedup();
    found
}

/// Ends those that work in `folder` with SIGKILL, new ones included. Who only names it may be
/// somebody who looks on.
pub(super) fn end_all(folder: &Utf8Path) -> Result<(), String> {
    until(BOUND, || {
        let found = table::work_in(folder);
        let held = found.iter().map(|pid| (pid, Held::of(*pid)));
        let held: Vec<_> = held.collect();
        // Held before the second look, for a number may be somebody else's now.
        let left = table::work_in(folder);
        for (pid, held) in held {
            if let Some(held) = held.filter(|_| left.contains(pid)) {
                held.signal(Signal::KILL);
            }
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("the processes {found:?} are left"))
        }
    })
}

/// Kills a process with all that it has started, those in sessions of their own included: an engine
/// may fork while it is killed, and what was just forked may not have learnt yet whom to watch. So
/// each is stopped before its children are looked for, and none is killed before all are stopped.
pub(super) fn kill_tree(root: Pid) {
    let (mut known, mut tree) = (Vec::new(), Vec::new());
    let mut found = vec![root.as_raw_nonzero().get()];
    while !found.is_empty() {
        for pid in found {
            let Some(held) = Held::of(pid) else { continue };
            // One that is gone has no children.
            held.signal(Signal::STOP);
            let _settled = until(BOUND, || match table::state(pid) {
                Some(state) if !is_still(state) => Err(format!("{pid} is {state}")),
                _ => Ok(()),
            });
            known.push(pid);
            tree.push(held);
        }
        found = table::children(&known);
        found.retain(|pid| !known.contains(pid));
    }
    for held in &tree {
        held.signal(Signal::KILL);
    }
}

/// Stopped, dead, or on the way to it.
fn is_still(state: char) -> bool {
    matches!(state, 'T' | 't' | 'Z' | 'X')
}
