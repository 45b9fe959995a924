//! The entries of a tar stream, as the few things that they may be.
//!
//! Must not know where they are written.

use std::{borrow::Cow, io::Read};

use camino::{Utf8Path, Utf8PathBuf};
use tar::{Archive, EntryType};

use crate::unpack::{
    UnpackError,
    path::{self, PathError, clean, stays_inside},
};

/// A file, a directory or a symbolic link, under a name that may be used.
pub(super) struct Entry<'a, R: Read> {
    pub(super) path: Utf8PathBuf,
    pub(super) what: What,
    /// What is in a file.
    pub(super) body: tar::Entry<'a, R>,
}

pub(super) enum What {
    Directory,
    File { executable: bool },
    Link { target: String },
}

/// The entries one after the other.
pub(super) struct Entries<'a, R: Read> {
    inner: tar::Entries<'a, R>,
    left: u64,
    max: u64,
}

impl<'a, R: Read> Entries<'a, R> {
    /// At most `max` of them, with what belongs to them.
    pub(super) fn new(archive: &'a mut Archive<R>, max: u64) -> Result<Self, UnpackError> {
        // Taken as they are, for the library would keep names of any length in memory.
        let inner = archive.entries().map_err(UnpackError::Tar)?.raw(true);
        let left = max;
        Ok(Self { inner, left, max })
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry<'a, R>>, UnpackError> {
        let (mut long_name, mut long_target) = (None, None);
        while let Some(entry) = self.raw()? {
            let kind = entry.header().entry_type();
            if kind == EntryType::GNULongName {
                long_name = Some(long(entry)?);
            } else if kind == EntryType::GNULongLink {
                long_target = Some(long(entry)?);
            } else {
                let name = long_name.unwrap_or_else(|| entry.path_bytes().into_owned());
                let target = match long_target {
                    None => entry.link_name_bytes().map(Cow::into_owned),
                    some => some,
                };
                return read(entry, &name, target.unwrap_or_default()).map(Some);
            }
        }
        Ok(None)
    }

    fn raw(&mut self) -> Result<Option<tar::Entry<'a, R>>, UnpackError> {
        let Some(entry) = self.inner.next() else {
            return Ok(None);
        };
        let entry = entry.map_err(UnpackError::Tar)?;
        let too_many = UnpackError::Entries { max: self.max };
        self.left = self.left.checked_sub(1).ok_or(too_many)?;
        Ok(Some(entry))
    }
}

/// A name that is too long for a header and stands in an entry of its own, ended by a zero byte.
fn long<R: Read>(mut entry: tar::Entry<'_, R>) -> Result<Vec<u8>, UnpackError> {
    if entry.size() > path::LENGTH as u64 + 1 {
        return Err(UnpackError::Path {
            path: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            source: PathError::TooLong,
        });
    }
    let mut name = Vec::new();
    entry.read_to_end(&mut name).map_err(UnpackError::Tar)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn read<'a, R: Read>(
    body: tar::Entry<'a, R>,
    name: &[u8],
    target: Vec<u8>,
) -> Result<Entry<'a, R>, UnpackError> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let unnamed = |source| UnpackError::Path {
        path: shown.clone(),
        source,
    };
    let path = clean(name).map_err(unnamed)?;
    let kind = body.header().entry_type();
    let mode = body.header().mode().map_err(UnpackError::Tar)?;
    if path.as_str().is_empty() && kind != EntryType::Directory {
        return Err(unnamed(PathError::Empty));
    }
    let what = if kind == EntryType::Symlink {
        let target = inside(&path, target).map_err(|target| UnpackError::LinkOut {
            path: shown,
            target,
        })?;
        What::Link { target }
    } else if kind != EntryType::Directory && kind != EntryType::Regular {
        let what = name_of(kind);
        return Err(UnpackError::Kind { path: shown, what });
    } else if mode & 0o7000 != 0 {
        return Err(UnpackError::Mode { path: shown, mode });
    } else if kind == EntryType::Directory {
        What::Directory
    } else {
        let executable = mode & 0o111 != 0;
        What::File { executable }
    };
    Ok(Entry { path, what, body })
}

/// What a link says, if that stays inside.
fn inside(link: &Utf8Path, target: Vec<u8>) -> Result<String, String> {
    match String::from_utf8(target) {
        Ok(target) if stays_inside(link, &target) => Ok(target),
        Ok(target) => Err(target),
        Err(error) => Err(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn name_of(kind: EntryType) -> &'static str {
    if kind.is_hard_link() {
        "a hard link"
    } else if kind.is_character_special() || kind.is_block_special() {
        "a device"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "something that is no file, directory or symbolic link"
    }
}
