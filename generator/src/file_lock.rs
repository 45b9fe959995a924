//! File locks that name their holder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    sync::mpsc,
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{fsx, output::complain};

/// How long to wait for somebody else to finish.
const PATIENCE: Duration = Duration::from_mins(1);

/// A held file lock. It ends with this value; the file stays, for removing it would let two
/// processes lock two files of one name.
#[derive(Debug)]
pub(crate) struct FileLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Why a file lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("cannot lock {path}")]
    System {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} has been locked for a minute by {holder}")]
    Held { path: Utf8PathBuf, holder: String },
}

/// Takes the lock; waits for its holder, whom it names, for a minute.
pub(crate) fn lock(path: &Utf8Path) -> Result<FileLock, LockError> {
    let system = |source| LockError::System {
        path: path.to_owned(),
        source,
    };
    let file = open(path).map_err(system)?;
    match file.try_lock() {
        Ok(()) => Ok(FileLock(file)),
        Err(TryLockError::Error(source)) => Err(system(source)),
        Err(TryLockError::WouldBlock) => {
            let holder = holder(&file).unwrap_or_else(|| "another command".into());
            complain(format_args!("waiting for {holder}\n"));
            let locked = wait(file).map_err(system)?;
            locked.map(FileLock).ok_or_else(|| LockError::Held {
                path: path.to_owned(),
                holder,
            })
        }
    }
}

fn open(path: &Utf8Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fsx::make_folder(folder)?;
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
fn wait(file: File) -> io::Result<Option<File>> {
    let (locked, result) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more when the time is over; the lock ends with the file then.
        drop(locked.send(file.lock().map(|()| file)));
    });
    result.recv_timeout(PATIENCE).ok().transpose()
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
    fn the_holder_is_named_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("lock")).unwrap();
        let first = lock(&path).unwrap();
        let file = open(&path).unwrap();
        let holder = holder(&file).unwrap();
        assert!(
            holder.ends_with(&format!("(pid {})", std::process::id())),
            "{holder}"
        );
        let second = thread::spawn(move || wait(file).unwrap().is_some());
        drop(first);
        assert!(second.join().unwrap());
    }
}
