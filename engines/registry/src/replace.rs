//! Files that are on the disk completely or not at all, whatever happens meanwhile.
//!
//! Must not know what they hold.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
};

use camino::Utf8Path;
use tempfile::NamedTempFile;

/// Replaces the file as a whole, with mode 0644: whoever reads it sees the old bytes or the new
/// ones, even after a power loss.
pub(crate) fn replace(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    keep(file, path)
}

/// A file in the folder of `path` that goes away unless it is kept.
pub(crate) fn beside(path: &Utf8Path) -> io::Result<NamedTempFile> {
    NamedTempFile::with_prefix_in(".doze-", folder(path))
}

/// Gives a file from [`beside`] its name once its bytes are on the disk.
pub(crate) fn keep(file: NamedTempFile, path: &Utf8Path) -> io::Result<()> {
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Utf8Path) -> &Utf8Path {
    match path.parent() {
        Some(folder) if !folder.as_str().is_empty() => folder,
        Some(_) | None => Utf8Path::new("."),
    }
}
