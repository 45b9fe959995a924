//! The store: archives of registries as trees of files, for all projects of a user. A directory in
//! it is a whole and verified one, at any time and whatever was killed.
//!
//! Must not know which of them anybody needs.
//!
//! `engines/NAME/VERSION-DIGEST8` and `modules/…` are the trees; `.part/DIGEST` a download,
//! `.unpack/DIGEST` a tree that is not whole yet or is going, `.locks/DIGEST` the file lock of
//! whoever works on either. A lock is waited for while no other is held; a second one is only
//! tried.

mod check;
mod layout;
mod sweep;

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    os::fd::AsFd,
    panic::resume_unwind,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

pub use crate::store::check::{Fault, FaultKind};
use crate::{
    Artefact, Digest, Package, Triple,
    fetch::{FetchError, download},
    files::{self, ListReader},
    lock::{FileLock, LockError},
    mirror::Mirror,
    namespace::Namespace,
    progress::Progress,
    store::layout::{Layout, missing_is_none},
    unpack::{Limits, UnpackError, unpack},
};

/// How long to wait for somebody else who fetches the same. A download may take its time.
const PATIENCE: Duration = Duration::from_mins(15);

/// Time between two writings of what was unpacked meanwhile.
const BREATH: Duration = Duration::from_millis(20);

/// The store in a directory.
#[derive(Debug, Clone)]
pub struct Store {
    layout: Layout,
    limits: Limits,
}

/// Why something is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The archive has not arrived.
    #[error("cannot fetch {package}")]
    Fetch {
        /// What was asked for.
        package: Box<Package>,
        /// What went wrong.
        #[source]
        source: FetchError,
    },
    /// The archive is not to be trusted, or cannot be written.
    #[error("cannot unpack {package} from {url}")]
    Unpack {
        /// What was asked for.
        package: Box<Package>,
        /// Where it came from.
        url: String,
        /// What went wrong.
        #[source]
        source: UnpackError,
    },
    /// Somebody else has been at it for too long.
    #[error("cannot work on the store")]
    Lock(#[from] LockError),
    /// The file system does not let us.
    #[error("cannot use {path}")]
    System {
        /// The file or directory.
        path: Utf8PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl Store {
    /// The store below `root`, which is made when something is put into it.
    pub fn new(root: &Utf8Path) -> Self {
        Self {
            layout: Layout::new(root),
            limits: Limits::default(),
        }
    }

    /// Lets archives become as much as `limits` say.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The tree that an archive became, if it is here.
    pub fn find(&self, package: &Package, sha256: &Digest) -> Option<Utf8PathBuf> {
        let tree = self.layout.tree(package, sha256);
        (archive_of(&tree).ok()? == *sha256).then_some(tree)
    }

    /// The tree of an archive, which is fetched if it is not here. Whoever asks for it at the same
    /// time, in this process or another one, waits and gets the same.
    pub fn fetch(
        &self,
        mirror: &Mirror,
        namespace: &Namespace,
        package: &Package,
        triple: &Triple,
        artefact: &Artefact,
        progress: &dyn Progress,
    ) -> Result<Utf8PathBuf, StoreError> {
        let sha256 = &artefact.sha256;
        if let Some(tree) = self.find(package, sha256) {
            // Whoever was killed with the tree at its place has left its archive.
            drop(fs::remove_file(self.layout.part(sha256)));
            return Ok(tree);
        }
        self.layout.make()?;
        self.sweep_trees()?;
        let lock = FileLock::take(&self.layout.lock(sha256), PATIENCE, |_| ())?;
        if let Some(tree) = self.find(package, sha256) {
            return Ok(tree);
        }
        let path = Utf8Path::new(namespace.as_str()).join(package.path(triple));
        progress.began(package, artefact.size);
        let result = self.fill(mirror, &path, package, artefact, progress);
        progress.ended(package);
        drop(lock);
        result
    }

    /// Fetches and unpacks, leaving nothing behind but the tree or, after a lost connection, what
    /// has arrived.
    fn fill(
        &self,
        mirror: &Mirror,
        path: &Utf8Path,
        package: &Package,
        artefact: &Artefact,
        progress: &dyn Progress,
    ) -> Result<Utf8PathBuf, StoreError> {
        let part = self.layout.part(&artefact.sha256);
        let advanced = |bytes| {
            progress.advanced(package, bytes);
            !progress.is_cancelled()
        };
        let local = mirror
            .local(path)
            .map(|file| file.map_err(FetchError::from));
        let is_local = local.is_some();
        let archive =
            local.unwrap_or_else(|| download(mirror, path, artefact.size, &part, &advanced));
        let archive = archive.map_err(|source| {
            let package = Box::new(package.clone());
            StoreError::Fetch { package, source }
        })?;
        let told = |bytes| {
            if is_local {
                advanced(bytes)
            } else {
                !progress.is_cancelled()
            }
        };
        let result = self.unpack(Told(archive, told), package, artefact, &mirror.url(path));
        drop(fs::remove_file(&part));
        result
    }

    /// Unpacks aside, and moves the tree to its place when it is on the disk.
    fn unpack(
        &self,
        archive: impl Read + Send,
        package: &Package,
        artefact: &Artefact,
        url: &str,
    ) -> Result<Utf8PathBuf, StoreError> {
        let aside = Aside::new(self.layout.aside(&artefact.sha256))?;
        let root = &aside.root;
        let (unpacked, flushed) = thread::scope(|scope| {
            let (working, ended) = mpsc::channel();
            let flushing = scope.spawn(move || flush(root, &ended));
            let unpacked = unpack(archive, artefact, root.as_fd(), &self.limits);
            drop(working);
            (unpacked, flushing.join())
        });
        unpacked.map_err(|source| StoreError::Unpack {
            package: Box::new(package.clone()),
            url: url.to_owned(),
            source,
        })?;
        let flushed = flushed.unwrap_or_else(|panic| resume_unwind(panic));
        let settled = flushed.and_then(|()| settle(root));
        settled.map_err(|source| layout::failed(&aside.path, source))?;
        let tree = self.layout.tree(package, &artefact.sha256);
        aside.move_to(&tree)?;
        Ok(tree)
    }
}

/// The archive that a tree was.
fn archive_of(tree: &Utf8Path) -> io::Result<Digest> {
    let list = File::open(tree.join(files::NAME))?;
    Ok(ListReader::new(BufReader::with_capacity(128, list))?.archive)
}

/// A reader that tells how much was read, and is told whether to go on.
struct Told<F>(File, F);

impl<F: Fn(u64) -> bool> Read for Told<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if self.1(count as u64) {
            Ok(count)
        } else {
            Err(io::Error::other("it was broken off"))
        }
    }
}

