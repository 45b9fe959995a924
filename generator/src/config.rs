//! `doze.toml`: finding it, reading it, and everything that is wrong with it.
//!
//! Two steps: [`File::read`] sees the names and the core's own keys, and needs nothing but the
//! text; [`File::resolve`] asks the drivers and looks for the toolchains. Both report all
//! problems at once. Must not know what is generated from a project.

mod depend;
pub mod duration;
pub mod file;
mod reader;
pub mod registries;
mod resolve;
pub mod toml_tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, EngineName, InstanceName, ProjectName, Version, plan::OpenTo, protocol::Toolchain,
};
use serde_json::Value;

pub use self::{file::File, registries::Registry};
use crate::{
    diagnostic::{Diagnostic, Source},
    drivers::DriverError,
    toolchain::Origin,
};

/// The name of the file that is looked for.
pub const FILE_NAME: &str = "doze.toml";

/// A project in which everything is right.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// The absolute path of its `doze.toml`.
    pub source: Utf8PathBuf,
    /// Its enabled instances, in the order of the file.
    pub instances: Vec<Instance>,
}

/// An instance in which everything is right.
#[derive(Debug)]
pub struct Instance {
    /// Its name.
    pub name: InstanceName,
    /// Its engine.
    pub engine: EngineName,
    /// Where clients find it, at least one.
    pub endpoints: Vec<Endpoint>,
    /// How long it stays awake with nobody there; nothing means for ever.
    pub idle_timeout: Option<std::time::Duration>,
    /// The instances that it needs.
    pub depends_on: Vec<InstanceName>,
    /// Whose connections are served.
    pub open_to: OpenTo,
    /// The engine's own keys, as the driver completed them.
    pub block: Value,
    /// The version that the file asks for.
    pub version: Version,
    /// The programs it runs.
    pub toolchain: Toolchain,
    /// Where they are from.
    pub origin: Origin,
    /// The engine refuses to run as root.
    pub refuses_root: bool,
}

impl Project {
    /// These instances with all that they need, directly or not.
    pub fn with_dependencies<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a InstanceName>,
    ) -> BTreeSet<&'a InstanceName> {
        let needs: BTreeMap<_, _> = self
            .instances
            .iter()
            .map(|instance| (&instance.name, &instance.depends_on))
            .collect();
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = names.into_iter().collect();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(needs.get(name).into_iter().copied().flatten());
            }
        }
        found
    }
}

/// Why a project cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file in this folder or above it.
    #[error("no {FILE_NAME} in {0} or any folder above it; `doze init` makes one")]
    NotFound(Utf8PathBuf),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file says something that is wrong.
    #[error("{} problem{} in {}", problems.len(), if problems.len() == 1 { "" } else { "s" }, source_text.path)]
    Wrong {
        /// The file.
        source_text: Source,
        /// What is wrong.
        problems: Vec<Diagnostic>,
    },
    /// A driver does not do its part.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Finds the file: the given path (a file, or a folder that holds a `doze.toml`), else the
/// `doze.toml` in the working directory or the nearest folder above it.
pub fn find(given: Option<&Utf8Path>, here: &Utf8Path) -> Result<Utf8PathBuf, ConfigError> {
    if let Some(path) = given {
        let path = absolute(&here.join(path));
        return Ok(if path.is_dir() {
            path.join(FILE_NAME)
        } else {
            path
        });
    }
    here.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| fs::metadata(path).is_ok())
        .ok_or_else(|| ConfigError::NotFound(here.to_owned()))
}

/// The path without symbolic links, `.` and `..`, so that one file has one name; as it is when
/// it cannot be followed, for the error that comes then.
fn absolute(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}
