//! Stamps: files in a data directory that say what it was made for. Must not know what they say.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use camino::Utf8Path;

/// What a stamp says. A damaged one says what no plan does.
pub(crate) fn read(folder: &Utf8Path, name: &str) -> io::Result<Option<String>> {
    match fs::read(folder.join(name)) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a stamp as a whole. Whoever needs it on the disk sees to that: an older one, or a damaged one,
/// after a loss of power costs a question to the driver.
pub(crate) fn write(folder: &Utf8Path, name: &str, text: &str) -> io::Result<()> {
    let aside = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(aside, folder.join(name))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