/// A tree that is not at its place yet, and that nothing is left of if it never gets there.
struct Aside {
    path: Utf8PathBuf,
    root: File,
}

impl Aside {
    fn new(path: Utf8PathBuf) -> Result<Self, StoreError> {
        let create = || {
            missing_is_none(fs::remove_dir_all(&path))?;
            fs::create_dir(&path)?;
            File::open(&path)
        };
        match create() {
            Ok(root) => Ok(Self { path, root }),
            Err(source) => Err(layout::failed(&path, source)),
        }
    }

    /// Replaces what is at its place, which can only be a tree that is no longer whole.
    fn move_to(self, tree: &Utf8Path) -> Result<(), StoreError> {
        let moved = || {
            let folder = tree.parent().unwrap_or(tree);
            layout::make_folder(folder)?;
            let old = self.path.with_extension("old");
            if missing_is_none(fs::rename(tree, &old))?.is_some() {
                fs::remove_dir_all(&old)?;
            }
            fs::rename(&self.path, tree)?;
            File::open(folder)?.sync_all()
        };
        moved().map_err(|source| layout::failed(tree, source))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Gone when it is at its place; what cannot be removed is swept later.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Has what is there already written to the disk while more is unpacked: then little is left to
/// wait for at the end, and the disk and the processors work at the same time.
fn flush(root: &File, ended: &Receiver<()>) -> io::Result<()> {
    while ended.recv_timeout(BREATH) == Err(RecvTimeoutError::Timeout) {
        settle(root)?;
    }
    Ok(())
}

/// Waits until a tree is on the disk: by one call for its whole file system, for a call for each of
/// its files takes many times as long.
#[cfg(target_os = "linux")]
fn settle(root: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(root)?)
}

/// Where there is no such call, files are written through one by one when they are closed.
#[cfg(not(target_os = "linux"))]
fn settle(root: &File) -> io::Result<()> {
    root.sync_all()
}
