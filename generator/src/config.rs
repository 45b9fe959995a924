//! `doze.toml`: finding it, reading it, and everything that is wrong with it.
//!
//! Two steps: [`File::read`] sees the names and the core's own keys, and needs nothing but the
//! texts; [`File::resolve`] asks the drivers and looks for the toolchains. Both report all
//! problems at once. Must not know what is generated from a project.

pub mod block;
mod depend;
pub mod file;
mod files;
mod limits;
mod locals;
mod outline;
mod outputs;
mod reader;
pub mod registries;
mod resolve;
mod scope;
mod stamp;
pub mod toml_tree;
mod unused;
mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, EngineName, InstanceName, ProjectName, Version,
    plan::{Body, OpenTo},
    protocol::Toolchain,
};
use doze_units::Limits;

pub(crate) use self::files::{bounded, texts_of};
pub use self::{
    depend::Wish, file::File, outline::Outline, outputs::Output, registries::Registry,
    unused::Unused,
};
use crate::{
    diagnostic::{Diagnostic, Sources},
    drivers::DriverError,
    toolchain::Origin,
};

/// The name of the file that is looked for.
pub const FILE_NAME: &str = "doze.toml";

/// What a project is told besides its files.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The profile that lies over the files.
    pub profile: Option<String>,
    /// Values for variables, the strongest last.
    pub variables: Vec<(String, String)>,
    /// Expressions and variables see nothing of the machine: no environment, no further files.
    pub isolated: bool,
}

/// A project in which everything is right.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// The absolute path of its `doze.toml`, or of the first file that takes its place.
    pub source: Utf8PathBuf,
    /// Its enabled instances, in the order of the file.
    pub instances: Vec<Instance>,
    /// What it tells others.
    pub outputs: Vec<Output>,
}

/// The programs of an instance.
#[derive(Debug)]
pub struct Programs {
    /// The version that the file asks for.
    pub version: Version,
    /// The programs.
    pub toolchain: Toolchain,
    /// Where they are from.
    pub origin: Origin,
}

/// Another instance that one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub instance: InstanceName,
    /// When it is good enough.
    pub wish: Wish,
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
    pub depends_on: Vec<Need>,
    /// Whose connections are served.
    pub open_to: OpenTo,
    /// How much of the machine it may use.
    pub limits: Limits,
    /// What its driver says of it.
    pub body: Body,
    /// The programs it runs; nothing for an engine without versions.
    pub programs: Option<Programs>,
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
                let needs = needs.get(name).into_iter().copied().flatten();
                open.extend(needs.map(|need| &need.instance));
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
    #[error("{} problem{} in {}", problems.len(), if problems.len() == 1 { "" } else { "s" }, sources.main())]
    Wrong {
        /// The texts of the project.
        sources: Sources,
        /// What is wrong.
        problems: Vec<Diagnostic>,
    },
    /// A driver does not do its part.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Finds the file that stands for the project: the given one, that of the given folder, else the
/// `doze.toml` in the working directory or the nearest folder above it.
pub fn find(given: Option<&Utf8Path>, here: &Utf8Path) -> Result<Utf8PathBuf, ConfigError> {
    if let Some(path) = given {
        let path = absolute(&here.join(path));
        return Ok(if path.is_dir() {
            files::anchor(&path)
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
