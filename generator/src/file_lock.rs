//! The lock of a project: one command at a time, and the next one says for whom it waits.

use std::time::Duration;

use camino::Utf8Path;
pub(crate) use doze_registry::lock::{FileLock, LockError};

use crate::output::complain;

/// How long to wait for somebody else to finish.
const PATIENCE: Duration = Duration::from_mins(1);

/// Takes the lock; waits for its holder, whom it names, for a minute.
pub(crate) fn lock(path: &Utf8Path) -> Result<FileLock, LockError> {
    let waiting = |holder: &str| complain(format_args!("waiting for {holder}\n"));
    FileLock::take(path, PATIENCE, waiting)
}
