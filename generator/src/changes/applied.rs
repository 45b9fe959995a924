//! Which files the running units were started with.
//!
//! systemd tells the settings that it has loaded, not those that a running unit was started with;
//! after `doze generate` the two differ. The record stands beside the sockets, for it ends with
//! them at the latest.

use std::{collections::BTreeMap, fs, io};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    compile::digest,
    fsx,
    tree::{Area, Tree},
};

/// The digest of every unit and plan that was applied last, by file name.
#[derive(Debug)]
pub(crate) struct Applied {
    before: Option<BTreeMap<String, String>>,
    now: BTreeMap<String, String>,
}

impl Applied {
    /// Reads the record, to compare the tree with it; there is none when the units were started
    /// by somebody else.
    pub(crate) fn read(folder: &Utf8Path, tree: &Tree) -> io::Result<Self> {
        let text = fsx::read(&path(folder))?;
        let before = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Self {
            before,
            now: digests(tree),
        })
    }

    /// Whether one of two files differs from what was applied; nothing if that is not known.
    pub(super) fn differs(&self, unit: &str, also: &str) -> Option<bool> {
        let before = self
            .before
            .as_ref()
            .filter(|before| before.contains_key(unit))?;
        Some(
            [unit, also]
                .iter()
                .any(|name| before.get(*name) != self.now.get(*name)),
        )
    }

    /// Records that the tree is applied. Writes nothing if that is known.
    pub(crate) fn record(&self, folder: &Utf8Path) -> io::Result<()> {
        if self.before.as_ref() == Some(&self.now) {
            return Ok(());
        }
        fsx::replace(
            &path(folder),
            &serde_json::to_string_pretty(&self.now)?,
            0o600,
        )
    }

    /// Removes the record.
    pub(crate) fn forget(folder: &Utf8Path) -> io::Result<()> {
        fsx::missing_is_none(fs::remove_file(path(folder))).map(drop)
    }
}

fn path(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join("applied.json")
}

fn digests(tree: &Tree) -> BTreeMap<String, String> {
    let files = tree
        .0
        .iter()
        .filter(|((area, _), _)| *area != Area::Project);
    files
        .map(|((_, name), file)| (name.clone(), digest(&file.text)))
        .collect()
}
