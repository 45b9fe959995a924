//! The instance's file lock: whoever holds it has the data directory open.
//!
//! It is an flock(2) lock on a file that is never removed. The descriptor is inherited by every
//! process that works on the data, on purpose, and by no other: if the activator is killed and the
//! engine survives, the lock stays held until the engine is gone too.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::time::{Instant, sleep};

use crate::proc;

/// How long to wait for an engine that is still leaving.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether it has left. flock(2) tells nobody.
const POLL: Duration = Duration::from_millis(5);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("cannot open the lock {path}")]
    Open {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the data is in use: {path} has been held for {PATIENCE:?} by {holder}")]
    Held { path: Utf8PathBuf, holder: String },
}

/// The lock, held.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Runs `spawn`, whose process inherits the lock.
    pub(crate) fn shared<T>(&self, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        fcntl_setfd(&self.0, FdFlags::empty())?;
        let spawned = spawn();
        fcntl_setfd(&self.0, FdFlags::CLOEXEC)?;
        spawned
    }
}

/// Takes the lock, waiting a while if it is held.
pub(crate) async fn take(path: &Utf8Path) -> Result<Lock, LockError> {
    take_within(path, PATIENCE).await
}

async fn take_within(path: &Utf8Path, patience: Duration) -> Result<Lock, LockError> {
    let failed = |source| LockError::Open {
        path: path.to_owned(),
        source,
    };
    let file = open(path).map_err(failed)?;
    let give_up = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => sleep(POLL).await,
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    holder: proc::lock_holder(&file)
                        .unwrap_or_else(|| String::from("a process that cannot be named")),
                });
            }
        }
    }
    Ok(Lock(file))
}

fn open(path: &Utf8Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn path(folder: &tempfile::TempDir) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(folder.path().join("run/lock")).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_held_lock_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(&path(&folder)).await.unwrap();
        let error = take_within(&path(&folder), Duration::from_millis(20))
            .await
            .unwrap_err()
            .to_string();
        let pid = format!("(pid {})", std::process::id());
        assert!(error.contains(&pid), "{error}");
        drop(first);
        take(&path(&folder)).await.unwrap();
    }

    #[tokio::test]
    async fn only_a_child_that_shares_it_inherits_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let lock = take(&path).await.unwrap();
        let spawn = || Command::new("cat").stdin(Stdio::piped()).spawn();
        let mut child = lock.shared(spawn).unwrap();
        let mut other = spawn().unwrap();
        drop(lock);
        let soon = Duration::from_millis(20);
        take_within(&path, soon).await.unwrap_err();
        drop(child.stdin.take());
        child.wait().unwrap();
        take_within(&path, soon).await.unwrap();
        drop(other.stdin.take());
        other.wait().unwrap();
    }
}
