//! File locks (flock(2)) that name their holder.
//!
//! Must not know what is locked.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    sync::mpsc,
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

/// A held file lock. It ends with this value. The file stays, unless its holder removes it:
/// whoever waited for it then takes the lock of the file that has its name now.
#[derive(Debug)]
pub struct FileLock(File);

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

impl FileLock {
    /// Takes the lock. If somebody has it, `waiting` is told who, and it is waited for.
    pub fn take(
        path: &Utf8Path,
        patience: Duration,
        waiting: impl FnOnce(&str),
    ) -> Result<Self, LockError> {
        let system = |source| LockError::System {
            path: path.to_owned(),
            source,
        };
        if let Some(lock) = Self::attempt(path)? {
            return Ok(lock);
        }
        let file = open(path).map_err(system)?;
        let holder = holder(&file).unwrap_or_else(|| "another process".into());
        waiting(&holder);
        let locked = wait(file, path.to_owned(), patience).map_err(system)?;
        locked.map(Self).ok_or_else(|| LockError::Held {
            path: path.to_owned(),
            patience,
            holder,
        })
    }

    /// Takes the lock if nobody has it.
    pub fn attempt(path: &Utf8Path) -> Result<Option<Self>, LockError> {
        let attempt = || loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) if is_named(&file, path)? => return Ok(Some(Self(file))),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        };
        attempt().map_err(|source| LockError::System {
            path: path.to_owned(),
            source,
        })
    }

    /// Who has the lock, as far as that can be told.
    pub fn holder(path: &Utf8Path) -> Option<String> {
        holder(&File::open(path).ok()?)
    }

    /// Removes the file of this lock, whose path it is, and ends it.
    pub fn remove(self, path: &Utf8Path) -> io::Result<()> {
        if is_named(&self.0, path)? {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Whether the open file is still the one of this name.
fn is_named(file: &File, path: &Utf8Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The file, and the folders that lead to it, are made for their owner only.
fn open(path: &Utf8Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
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
fn wait(file: File, path: Utf8PathBuf, patience: Duration) -> io::Result<Option<File>> {
    let (locked, result) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Nobody listens any more when the time is over; the lock ends with the file then.
        drop(locked.send(locked_as_named(file, &path)));
    })?;
    result.recv_timeout(patience).ok().transpose()
}

fn locked_as_named(mut file: File, path: &Utf8Path) -> io::Result<File> {
    loop {
        file.lock()?;
        if is_named(&file, path)? {
            return Ok(file);
        }
        file = open(path)?;
    }
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

    fn path(folder: &tempfile::TempDir) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(folder.path().join("new/lock")).unwrap()
    }

    #[test]
    fn a_lock_is_had_by_one_and_its_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let never = |_: &str| panic!("nobody has it");
        let first = FileLock::take(&path, Duration::ZERO, never).unwrap();
        assert!(FileLock::attempt(&path).unwrap().is_none());
        let me = format!("(pid {})", std::process::id());
        let mut told = String::new();
        let waiting = |holder: &str| told = holder.to_owned();
        let error = FileLock::take(&path, Duration::from_millis(1), waiting).unwrap_err();
        assert!(error.to_string().ends_with(&me), "{error}");
        assert!(told.ends_with(&me), "{told}");
        let second = thread::spawn({
            let path = path.clone();
            move || FileLock::take(&path, Duration::from_mins(1), |_| ()).is_ok()
        });
        drop(first);
        assert!(second.join().unwrap());
        // Who gave up may have had it for a moment.
        assert!(FileLock::take(&path, Duration::from_mins(1), |_| ()).is_ok());
    }

    #[test]
    fn whoever_waits_for_a_lock_that_is_removed_has_the_one_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let first = FileLock::attempt(&path).unwrap().unwrap();
        let (waits, told) = mpsc::channel();
        let second = thread::spawn({
            let path = path.clone();
            move || {
                let waiting = |_: &str| waits.send(()).unwrap();
                FileLock::take(&path, Duration::from_mins(1), waiting).unwrap()
            }
        });
        told.recv().unwrap();
        first.remove(&path).unwrap();
        // Even where its folder went along: it may be too late to see that, or not.
        fs::remove_dir(path.parent().unwrap()).ok();
        let second = second.join().unwrap();
        assert!(FileLock::attempt(&path).unwrap().is_none());
        second.remove(&path).unwrap();
        assert!(!path.try_exists().unwrap());
    }
}
