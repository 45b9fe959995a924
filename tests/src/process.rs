//! The process table, read by world: which processes belong to one, and ending them.
//!
//! Must not know: how a world starts processes.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::wait::poll;

/// The environment variable that marks each process of a world with the world's directory.
pub const MARKER: &str = "DOZE_TEST_WORLD";

/// A process of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id, outside of any namespace.
    pub pid: i32,
    /// Its command line, the arguments separated by one space.
    pub command: String,
    /// Its cgroup (v2), `/` where there is none.
    pub cgroup: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.pid, self.command, self.cgroup)
    }
}

/// Every process of the world whose directory is `world`: those in its cgroup, wherever their
/// environment comes from, and those that carry its marker, wherever they were moved.
///
/// Zombies are left out: they hold nothing but their id, and to collect them is their parent's
/// business.
pub fn of(world: &Path) -> Vec<Process> {
    let table = fs::read_dir("/proc").expect("/proc is readable");
    let mut found: Vec<Process> = table
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| read(pid, world))
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Ends every process of a world with SIGKILL, new ones included, until none is left.
///
/// # Errors
/// The list of those still alive after `bound`.
pub(crate) fn end_all(world: &Path, bound: Duration) -> Result<(), String> {
    poll(bound, || {
        let alive = of(world);
        for process in &alive {
            signal(process.pid, world, Signal::KILL);
        }
        if alive.is_empty() {
            Ok(())
        } else {
            Err(list(&alive))
        }
    })
}

/// One line for each process, for messages.
pub fn list(processes: &[Process]) -> String {
    processes
        .iter()
        .map(Process::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Sends a signal to a process of a world; whether it was still there to get it.
///
/// The id could have been given to somebody else since the table was read: so hold the process by
/// a descriptor first, look again, and only then send the signal.
pub fn signal(pid: i32, world: &Path, signal: Signal) -> bool {
    let Some(held) = Pid::from_raw(pid).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok())
    else {
        return false;
    };
    match read(pid, world).map(|_| pidfd_send_signal(held, signal)) {
        Some(Ok(())) => true,
        Some(Err(Errno::SRCH)) | None => false,
        Some(Err(error)) => {
            eprintln!("process {pid} takes no signal: {error}");
            false
        }
    }
}

/// The process, if it is there and belongs to the world. One that ends meanwhile is not there.
fn read(pid: i32, world: &Path) -> Option<Process> {
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let text = |name: &str| Some(String::from_utf8_lossy(&file(name)?).into_owned());

    let cgroup = text("cgroup")?;
    let cgroup = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let name = world.file_name()?.to_str()?;
    let ours = cgroup.split('/').any(|part| part == name) || {
        let mark = format!("{MARKER}={}", world.display());
        file("environ")?
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_bytes())
    };
    // The state stands behind the name, which may hold anything but ends at the last `)`.
    if !ours
        || text("stat")?
            .rsplit_once(')')?
            .1
            .trim_start()
            .starts_with(['Z', 'X'])
    {
        return None;
    }
    let command = text("cmdline")?.trim_end_matches('\0').replace('\0', " ");
    Some(Process {
        pid,
        command,
        cgroup: cgroup.to_owned(),
    })
}
