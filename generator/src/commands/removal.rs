//! Removing the data of an instance that nobody has open.

use doze_contract::{exit::Exit, plan::Paths};
use doze_registry::lock::FileLock;

use crate::{data, failure::Failure};

/// Removes the data of an instance, if there is any. Fails if somebody has it open.
pub(super) fn data(paths: &Paths) -> Result<(), Failure> {
    let Some(lock) = FileLock::attempt(&paths.lock)? else {
        return Err(in_use(paths));
    };
    remove_locked(paths, lock)
}

/// Removes the data whose file lock this is. Who waits for the lock has it before the data is gone
/// from the disk, and finds none.
pub(super) fn remove_locked(paths: &Paths, lock: FileLock) -> Result<(), Failure> {
    let cannot = || Failure::io(format!("remove {}", paths.data));
    let aside = data::set_aside(&paths.data).map_err(cannot())?;
    drop(lock);
    aside.map_or(Ok(()), |aside| data::remove(&aside).map_err(cannot()))
}

/// The data cannot be removed now.
pub(super) fn in_use(paths: &Paths) -> Failure {
    let holder = FileLock::holder(&paths.lock);
    let holder = holder.unwrap_or_else(|| "another process".into());
    Failure::Plain {
        message: format!("{} is in use by {holder}; it stays", paths.data),
        hint: None,
        exit: Exit::Failed,
    }
}
