//! Templates: fresh data directories that were made once, and that others are cloned from.
//!
//! Owns the templates folder of a user: a folder for each key, `.KEY.new` for one that is not whole
//! yet, and `.locks/KEY`, the file lock of both. `KEY.spare` is a clone that waits for whoever is the
//! next to need one; it has a lock of its own. Must not know what is in a template.

mod clone;
mod lock;

use std::{
    convert::Infallible,
    error::Error,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, protocol::ProvisionCall};

/// The longest key in bytes; `.KEY.spare.new` has to be the name of a file, too.
const LONGEST: usize = 200;

/// Why there is no clone of a template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError<E: Error + 'static> {
    /// It could not be made.
    #[error(transparent)]
    Make(E),
    /// The key cannot be the name of a folder.
    #[error("`{0}` cannot be the name of a template")]
    Key(String),
    /// Somebody else makes it, and does not come to an end.
    #[error("the template {0} is being made by {1}, for too long; stop it, and connect again")]
    Held(Utf8PathBuf, String),
    /// A file or folder on the way.
    #[error("cannot make the data directory from a template: {0}")]
    File(Utf8PathBuf, #[source] io::Error),
}

/// Fills the fresh data directory of `call` with a clone of the template `key`, which is on the disk
/// then. If there is no such template, `make` makes it in a new, empty folder of mode 0700, and it is
/// kept for the next ones; who needs the same meanwhile waits for it. Nothing is left of one that fails.
///
/// The key names all that the content depends on, such as the exact version and the options, and
/// nothing of the instance.
///
/// If [`replenish`] has left a clone, it is that. Others share their blocks with the template where the
/// file system is able to (`copy_file_range(2)` or clonefile(2)), and are copies elsewhere. Modes and
/// symbolic links are as in the template. Where the templates folder cannot be written to, `make` fills
/// the data directory itself.
pub fn from_template<E: Error + 'static>(
    call: &ProvisionCall,
    key: &str,
    make: impl FnOnce(&Utf8Path) -> Result<(), E>,
) -> Result<(), TemplateError<E>> {
    if key.is_empty() || key.len() > LONGEST || key.starts_with('.') || key.contains(['/', '\0']) {
        return Err(TemplateError::Key(key.to_owned()));
    }
    let folder = &call.plan.paths.templates;
    // Another file system takes none.
    if fs::rename(folder.join(spare(key)), &call.data).is_ok() {
        return Ok(());
    }
    let path = lock_of(folder, key);
    if lock::make(&path).is_err() {
        make(&call.data).map_err(TemplateError::Make)?;
    } else {
        let template = folder.join(key);
        let file = |error| TemplateError::File(path.clone(), error);
        let held = |holder| TemplateError::Held(template.clone(), holder);
        // As long as it is shared, nobody removes the template.
        let mut lock = lock::shared(&path).map_err(file)?.map_err(held)?;
        if !template.is_dir() {
            drop(lock);
            lock = lock::exclusive(&path).map_err(file)?.map_err(held)?;
            if !template.is_dir() {
                build(folder, key, |aside| {
                    make(aside).map_err(TemplateError::Make)
                })?;
            }
        }
        clone::folder(&template, &call.data).map_err(not_cloned)?;
        drop(lock);
    }
    to_disk(&call.data).map_err(|error| TemplateError::File(call.data.clone(), error))
}

/// Makes the clone that the next fresh data directory will be, unless there is one, or no template. It
/// is for [`crate::Driver::replenish`], when nobody waits.
pub fn replenish(plan: &Plan, key: &str) -> Result<(), TemplateError<Infallible>> {
    let (folder, spare) = (&plan.paths.templates, spare(key));
    let (path, place) = (lock_of(folder, &spare), folder.join(&spare));
    let template = folder.join(key);
    if !template.is_dir() {
        return Ok(());
    }
    let file = |error| TemplateError::File(path.clone(), error);
    let held = |holder| TemplateError::Held(place.clone(), holder);
    lock::make(&path).map_err(file)?;
    let _alone = lock::exclusive(&path).map_err(file)?.map_err(held)?;
    if place.is_dir() {
        return Ok(());
    }
    // As long as it is shared, nobody removes the template.
    let _template = lock::shared(&lock_of(folder, key))
        .map_err(file)?
        .map_err(held)?;
    build(folder, &spare, |aside| {
        clone::folder(&template, aside).map_err(not_cloned)
    })
}

/// Waits until all that was written in the file system of `folder` is on the disk.
pub fn to_disk(folder: &Utf8Path) -> io::Result<()> {
    clone::to_disk(folder)
}

/// The key of the clone that waits.
fn spare(key: &str) -> String {
    format!("{key}.spare")
}

fn lock_of(folder: &Utf8Path, key: &str) -> Utf8PathBuf {
    folder.join(".locks").join(key)
}

fn not_cloned<E: Error + 'static>((path, error): (Utf8PathBuf, io::Error)) -> TemplateError<E> {
    TemplateError::File(path, error)
}

/// Clones what is in `from` into the empty folder `to`, as [`from_template`] does it.
#[cfg(feature = "conformance")]
pub(crate) fn clone(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    clone::folder(from, to).map_err(|(path, error)| {
        io::Error::new(error.kind(), format!("cannot clone {path}: {error}"))
    })
}

/// Makes a template aside, where one may be left that was not finished, and puts it into its place when
/// it is on the disk.
fn build<E: Error + 'static>(
    folder: &Utf8Path,
    key: &str,
    make: impl FnOnce(&Utf8Path) -> Result<(), TemplateError<E>>,
) -> Result<(), TemplateError<E>> {
    let aside = folder.join(format!(".{key}.new"));
    let file = |error| TemplateError::File(aside.clone(), error);
    remove(&aside).map_err(file)?;
    DirBuilder::new().mode(0o700).create(&aside).map_err(file)?;
    if let Err(error) = make(&aside) {
        // What stays is removed by the next one.
        drop(remove(&aside));
        return Err(error);
    }
    to_disk(&aside).map_err(file)?;
    fs::rename(&aside, folder.join(key)).map_err(file)
}

fn remove(folder: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
