//! An archive becomes a tree of files, and is checked while it does: nothing is trusted of it but
//! its size and its digest, and those are known to be right only at its end.
//!
//! Must not know where archives come from, nor where the tree goes afterwards.
//!
//! One thread reads, hashes and decompresses (RFC 8878); another takes the tar stream apart (POSIX
//! ustar with the long names of GNU), writes the files and hashes them.

mod decode;
mod entry;
mod path;
mod tree;

use std::{
    io::{self, Read},
    os::fd::BorrowedFd,
    thread,
};

pub use crate::unpack::path::PathError;
use crate::{
    Artefact,
    pipe::pipe,
    stream::StreamError,
    unpack::{entry::Entries, tree::Tree},
};

/// The most that an archive may become, whatever its publisher signs.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of the tar stream.
    pub bytes: u64,
    /// Bytes of the tar stream for each byte of the archive; the first [`Limits::SMALL`] are free.
    pub ratio: u64,
}

impl Limits {
    /// Bytes that any archive may become.
    pub const SMALL: u64 = 1 << 20;

    /// The most bytes that an archive of `size` bytes may become.
    fn bytes_of(&self, size: u64) -> u64 {
        let ratio = size.saturating_mul(self.ratio).max(Self::SMALL);
        self.bytes.min(ratio)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            bytes: 8 << 30,
            ratio: 200,
        }
    }
}

/// Why an archive was not unpacked. Messages begin with what the archive does.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is not the archive of the index.
    #[error("the archive is not the one that the index names")]
    Stream(#[from] StreamError),
    /// The archive cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// No zstd, a damaged one, or one that wants more memory than it may have.
    #[error("the archive is no sound zstd stream")]
    Zstd(#[source] io::Error),
    /// No tar, or a damaged one.
    #[error("the archive holds no sound tar stream")]
    Tar(#[source] io::Error),
    /// Something follows the zstd frame.
    #[error("the archive goes on after the end of its zstd frame")]
    TrailingFrame,
    /// Something follows the tar stream.
    #[error("the archive goes on after the end of its tar stream")]
    TrailingTar,
    /// More bytes than it may become.
    #[error("the archive becomes more than {max} bytes")]
    Bomb {
        /// What it may become.
        max: u64,
    },
    /// More entries than it may have.
    #[error("the archive holds more than {max} files")]
    Entries {
        /// What it may have.
        max: u64,
    },
    /// A name that leads elsewhere, or that nobody should have to look at.
    #[error("the archive holds {path:?}")]
    Path {
        /// The name, as far as it is text.
        path: String,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A symbolic link that leads out of the tree.
    #[error("the archive holds {path:?}, a link to {target:?}, which is or may be outside of it")]
    LinkOut {
        /// The link.
        path: String,
        /// What it says.
        target: String,
    },
    /// Something else than a file, a directory or a symbolic link.
    #[error("the archive holds {path:?}, {what}")]
    Kind {
        /// Its name.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// A file that would run with somebody else's rights.
    #[error("the archive holds {path:?} with mode {mode:04o}, more than permissions")]
    Mode {
        /// Its name.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A file below a symbolic link or below a file.
    #[error("the archive holds {path:?}, which is below something that is no directory")]
    Through {
        /// Its name.
        path: String,
    },
    /// Two entries of one name.
    #[error("the archive holds {path:?} twice")]
    Twice {
        /// The name.
        path: String,
    },
    /// This machine cannot write it.
    #[error("cannot write {path:?} of the archive")]
    Write {
        /// Its name.
        path: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// Unpacks into an empty directory, which is to be thrown away if this fails: only then was every
/// byte of the archive the right one. Nothing is synchronised to the disk yet.
pub fn unpack(
    archive: impl Read + Send,
    artefact: &Artefact,
    root: BorrowedFd<'_>,
    limits: &Limits,
) -> Result<(), UnpackError> {
    let (feeder, pipe) = pipe();
    let max = limits.bytes_of(artefact.size);
    thread::scope(|scope| {
        let decoding = scope.spawn(move || {
            let result = decode::decode(archive, artefact, max, &feeder);
            let told = match &result {
                Ok(()) => Ok(()),
                Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
            feeder.finish(told);
            result
        });
        let written = write(pipe, artefact, root, limits);
        // The writer has let go of the pipe, so the decoder has ended or is about to.
        match (decoding.join(), written) {
            // That nobody wanted more is the writer's doing.
            (Ok(Ok(()) | Err(None)), written) => written,
            // What the writer saw of this was only an end that came too early.
            (Ok(Err(Some(error))), _) => Err(error),
            (Err(panic), _) => std::panic::resume_unwind(panic),
        }
    })
}

/// Takes the tar stream apart.
fn write(
    mut tar: impl Read,
    artefact: &Artefact,
    root: BorrowedFd<'_>,
    limits: &Limits,
) -> Result<(), UnpackError> {
    let mut tree = Tree::new(root, &artefact.sha256, limits.entries)?;
    let mut archive = tar::Archive::new(&mut tar);
    let mut entries = Entries::new(&mut archive, limits.entries)?;
    while let Some(entry) = entries.next()? {
        tree.add(entry)?;
    }
    tree.finish()?;
    decode::padding(&mut tar)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use tar::{Builder, EntryType, Header};

    use super::*;
    use crate::Digest;

    #[test]
    fn a_directory_that_only_a_path_names_counts_too() {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, "a/b/c", io::empty()).unwrap();
        let archive = zstd::encode_all(tar.into_inner().unwrap().as_slice(), 1).unwrap();
        let artefact = Artefact {
            size: archive.len() as u64,
            sha256: Digest::of(&archive),
        };
        let unpacked = |entries| {
            let limits = Limits {
                entries,
                ..Limits::default()
            };
            let world = tempfile::tempdir().unwrap();
            let root = File::open(world.path()).unwrap();
            let result = unpack(archive.as_slice(), &artefact, root.as_fd(), &limits);
            (result, world.path().join("a/b/c").is_dir())
        };
        assert!(matches!(unpacked(3), (Ok(()), true)));
        let (result, there) = unpacked(2);
        assert!(
            matches!(result, Err(UnpackError::Entries { max: 2 })),
            "{result:?}"
        );
        assert!(!there);
    }
}
