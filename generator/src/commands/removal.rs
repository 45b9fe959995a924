//! Removing the data of instances that nobody has open.

use doze_contract::{ProjectName, exit::Exit, plan::Paths};
use doze_registry::lock::FileLock;

use super::Context;
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

/// Removes what commands that were killed have left of such data. The caller holds the project's
/// lock.
pub(super) fn sweep(context: &Context, project: &ProjectName) -> Result<(), Failure> {
    let folder = context.dirs.data(project);
    data::sweep(&folder).map_err(Failure::io(format!("remove what is left in {folder}")))
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
