//! The file lock of a template (flock(2)): shared by those who clone it, exclusive for who makes or
//! removes it. Must not know what a template is.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    process,
    sync::mpsc,
    thread,
    time::Duration,
};

use camino::Utf8Path;

/// How long the slowest engine may take to make a template on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The lock, or who has it.
type Taken = Result<File, String>;

/// Makes the file, and the folders that lead to it.
pub(super) fn make(path: &Utf8Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    open(path).map(drop)
}

pub(super) fn shared(path: &Utf8Path) -> io::Result<Taken> {
    take(path, File::try_lock_shared, File::lock_shared)
}

pub(super) fn exclusive(path: &Utf8Path) -> io::Result<Taken> {
    let taken = take(path, File::try_lock, File::lock)?;
    if let Ok(mut file) = taken.as_ref() {
        // For those who wait.
        file.set_len(0)?;
        write!(file, "pid {}", process::id())?;
    }
    Ok(taken)
}

fn take(
    path: &Utf8Path,
    attempt: fn(&File) -> Result<(), TryLockError>,
    wait: fn(&File) -> io::Result<()>,
) -> io::Result<Taken> {
    let file = open(path)?;
    match attempt(&file) {
        Ok(()) => return Ok(Ok(file)),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // flock(2) has no timeout of its own, so a thread waits in it. When nobody listens to it any
    // more, the lock ends with the file.
    let (tell, told) = mpsc::channel();
    thread::Builder::new().spawn(move || tell.send(wait(&file).map(|()| file)).ok())?;
    match told.recv_timeout(PATIENCE) {
        Ok(locked) => locked.map(Ok),
        Err(_) => Ok(Err(fs::read_to_string(path)?)),
    }
}

/// The file is never removed: who waits for it would have the lock of one without a name.
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
