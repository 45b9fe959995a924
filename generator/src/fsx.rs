//! Files that are there completely or not at all.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use camino::Utf8Path;
use tempfile::Builder;

/// Replaces the file as a whole: whoever reads it sees the old text or the new one. Folders that
/// are not there yet are made, for their owner only.
pub(crate) fn replace(path: &Utf8Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Utf8Path::new("/"));
    // A temporary file that the library opens itself has its name, which tells nobody anything, in
    // every error.
    let open = |path: &Path| {
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).open(path)
    };
    let temporary = || Builder::new().prefix(".doze-").make_in(folder, open);
    let mut file = match temporary() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            temporary()?
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_names_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        replace(&folder.join("file"), "", 0o600).unwrap();
        let error = replace(&folder.join("file/below"), "", 0o600).unwrap_err();
        assert_eq!(error.to_string(), "Not a directory (os error 20)");
    }
}
