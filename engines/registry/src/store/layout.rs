//! Where things are in the store.
//!
//! Must not know what happens to them.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Digest, Kind, Package, store::StoreError};

/// The paths of a store.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Utf8Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// Makes the directories that belong to nothing in particular.
    pub(super) fn make(&self) -> Result<(), StoreError> {
        for folder in [self.parts(), self.asides(), self.locks()] {
            make_folder(&folder).map_err(|source| failed(&folder, source))?;
        }
        Ok(())
    }

    /// The tree of an archive.
    pub(super) fn tree(&self, package: &Package, sha256: &Digest) -> Utf8PathBuf {
        let Package {
            kind,
            name,
            version,
        } = package;
        let leaf = format!("{version}-{}", sha256.short());
        self.root.join(kind.folder()).join(name.as_str()).join(leaf)
    }

    pub(super) fn part(&self, sha256: &Digest) -> Utf8PathBuf {
        self.parts().join(sha256.to_string())
    }

    pub(super) fn aside(&self, sha256: &Digest) -> Utf8PathBuf {
        self.asides().join(sha256.to_string())
    }

    pub(super) fn lock(&self, sha256: &Digest) -> Utf8PathBuf {
        self.locks().join(sha256.to_string())
    }

    pub(super) fn parts(&self) -> Utf8PathBuf {
        self.root.join(".part")
    }

    pub(super) fn asides(&self) -> Utf8PathBuf {
        self.root.join(".unpack")
    }

    fn locks(&self) -> Utf8PathBuf {
        self.root.join(".locks")
    }

    /// All trees, in the order of their paths.
    pub(super) fn trees(&self) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut trees = Vec::new();
        for kind in [Kind::Engine, Kind::Module] {
            for name in children(&self.root.join(kind.folder()))? {
                trees.extend(children(&name)?);
            }
        }
        Ok(trees)
    }
}

/// What is in a directory, sorted; nothing if it is not there. Names that are no text are nobody's.
pub(super) fn children(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let read = || {
        let Some(entries) = missing_is_none(folder.read_dir_utf8())? else {
            return Ok(Vec::new());
        };
        let paths = entries.map(|entry| entry.map(camino::Utf8DirEntry::into_path));
        let mut paths: Vec<Utf8PathBuf> = paths.collect::<Result<_, io::Error>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|source| failed(folder, source))
}

/// Makes a folder and those above it, for their owner only.
pub(super) fn make_folder(path: &Utf8Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a file or a tree, if it is there.
pub(super) fn remove(path: &Utf8Path) -> Result<(), StoreError> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    missing_is_none(result)
        .map(|_| ())
        .map_err(|source| failed(path, source))
}

pub(super) fn failed(path: &Utf8Path, source: io::Error) -> StoreError {
    StoreError::System {
        path: path.to_owned(),
        source,
    }
}

/// Turns "not found" into nothing.
pub(super) fn missing_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
