//! Templates: fresh data directories that were made once, and that others are cloned from.
//!
//! Owns the templates folder of a user: a folder for each key, `.KEY.new` for one that is not whole
//! yet, and `.locks/KEY`, the file lock of both. Must not know what is in a template.

mod clone;
mod lock;

use std::{
    error::Error,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::protocol::ProvisionCall;

/// The longest key in bytes; `.KEY.new` has to be the name of a file, too.
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

/// Fills the fresh data directory of `call` with a clone of the template `key`. If there is no such
/// template, `make` makes it in a new, empty folder of mode 0700, and it is kept for the next ones;
/// who needs the same meanwhile waits for it. Nothing is left of one that fails.
///
/// The key names all that the content depends on, such as the exact version and the options, and
/// nothing of the instance.
///
/// Clones share their blocks with the template where the file system is able to (`copy_file_range(2)`
/// or clonefile(2)), and are copies elsewhere. Modes and symbolic links are as in the template. Where
/// the templates folder cannot be written to, `make` fills the data directory itself.
pub fn from_template<E: Error + 'static>(
    call: &ProvisionCall,
    key: &str,
    make: impl FnOnce(&Utf8Path) -> Result<(), E>,
) -> Result<(), TemplateError<E>> {
    if key.is_empty() || key.len() > LONGEST || key.starts_with('.') || key.contains(['/', '\0']) {
        return Err(TemplateError::Key(key.to_owned()));
    }
    let folder = &call.plan.paths.templates;
    let template = folder.join(key);
    let path = folder.join(".locks").join(key);
    if lock::make(&path).is_err() {
        return make(&call.data).map_err(TemplateError::Make);
    }
    let file = |error| TemplateError::File(path.clone(), error);
    let held = |holder| TemplateError::Held(template.clone(), holder);
    // As long as it is shared, nobody removes the template.
    let mut lock = lock::shared(&path).map_err(file)?.map_err(held)?;
    if !template.is_dir() {
        drop(lock);
        lock = lock::exclusive(&path).map_err(file)?.map_err(held)?;
        if !template.is_dir() {
            build(&template, &folder.join(format!(".{key}.new")), make)?;
        }
    }
    let cloned = clone::folder(&template, &call.data);
    drop(lock);
    cloned.map_err(|(path, error)| TemplateError::File(path, error))
}

/// Makes a template at `aside`, where one may be left that was not finished, and puts it into its place when
/// it is on the disk.
fn build<E: Error + 'static>(
    template: &Utf8Path,
    aside: &Utf8Path,
    make: impl FnOnce(&Utf8Path) -> Result<(), E>,
) -> Result<(), TemplateError<E>> {
    let file = |error| TemplateError::File(aside.to_owned(), error);
    remove(aside).map_err(file)?;
    DirBuilder::new().mode(0o700).create(aside).map_err(file)?;
    if let Err(error) = make(aside) {
        // What stays is removed by the next one.
        drop(remove(aside));
        return Err(TemplateError::Make(error));
    }
    clone::to_disk(aside).map_err(file)?;
    fs::rename(aside, template).map_err(file)
}

fn remove(folder: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
