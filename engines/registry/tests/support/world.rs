//! A registry and a store in a directory of their own.
//!
//! Must not know what is published, nor how it is served.

use std::{
    fs::{self, File},
    io::Write as _,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version, error::chain};
use doze_registry::{
    Artefact, Digest, Kind, Mirror, Namespace, Package, Store, Triple, progress::Silent,
    store::StoreError,
};
use tempfile::TempDir;

/// The namespace of everything here.
pub(crate) fn namespace() -> Namespace {
    Namespace::new("doze").unwrap()
}

/// Version 1.0 of an engine.
pub(crate) fn package(name: &str) -> Package {
    Package {
        kind: Kind::Engine,
        name: EngineName::new(name).unwrap(),
        version: Version::new("1.0").unwrap(),
    }
}

/// Where the archive of a package is in a registry.
pub(crate) fn path_of(package: &Package) -> Utf8PathBuf {
    Utf8Path::new("doze").join(package.path(&Triple::host()))
}

/// What the index says of an archive.
pub(crate) fn artefact(bytes: &[u8]) -> Artefact {
    Artefact {
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
    }
}

/// Fetches for this machine, and shows nothing.
pub(crate) fn fetch(
    store: &Store,
    mirror: &Mirror,
    package: &Package,
    artefact: &Artefact,
) -> Result<Utf8PathBuf, StoreError> {
    let triple = Triple::host();
    store.fetch(mirror, &namespace(), package, &triple, artefact, &Silent)
}

pub(crate) struct World(TempDir);

impl World {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("dz-").tempdir().unwrap())
    }

    pub(crate) fn dir(&self) -> &Utf8Path {
        self.0.path().try_into().unwrap()
    }

    pub(crate) fn store_dir(&self) -> Utf8PathBuf {
        self.dir().join("store")
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(&self.store_dir())
    }

    /// Puts an archive into the registry.
    pub(crate) fn publish(&self, package: &Package, bytes: &[u8]) {
        let path = self.dir().join("registry").join(path_of(package));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    /// The folder of the registry.
    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::new(&format!("file://{}/registry", self.dir())).unwrap()
    }

    /// Fetches from the folder of the registry.
    pub(crate) fn fetch(
        &self,
        package: &Package,
        artefact: &Artefact,
    ) -> Result<Utf8PathBuf, StoreError> {
        fetch(&self.store(), &self.mirror(), package, artefact)
    }

    /// The error of a fetch as a user sees it.
    pub(crate) fn refusal(&self, package: &Package, artefact: &Artefact) -> String {
        let error = self.fetch(package, artefact).unwrap_err();
        self.shown(&chain(&error), artefact)
    }

    /// A text without what is another one in every run.
    pub(crate) fn shown(&self, text: &str, artefact: &Artefact) -> String {
        let text = text.replace(&artefact.sha256.to_string(), "EXPECTED");
        text.replace(self.dir().as_str(), "DIR")
            .replace(&Triple::host().to_string(), "TARGET")
    }

    /// All files below the store but the file locks, which stay.
    pub(crate) fn left(&self) -> Vec<Utf8PathBuf> {
        let mut left = Vec::new();
        let mut folders = vec![self.store_dir()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = folder.read_dir_utf8() else {
                continue;
            };
            for entry in entries.map(Result::unwrap) {
                let path = entry.path().to_owned();
                let relative = path.strip_prefix(self.store_dir()).unwrap().to_owned();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                    // The three directories that belong to nothing in particular stay as well.
                    if relative.components().count() == 1 && relative.as_str().starts_with('.') {
                        continue;
                    }
                } else if relative.starts_with(".locks") {
                    continue;
                }
                left.push(relative);
            }
        }
        left.sort();
        left
    }
}
