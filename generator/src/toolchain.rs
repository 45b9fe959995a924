//! The engine programs on this machine.
//!
//! They are looked for in this order: in the folder that `DOZE_<ENGINE>_BINDIR` names, in the
//! store as far as the project is supplied from it, among what the operating system's packages
//! installed.

use std::{cell::RefCell, collections::BTreeMap, env, fs, process::Command, rc::Rc};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    EngineName, Version,
    protocol::{Description, Toolchain, ToolchainSearch},
};

use crate::{memo::Memo, supply::Supplied};

/// Where a toolchain is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The environment names its folder.
    Named,
    /// The store.
    Store,
    /// The operating system's packages.
    System,
}

/// The toolchains found so far, by engine; every program is asked for its version once.
#[derive(Debug, Default)]
pub struct Toolchains {
    supplied: Supplied,
    found: RefCell<BTreeMap<EngineName, Vec<Toolchain>>>,
    /// Those of the store, by folder.
    stored: RefCell<BTreeMap<Utf8PathBuf, Option<Toolchain>>>,
    memo: Rc<Memo>,
}

impl Toolchains {
    /// Has servers whose version is known be asked no more.
    #[must_use]
    pub(crate) fn remembering(self, memo: Rc<Memo>) -> Self {
        Self { memo, ..self }
    }

    /// All toolchains of an engine: the one that the environment names, and no other then, or
    /// those of the system, newest first.
    pub fn of(&self, engine: &EngineName, search: &ToolchainSearch) -> Vec<Toolchain> {
        let mut found = self.found.borrow_mut();
        found
            .entry(engine.clone())
            .or_insert_with(|| look(engine, search, &self.memo))
            .clone()
    }

    /// Why no registry provides a driver of an engine, if there is a reason.
    pub fn no_driver(&self, engine: &EngineName) -> Option<&str> {
        let driver = self.supplied.drivers.get(engine)?;
        driver.as_ref().err().map(String::as_str)
    }

    /// The toolchain that provides the version: the newest, where there is a choice. If there is
    /// none, there may be a reason.
    pub fn provide(
        &self,
        engine: &EngineName,
        search: &ToolchainSearch,
        version: &Version,
    ) -> Result<(Toolchain, Origin), Option<String>> {
        let key = (engine.clone(), version.clone());
        let installed = || {
            let mut found = self.of(engine, search).into_iter();
            found.find(|found| found.version.provides(version))
        };
        if named(engine).is_some() {
            let toolchain = installed().ok_or(None)?;
            return Ok((toolchain, Origin::Named));
        }
        match self.supplied.engines.get(&key) {
            Some(Ok(folder)) => match self.stored(folder, search) {
                Some(toolchain) if toolchain.version.provides(version) => {
                    Ok((toolchain, Origin::Store))
                }
                Some(toolchain) => Err(Some(format!(
                    "what its publisher packed in {folder} is {engine} {}",
                    toolchain.version
                ))),
                None => Err(Some(format!(
                    "what its publisher packed in {folder} has no {}",
                    search.servers.join(" or ")
                ))),
            },
            Some(Err(reason)) => Err(Some(reason.clone())),
            None => match installed() {
                Some(toolchain) => Ok((toolchain, Origin::System)),
                None => Err(self.supplied.unlisted.get(&key).cloned()),
            },
        }
    }

    fn stored(&self, folder: &Utf8Path, search: &ToolchainSearch) -> Option<Toolchain> {
        let mut stored = self.stored.borrow_mut();
        stored
            .entry(folder.to_owned())
            .or_insert_with(|| find_in(folder, search, &self.memo))
            .clone()
    }
}

/// The newest of these toolchains that a driver knows, with the major that it belongs to.
pub fn newest_known<'a>(
    about: &'a Description,
    found: &'a [Toolchain],
) -> Option<(&'a Toolchain, &'a Version)> {
    found
        .iter()
        .find_map(|toolchain| Some((toolchain, about.major_of(&toolchain.version)?)))
}

impl From<Supplied> for Toolchains {
    fn from(supplied: Supplied) -> Self {
        Self {
            supplied,
            ..Self::default()
        }
    }
}

