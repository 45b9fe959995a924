//! Files that are there completely or not at all.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
};

use camino::Utf8Path;
use tempfile::NamedTempFile;

/// Replaces the file as a whole: whoever reads it sees the old text or the new one. Folders that
/// are not there yet are made, for their owner only.
pub(crate) fn replace(path: &Utf8Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Utf8Path::new("/"));
    let mut file = match NamedTempFile::with_prefix_in(".doze-", folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            NamedTempFile::with_prefix_in(".doze-", folder)?
        }
        other => other?,
    };
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a folder and those above it, for their owner only.
pub(crate) fn make_folder(path: &Utf8Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What a file that doze wrote says, or nothing if it is not there. Bytes that are no text, as a
/// power loss may leave them, read as a text that is not the one that was written.
pub(crate) fn read(path: &Utf8Path) -> io::Result<Option<String>> {
    let bytes = missing_is_none(fs::read(path))?;
    // What is right needs no copy.
    let text = |bytes| {
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    };
    Ok(bytes.map(text))
}

/// Turns "not found" into nothing.
pub(crate) fn missing_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
