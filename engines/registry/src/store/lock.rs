//! The file lock of whoever fetches or removes something.
//!
//! Must not know what is locked.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    sync::mpsc,
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

/// A held file lock. It ends with this value; the file stays, for removing it would let two
/// processes lock two files of one name.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Why a file lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The system does not let us.
    #[error("cannot lock {path}")]
    System {
        /// The file.
        path: Utf8PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// Somebody else has it.
    #[error("{path} has been locked for {} s by {holder}", .patience.as_secs_f32())]
    Held {
        /// The file.
        path: Utf8PathBuf,
        /// How long it was waited for.
        patience: Duration,
        /// Who has it.
        holder: String,
    },
}

impl Lock {
    /// Takes the lock; waits for its holder.
    pub(super) fn take(path: &Utf8Path, patience: Duration) -> Result<Self, LockError> {
        let system = |source| LockError::System {
            path: path.to_owned(),
            source,
        };
        let file = open(path).map_err(system)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::Error(source)) => Err(system(source)),
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&file).unwrap_or_else(|| "another process".into());
                let locked = wait(file, patience).map_err(system)?;
                locked.map(Self).ok_or_else(|| LockError::Held {
                    path: path.to_owned(),
                    patience,
                    holder,
                })
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub(super) fn attempt(path: &Utf8Path) -> Result<Option<Self>, LockError> {
        let attempt = || {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Self(file))),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        attempt().map_err(|source| LockError::System {
            path: path.to_owned(),
            source,
        })
    }
}

fn open(path: &Utf8Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// flock(2) has no timeout of its own, so a thread waits in it.
fn wait(file: File, patience: Duration) -> io::Result<Option<File>> {
    let (locked, result) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more when the time is over; the lock ends with the file then.
        drop(locked.send(file.lock().map(|()| file)));
    });
    result.recv_timeout(patience).ok().transpose()
}

/// Who holds the lock, by `/proc/locks` of proc(5): its lines end in `PID MAJOR:MINOR:INODE 0 EOF`.
fn holder(file: &File) -> Option<String> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let ours = |line: &&str| {
        line.split_whitespace()
            .nth(5)
            .is_some_and(|id| id.ends_with(&inode))
    };
    let pid = locks.lines().find(ours)?.split_whitespace().nth(4)?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (pid {pid})", command.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_by_one_and_its_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("lock")).unwrap();
        let first = Lock::take(&path, Duration::ZERO).unwrap();
        assert!(Lock::attempt(&path).unwrap().is_none());
        let error = Lock::take(&path, Duration::from_millis(1)).unwrap_err();
        let me = format!("(pid {})", std::process::id());
        assert!(error.to_string().ends_with(&me), "{error}");
        let second = thread::spawn({
            let path = path.clone();
            move || Lock::take(&path, Duration::from_mins(1)).is_ok()
        });
        drop(first);
        assert!(second.join().unwrap());
        assert!(Lock::attempt(&path).unwrap().is_some());
    }
}