/// What installs an engine, for people; not every one is in a package of the operating system.
pub fn install(search: &ToolchainSearch) -> String {
    match search.packages.as_slice() {
        [] => "install it".to_owned(),
        packages => format!("install it (Debian: {})", packages.join(" or ")),
    }
}

/// The variable that names the folder of an engine's programs.
pub fn variable(engine: &EngineName) -> String {
    format!("DOZE_{}_BINDIR", engine.as_str().to_ascii_uppercase())
}

/// The folder of an engine's programs that the environment names.
pub fn named(engine: &EngineName) -> Option<Utf8PathBuf> {
    let folder = env::var(variable(engine)).ok();
    folder.filter(|folder| !folder.is_empty()).map(Into::into)
}

fn look(engine: &EngineName, search: &ToolchainSearch, memo: &Memo) -> Vec<Toolchain> {
    let folders = match named(engine) {
        Some(folder) => vec![folder],
        None => search
            .folders
            .iter()
            .flat_map(|pattern| expand(pattern))
            .collect(),
    };
    let mut found: Vec<Toolchain> = folders
        .iter()
        .filter_map(|folder| find_in(folder, search, memo))
        .collect();
    found.sort_by(|a, b| b.version.cmp(&a.version));
    found.dedup_by(|a, b| a.version == b.version);
    found
}

/// The folders that a pattern with at most one `*` component stands for, in order of name.
fn expand(pattern: &str) -> Vec<Utf8PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let (suffix, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let Ok(entries) = Utf8Path::new(parent).read_dir_utf8() else {
        return Vec::new();
    };
    let fits = |name: &str| name.starts_with(prefix) && name.ends_with(suffix);
    let mut folders: Vec<_> = entries
        .flatten()
        .filter(|entry| fits(entry.file_name()))
        .map(|entry| Utf8PathBuf::from(format!("{}{rest}", entry.path())))
        .collect();
    folders.sort();
    folders
}

/// The toolchain in a folder.
pub fn toolchain(folder: &Utf8Path, search: &ToolchainSearch) -> Option<Toolchain> {
    find_in(folder, search, &Memo::default())
}

fn find_in(folder: &Utf8Path, search: &ToolchainSearch, memo: &Memo) -> Option<Toolchain> {
    let is_there = |name: &String| fs::metadata(folder.join(name)).is_ok_and(|file| file.is_file());
    if !search.needs.iter().all(is_there) {
        return None;
    }
    let server = folder.join(search.servers.iter().find(|name| is_there(name))?);
    let version = version(&server, memo)?;
    Some(Toolchain {
        folder: folder.to_owned(),
        server,
        version,
    })
}

/// What a server says that it is.
fn version(server: &Utf8Path, memo: &Memo) -> Option<Version> {
    let question = "--version";
    if let Some(known) = memo.known(server, question) {
        return Version::find_in(known);
    }
    let output = Command::new(server).arg(question).output().ok()?;
    let version = Version::find_in(&String::from_utf8_lossy(&output.stdout))?;
    memo.keep(server, question, version.to_string());
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_one_component() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        for folder in ["17/bin", "15/bin", "readme"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let found = expand(&format!("{root}/1*/bin"));
        assert_eq!(found, [root.join("15/bin"), root.join("17/bin")]);
        assert_eq!(expand("/usr/bin"), ["/usr/bin"]);
        assert!(expand(&format!("{root}/none/*/bin")).is_empty());
    }

    #[test]
    fn the_version_is_what_the_server_says_and_all_programs_have_to_be_there() {
        let search = ToolchainSearch {
            servers: vec!["absent".into(), "sh".into()],
            needs: vec!["cat".into()],
            folders: Vec::new(),
            packages: Vec::new(),
        };
        assert!(toolchain(Utf8Path::new("/nonexistent"), &search).is_none());
        let lacking = ToolchainSearch {
            needs: vec!["no-such-program".into()],
            ..search
        };
        assert!(toolchain(Utf8Path::new("/bin"), &lacking).is_none());
    }
}
