//! The cgroup of a world with a manager: made for its user, and removed.
//!
//! Must not know: what runs in it.
//!
//! systemd keeps its units in the cgroup2 hierarchy, be it the only one (`/sys/fs/cgroup`) or
//! beside the old ones (`/sys/fs/cgroup/unified`), so one place serves both kinds of machine.
//! Below it stand `manager`, which is the manager's, and `session`, where the commands of the
//! test run: outside of the manager, like the login session of a person.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use crate::process;
use crate::wait::poll;

/// How the directory of each world, and its cgroup, is called.
pub(super) const PREFIX: &str = "dz-";

/// The file in a world's directory that is locked as long as the world lives.
pub(super) const LOCK: &str = "lock";

/// How long the kernel may take to let go of a process that was killed.
const BOUND: Duration = Duration::from_secs(5);

/// A world's cgroup.
#[derive(Debug)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of the world in `world`.
    ///
    /// # Errors
    /// Why this machine has no place for it.
    pub(super) fn new(world: &Path, account: &Account) -> Result<Self, String> {
        let dir = home()?.join(world.file_name().unwrap_or_default());
        for part in [dir.clone(), dir.join("manager"), dir.join("session")] {
            fs::create_dir(&part).map_err(|error| format!("{}: {error}", part.display()))?;
            account.own(&part);
            for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
                account.own(&part.join(file));
            }
        }
        Ok(Self { dir })
    }

    /// Writing `0` here moves the writer into the manager's part.
    pub(super) fn manager(&self) -> PathBuf {
        self.dir.join("manager/cgroup.procs")
    }

    /// Writing `0` here moves the writer into the part of the test's commands.
    pub(super) fn session(&self) -> PathBuf {
        self.dir.join("session/cgroup.procs")
    }

    /// Whether a cgroup of the process table is the manager's or one of its units'.
    pub(super) fn is_managed(&self, cgroup: &str) -> bool {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let below = cgroup.split_once(&*name).map(|(_, below)| below);
        below.is_some_and(|below| below == "/manager" || below.starts_with("/manager/"))
    }

    /// Removes it; its processes have ended.
    ///
    /// # Errors
    /// What is still in use.
    pub(super) fn remove(self) -> Result<(), String> {
        remove(&self.dir)
    }
}

/// Ends what killed tests have left: the cgroups under ours whose world nobody holds.
pub(super) fn sweep() {
    let Some(cgroups) = home().ok().and_then(|home| fs::read_dir(home).ok()) else {
        return;
    };
    for entry in cgroups.filter_map(Result::ok) {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let world = Path::new("/tmp").join(&name);
        let held = File::open(world.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err());
        if held {
            continue;
        }
        // Another test may sweep the same one: what is gone is as good as what we removed.
        let swept = process::end_all(&world, BOUND).and_then(|()| remove(&entry.path()));
        if let Err(left) = swept {
            eprintln!("a killed test has left {}: {left}", entry.path().display());
        }
    }
}

/// The cgroup of the running test in the cgroup2 hierarchy, which stands where systemd expects it.
fn home() -> Result<PathBuf, String> {
    let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .find(|root| Path::new(root).join("cgroup.controllers").is_file())
        .ok_or("this machine has no cgroup2 hierarchy")?;
    let own = fs::read_to_string("/proc/self/cgroup")
        .map_err(|error| format!("/proc/self/cgroup: {error}"))?;
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    Ok(Path::new(root).join(own))
}

/// Removes a cgroup and those below it, as soon as the kernel has let go of their processes.
fn remove(dir: &Path) -> Result<(), String> {
    poll(BOUND, || {
        remove_now(dir).map_err(|error| format!("{}: {error}", dir.display()))
    })
}

fn remove_now(dir: &Path) -> io::Result<()> {
    let gone = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return gone(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_now(&entry.path())?;
        }
    }
    fs::remove_dir(dir).or_else(gone)
}
