//! What goes from the store: what nobody wants to keep, and what a killed process has left.
//!
//! Must not know why something is kept.

use std::{collections::BTreeSet, fs};

use camino::Utf8PathBuf;

use crate::{
    Digest,
    lock::FileLock,
    store::{
        Store, StoreError, archive_of,
        layout::{children, failed, remove},
    },
};

impl Store {
    /// Removes all trees but those of `keep`, and all downloads that nobody is at. Returns what
    /// was removed. A tree that somebody fetches right now stays.
    pub fn gc(&self, keep: &BTreeSet<Utf8PathBuf>) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut removed = Vec::new();
        let trees = self.layout.trees()?;
        for tree in trees.into_iter().filter(|tree| !keep.contains(tree)) {
            if self.discard(&tree)? {
                removed.push(tree);
            }
        }
        removed.extend(self.sweep(children(&self.layout.parts())?)?);
        removed.extend(self.sweep_trees()?);
        Ok(removed)
    }

    /// Removes a tree at once and as a whole, unless somebody is at it.
    pub fn discard(&self, tree: &Utf8PathBuf) -> Result<bool, StoreError> {
        self.layout.make()?;
        // A tree without a readable list is nobody's; its own path is as good a name as any.
        let sha256 = archive_of(tree).unwrap_or_else(|_| Digest::of(tree.as_str().as_bytes()));
        let Some(_lock) = FileLock::attempt(&self.layout.lock(&sha256))? else {
            return Ok(false);
        };
        let aside = self.layout.aside(&sha256);
        remove(&aside)?;
        fs::rename(tree, &aside).map_err(|source| failed(tree, source))?;
        remove(&aside)?;
        Ok(true)
    }

    /// Removes what there is of an archive on its way, for whoever has it on its way and is about
    /// to end. What cannot be removed is swept later.
    pub fn abandon(&self, sha256: &Digest) {
        for path in [self.layout.part(sha256), self.layout.aside(sha256)] {
            drop(remove(&path));
        }
    }

    /// Removes the unfinished trees that nobody is at.
    pub(super) fn sweep_trees(&self) -> Result<Vec<Utf8PathBuf>, StoreError> {
        self.sweep(children(&self.layout.asides())?)
    }

    /// Removes what is named by a digest whose lock nobody holds.
    fn sweep(&self, paths: Vec<Utf8PathBuf>) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut removed = Vec::new();
        for path in paths {
            let digest = path.file_stem().and_then(|name| name.parse().ok());
            let lock = match digest {
                Some(digest) => FileLock::attempt(&self.layout.lock(&digest))?,
                None => continue,
            };
            if lock.is_some() {
                remove(&path)?;
                removed.push(path);
            }
        }
        Ok(removed)
    }
}
