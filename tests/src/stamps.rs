//! When files were last written, to see that a command wrote none.
//!
//! Must not know: whose files they are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Every file and folder below some folders, with the time it changed and its inode: what has the
/// same was not written, and not replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, (i64, i64, u64)>);

impl Stamps {
    /// Of all that is below these folders, themselves included; one that is not there has none.
    pub fn of(folders: &[&Path]) -> Self {
        let mut found = Self::default();
        for folder in folders {
            found.add(folder);
        }
        found
    }

    /// What is not the same in both.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let all = self.0.keys().chain(other.0.keys());
        let differs = all.filter(|path| self.0.get(*path) != other.0.get(*path));
        differs.cloned().collect()
    }

    fn add(&mut self, path: &Path) {
        let Ok(about) = fs::symlink_metadata(path) else {
            return;
        };
        self.0.insert(
            path.to_owned(),
            (about.ctime(), about.ctime_nsec(), about.ino()),
        );
        if about.is_dir() {
            for entry in fs::read_dir(path).expect("it is there") {
                self.add(&entry.expect("it can be listed").path());
            }
        }
    }
}
