//! The files of an archive, written below one directory and never anywhere else: each step on the
//! way to a file is opened by itself and may not be a symbolic link (openat(2), `O_NOFOLLOW`).
//!
//! Must not know the format of archives.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use blake3::{Hash, Hasher};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{Mode, OFlags, fchmod, mkdirat, openat, symlinkat},
    io::Errno,
};

use crate::{
    Digest,
    files::{self, ListWriter, Node},
    unpack::{
        UnpackError,
        entry::{Entry, What},
    },
};

/// Bytes that are hashed and written at once.
const CHUNK: usize = 64 * 1024;

/// What was written of a tree, and its list of files.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    /// The directory that was written into last; archives go through one after the other.
    open: Option<(Utf8PathBuf, OwnedFd)>,
    list: ListWriter<BufWriter<File>>,
    chunk: Vec<u8>,
    /// Files, directories and links that may still be made.
    left: u64,
    max: u64,
}

impl<'a> Tree<'a> {
    /// At most `max` files, directories and links: one entry can ask for directories by the hundred.
    pub(super) fn new(
        root: BorrowedFd<'a>,
        archive: &Digest,
        max: u64,
    ) -> Result<Self, UnpackError> {
        let create = || {
            let list = File::from(create(root, files::NAME, Mode::from(0o644))?);
            ListWriter::new(BufWriter::new(list), archive)
        };
        Ok(Self {
            root,
            open: None,
            list: create().map_err(listing)?,
            chunk: vec![0; CHUNK],
            left: max,
            max,
        })
    }

    /// Writes one entry.
    pub(super) fn add<R: Read>(&mut self, entry: Entry<'_, R>) -> Result<(), UnpackError> {
        let Entry { path, what, body } = entry;
        let node = match what {
            What::Directory => return self.enter(&path, &path),
            What::Link { target } => {
                self.count()?;
                let (folder, name) = self.folder_of(&path)?;
                symlinkat(&target, folder, name).map_err(|error| failed(&path, error))?;
                Node::Link(target)
            }
            What::File { executable } => {
                self.count()?;
                let hash = self.write(&path, executable, body)?;
                Node::File { executable, hash }
            }
        };
        self.list.add(&path, &node).map_err(listing)
    }

    /// Completes the list.
    pub(super) fn finish(self) -> Result<(), UnpackError> {
        self.list.finish().map_err(listing)
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        let too_many = UnpackError::Entries { max: self.max };
        self.left = self.left.checked_sub(1).ok_or(too_many)?;
        Ok(())
    }

    fn write(
        &mut self,
        path: &Utf8Path,
        executable: bool,
        mut body: impl Read,
    ) -> Result<Hash, UnpackError> {
        let mode = Mode::from(if executable { 0o755 } else { 0o644 });
        let (folder, name) = self.folder_of(path)?;
        let file = create(folder, name, mode).map_err(|error| failed(path, error))?;
        // Not what the umask leaves of it: the same archive gives the same tree.
        fchmod(&file, mode).map_err(|error| failed(path, error))?;
        let mut file = File::from(file);
        let mut hasher = Hasher::new();
        loop {
            let count = match body.read(&mut self.chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Tar(error)),
            };
            let bytes = self.chunk.get(..count).unwrap_or_default();
            hasher.update(bytes);
            file.write_all(bytes).map_err(|source| UnpackError::Write {
                path: path.to_string(),
                source,
            })?;
        }
        Ok(hasher.finalize())
    }

    /// The directory that holds a path, and the last word of the path.
    fn folder_of<'p>(
        &mut self,
        path: &'p Utf8Path,
    ) -> Result<(BorrowedFd<'_>, &'p str), UnpackError> {
        self.enter(path.parent().unwrap_or(Utf8Path::new("")), path)?;
        let folder = self.open.as_ref().map_or(self.root, |(_, fd)| fd.as_fd());
        Ok((folder, path.file_name().unwrap_or_default()))
    }

    /// Goes to a directory on the way to an entry, and makes what is not there of it.
    fn enter(&mut self, path: &Utf8Path, entry: &Utf8Path) -> Result<(), UnpackError> {
        if self.open.as_ref().is_some_and(|(open, _)| open == path) {
            return Ok(());
        }
        self.open = None;
        let mut folder: Option<OwnedFd> = None;
        let mut so_far = Utf8PathBuf::new();
        for word in path {
            so_far.push(word);
            let above = folder.as_ref().map_or(self.root, AsFd::as_fd);
            let through = |error| match error {
                Errno::NOTDIR | Errno::LOOP => UnpackError::Through {
                    path: entry.to_string(),
                },
                other => failed(entry, other),
            };
            let below = match down(above, word) {
                Err(Errno::NOENT) => {
                    self.count()?;
                    let made = mkdirat(above, word, Mode::from(0o755)).and_then(|()| {
                        let below = down(above, word)?;
                        fchmod(&below, Mode::from(0o755)).map(|()| below)
                    });
                    self.list.add(&so_far, &Node::Directory).map_err(listing)?;
                    made
                }
                other => other,
            };
            folder = Some(below.map_err(through)?);
        }
        self.open = folder.map(|fd| (path.to_owned(), fd));
        Ok(())
    }
}

fn down(above: BorrowedFd<'_>, word: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(above, word, flags, Mode::empty())
}

fn create(folder: BorrowedFd<'_>, name: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(folder, name, flags, mode)
}

fn failed(path: &Utf8Path, error: Errno) -> UnpackError {
    let path = path.to_string();
    match error {
        Errno::EXIST => UnpackError::Twice { path },
        error => UnpackError::Write {
            path,
            source: error.into(),
        },
    }
}

fn listing(source: io::Error) -> UnpackError {
    UnpackError::Write {
        path: files::NAME.to_owned(),
        source,
    }
}
