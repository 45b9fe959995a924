//! Whether the trees in the store are still what they were.
//!
//! Must not know how they came there, nor change them.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, BufReader},
    os::unix::fs::PermissionsExt,
};

use blake3::{Hash, Hasher};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    Digest,
    files::{self, ListReader, Node},
    store::{Store, StoreError, layout::children},
};

/// Something in the store that is not as it was.
#[derive(Debug)]
pub struct Fault {
    /// The tree.
    pub tree: Utf8PathBuf,
    /// The path in it; empty for the tree as a whole.
    pub path: Utf8PathBuf,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What is wrong with a file. The message is meant to follow its path.
#[derive(Debug, thiserror::Error)]
pub enum FaultKind {
    /// There is no list of files that could be read.
    #[error("has no readable list of files")]
    List(#[source] io::Error),
    /// It is the tree of another archive.
    #[error("is not where its archive belongs")]
    Misplaced,
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// Nobody put it there.
    #[error("does not belong there")]
    Extra,
    /// Its bytes, its mode or its kind are other ones.
    #[error("has been changed")]
    Changed,
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tree, path, kind } = self;
        if path.as_str().is_empty() {
            write!(f, "{tree} {kind}")
        } else {
            write!(f, "{} {kind}", tree.join(path))
        }
    }
}

impl Store {
    /// Reads everything in the store, and says what is not as it was when it was fetched.
    pub fn verify(&self) -> Result<Vec<Fault>, StoreError> {
        self.check(Depth::Bytes)
    }

    /// Likewise, but by names, kinds and modes alone: what is in the files is not read.
    pub fn glance(&self) -> Result<Vec<Fault>, StoreError> {
        self.check(Depth::Names)
    }

    fn check(&self, depth: Depth) -> Result<Vec<Fault>, StoreError> {
        let mut faults = Vec::new();
        for tree in self.layout.trees()? {
            faults.extend(check(&tree, depth)?);
        }
        Ok(faults)
    }
}

/// How closely a tree is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Names,
    Bytes,
}

/// Compares a tree with its list.
fn check(tree: &Utf8Path, depth: Depth) -> Result<Vec<Fault>, StoreError> {
    let mut found = Vec::new();
    let mut fault = |path: Utf8PathBuf, kind| {
        let tree = tree.to_owned();
        found.push(Fault { tree, path, kind });
    };
    let mut list = match read(tree) {
        Ok((archive, list)) => {
            let name = tree.file_name().unwrap_or_default();
            if !name.ends_with(&format!("-{}", archive.short())) {
                fault(Utf8PathBuf::new(), FaultKind::Misplaced);
            }
            list
        }
        Err(error) => {
            fault(Utf8PathBuf::new(), FaultKind::List(error));
            return Ok(found);
        }
    };
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for child in children(&folder)? {
            let path = child.strip_prefix(tree).unwrap_or(&child).to_owned();
            let kind = match list.remove(&path) {
                None if path == files::NAME => None,
                None => Some(FaultKind::Extra),
                Some(node) => match is_as(&child, &node, depth) {
                    Ok(true) => {
                        if node == Node::Directory {
                            folders.push(child);
                        }
                        None
                    }
                    Ok(false) => Some(FaultKind::Changed),
                    Err(error) => Some(FaultKind::Unreadable(error)),
                },
            };
            if let Some(kind) = kind {
                fault(path, kind);
            }
        }
    }
    for path in list.into_keys() {
        fault(path, FaultKind::Missing);
    }
    Ok(found)
}

fn read(tree: &Utf8Path) -> io::Result<(Digest, BTreeMap<Utf8PathBuf, Node>)> {
    let list = File::open(tree.join(files::NAME))?;
    let list = ListReader::new(BufReader::new(list))?;
    Ok((list.archive, list.collect::<io::Result<_>>()?))
}

fn is_as(path: &Utf8Path, node: &Node, depth: Depth) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    match node {
        Node::Directory => Ok(kind.is_dir()),
        Node::Link(target) => Ok(kind.is_symlink() && path.read_link_utf8()? == *target),
        Node::File { executable, hash } => {
            let mode = if *executable { 0o755 } else { 0o644 };
            let right = kind.is_file() && metadata.permissions().mode() & 0o7777 == mode;
            Ok(right && (depth == Depth::Names || digest(path)? == *hash))
        }
    }
}

fn digest(path: &Utf8Path) -> io::Result<Hash> {
    let mut hasher = Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize())
}
