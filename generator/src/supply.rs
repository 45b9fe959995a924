//! Where the programs of a project come from: what `doze.lock` pins, what the store holds, what
//! registries offer, and what the operating system's packages installed.
//!
//! An engine that `DOZE_<ENGINE>_BINDIR` names, and a driver that stands beside doze, is none of
//! its business. Must not know any engine, nor what becomes of the programs.

mod choose;
mod fetch;
mod progress;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version, exit::Exit};
use doze_registry::{
    Digest, Kind, Namespace, Package, Triple,
    index::{IndexError, Verified},
    mirror::MirrorError,
    pins::{Archives, EnginePin, Pins, PinsError, Source},
    select::SelectError,
    store::{Store, StoreError},
    unpack::UnpackError,
};

use self::{choose::Provider, sources::Sources};
use crate::{
    config::File,
    dirs::Dirs,
    drivers::{self, DriverError, Drivers},
    toolchain,
};

/// The name of the file with the pins, beside `doze.toml`.
pub const LOCK_NAME: &str = "doze.lock";

/// How far a command may go for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What is pinned and stored, and no network: for commands that only look.
    Pinned,
    /// Whatever is not pinned is chosen, and whatever is not stored is downloaded.
    Registries,
}

/// Why the programs of a project cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// `doze.lock` is not what it should be.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// A pin is of a registry that the project does not name any more.
    #[error(
        "doze.lock pins something of the registry `{0}`, which doze.toml does not name; write its \
         [registries.{0}], or run `doze lock upgrade` to do without it"
    )]
    NoRegistry(Namespace),
    /// A registry cannot be asked.
    #[error("cannot ask the registry `{namespace}`")]
    Mirror {
        /// The publisher.
        namespace: Namespace,
        /// Why.
        #[source]
        source: MirrorError,
    },
    /// A registry is not to be believed.
    #[error("cannot trust the registry `{namespace}`")]
    Index {
        /// The publisher.
        namespace: Namespace,
        /// Why.
        #[source]
        source: IndexError,
    },
    /// Something cannot be downloaded or stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A pinned release cannot be had any more.
    #[error(transparent)]
    Select(Box<SelectError>),
    /// A driver does not do its part.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// An archive is another one than was pinned.
    #[error(
        "the registry `{namespace}` has another {package} than doze.lock pins: {found}, not \
         {pinned}; tell its publisher, for a release never changes"
    )]
    Changed {
        /// The publisher.
        namespace: Namespace,
        /// What.
        package: Box<Package>,
        /// Its digest in the registry.
        found: Digest,
        /// Its digest in the lock.
        pinned: Digest,
    },
}

impl SupplyError {
    /// The exit status that says it.
    pub fn exit(&self) -> Exit {
        match self {
            // The disk is full, say.
            Self::Store(StoreError::Unpack {
                source: UnpackError::Write { .. } | UnpackError::Read(_),
                ..
            }) => Exit::Failed,
            Self::Index { .. } | Self::Changed { .. } | Self::Store(StoreError::Unpack { .. }) => {
                Exit::Trust
            }
            Self::Select(error) if matches!(**error, SelectError::Revoked { .. }) => Exit::Trust,
            Self::Pins(_) | Self::NoRegistry(_) => Exit::Config,
            Self::Store(_) | Self::Mirror { .. } | Self::Select(_) | Self::Driver(_) => {
                Exit::Failed
            }
        }
    }
}

impl From<SelectError> for SupplyError {
    fn from(error: SelectError) -> Self {
        Self::Select(Box::new(error))
    }
}

/// What a project is supplied with. An engine that is not mentioned is looked for among what the
/// operating system's packages installed.
#[derive(Debug, Default)]
pub struct Supplied {
    /// The driver programs, or why there is none.
    pub drivers: BTreeMap<EngineName, Result<Utf8PathBuf, String>>,
    /// The folders of engines' programs, or why there is none, by engine and declared version.
    pub engines: BTreeMap<(EngineName, Version), Result<Utf8PathBuf, String>>,
    /// Why no registry has it; the operating system may.
    pub unlisted: BTreeMap<(EngineName, Version), String>,
}

/// The pins of a project, and whom what they name can be had from.
#[derive(Debug)]
pub struct Supply {
    path: Utf8PathBuf,
    /// What the file declares, and what of that is switched on.
    declared: [Declared; 2],
    pins: Pins,
    /// The pins that the file has now.
    written: Option<Pins>,
    sources: Sources,
    store: Store,
    reach: Reach,
    triple: Triple,
    /// The indexes that were read, each once.
    indexes: BTreeMap<Namespace, Verified>,
}

/// The versions that a file declares of each engine.
type Declared = BTreeMap<EngineName, BTreeSet<Version>>;

/// Something that has to be in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    namespace: Namespace,
    package: Package,
    digest: Digest,
}

impl Supply {
    /// Reads the pins beside the file.
    pub fn open(file: &File, dirs: &Dirs, reach: Reach) -> Result<Self, SupplyError> {
        Self::of(Some(file), dirs, reach)
    }

    /// Likewise; without a file nothing is declared, and the working directory takes its place.
    pub fn of(file: Option<&File>, dirs: &Dirs, reach: Reach) -> Result<Self, SupplyError> {
        let folder = file.and_then(|file| file.path.parent());
        let path = folder.unwrap_or(&dirs.here).join(LOCK_NAME);
        let written = Pins::read(&path)?;
        let declared = |enabled| file.map(|file| declared(file, enabled)).unwrap_or_default();
        Ok(Self {
            declared: [false, true].map(declared),
            pins: written.clone().unwrap_or_default(),
            written,
            path,
            sources: Sources::new(file.map_or(&[], |file| &file.registries)),
            store: Store::new(&dirs.store()),
            reach,
            triple: Triple::host(),
            indexes: BTreeMap::new(),
        })
    }

    /// Finds what the file declares. What was not pinned is from now on.
    pub fn supply(&mut self, drivers: &Drivers) -> Result<Supplied, SupplyError> {
        let mut supplied = Supplied::default();
        let (mut modules, mut engines) = (Vec::new(), Vec::new());
        let [_, enabled] = self.declared.clone();
        for (engine, versions) in enabled {
            if drivers.program(&engine).is_none() {
                match self.module(&engine, &versions)? {
                    Provider::Store(need) => modules.push((engine.clone(), need)),
                    Provider::Nobody(reason) | Provider::System(Some(reason)) => {
                        supplied.drivers.insert(engine.clone(), Err(reason));
                    }
                    Provider::System(None) => {}
                }
            }
            if toolchain::named(&engine).is_some() {
                continue;
            }
            let majors = match (drivers.describe(&engine)?, self.pins.modules.get(&engine)) {
                (Some(description), _) => description.majors,
                (None, Some(pin)) => pin.majors.clone(),
                // Without a driver there is no use for the programs.
                (None, None) => continue,
            };
            for version in versions {
                let key = (engine.clone(), version);
                match self.engine(&key.0, &key.1, &majors)? {
                    Provider::Store(need) => engines.push((key, need)),
                    Provider::Nobody(reason) => drop(supplied.engines.insert(key, Err(reason))),
                    Provider::System(Some(reason)) => drop(supplied.unlisted.insert(key, reason)),
                    Provider::System(None) => {}
                }
            }
        }
        let needs = modules.iter().map(|(_, need)| need);
        let needs: Vec<_> = needs.chain(engines.iter().map(|(_, need)| need)).collect();
        let stored = self.stored(&needs)?;
        let folder = |need: &Need| {
            stored.get(&need.package).cloned().ok_or_else(|| {
                let (namespace, package) = (&need.namespace, &need.package);
                format!(
                    "{package} of the registry `{namespace}` is pinned but not in the store; \
                     run `doze up`, which downloads it"
                )
            })
        };
        for (engine, need) in &modules {
            let program = folder(need).map(|folder| folder.join(drivers::file_name(engine)));
            supplied.drivers.insert(engine.clone(), program);
        }
        for (key, need) in &engines {
            let programs = folder(need).map(|folder| folder.join("bin"));
            supplied.engines.insert(key.clone(), programs);
        }
        Ok(supplied)
    }

    /// How far it may go.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whom the project may take from.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.sources.all().cloned().collect()
    }

    /// The pins as they are now.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Pins what the operating system provides. Returns the version that is pinned already, if that
    /// is another one: its packages move as they like.
    pub fn pin_system(
        &mut self,
        engine: &EngineName,
        declared: &Version,
        version: &Version,
    ) -> Option<Version> {
        let pins = self.pins.engines.entry(engine.clone()).or_default();
        let pin = pins.entry(declared.clone()).or_insert_with(|| EnginePin {
            version: version.clone(),
            source: Source::System,
        });
        (pin.version != *version).then(|| pin.version.clone())
    }

    /// Forgets what is pinned, but not whom to trust, so that everything is chosen anew.
    pub fn unpin(&mut self) {
        self.pins.engines.clear();
        self.pins.modules.clear();
    }

    /// Adds the digests of all targets to what is pinned.
    pub fn complete(&mut self) -> Result<(), SupplyError> {
        let mut pins = self.pins.clone();
        for (name, pins) in &mut pins.engines {
            for EnginePin { version, source } in pins.values_mut() {
                if let Source::Registry(archives) = source {
                    self.add_digests(&package(Kind::Engine, name, version), archives)?;
                }
            }
        }
        for (name, pin) in &mut pins.modules {
            let package = package(Kind::Module, name, &pin.version);
            self.add_digests(&package, &mut pin.archives)?;
        }
        (self.pins.engines, self.pins.modules) = (pins.engines, pins.modules);
        Ok(())
    }

    /// Writes the pins of what the file declares, unless that is what the lock says already.
    /// Whether it was written.
    pub fn write(&mut self) -> Result<bool, SupplyError> {
        if !self.is_outdated() {
            return Ok(false);
        }
        self.pins.write(&self.path)?;
        self.written = Some(self.pins.clone());
        Ok(true)
    }

    /// Whether the lock says anything else than what the file declares is pinned to.
    pub fn is_outdated(&mut self) -> bool {
        self.prune();
        let nothing = self.written.is_none() && self.pins == Pins::default();
        !nothing && self.written.as_ref() != Some(&self.pins)
    }

    /// Where the lock is, or is to be.
    pub fn lock(&self) -> &Utf8Path {
        &self.path
    }

    /// Forgets what the file does not declare any more, and whom nothing comes from.
    fn prune(&mut self) {
        let [declared, _] = &self.declared;
        self.pins.engines.retain(|engine, pins| {
            let versions = declared.get(engine);
            pins.retain(|version, _| versions.is_some_and(|of| of.contains(version)));
            !pins.is_empty()
        });
        let modules = &mut self.pins.modules;
        modules.retain(|engine, _| declared.contains_key(engine));
        let modules = modules.values().map(|pin| &pin.archives);
        let engines = self.pins.engines.values().flat_map(BTreeMap::values);
        let engines = engines.filter_map(|pin| match &pin.source {
            Source::Registry(archives) => Some(archives),
            Source::System => None,
        });
        let used: BTreeSet<_> = modules.chain(engines).map(|a| a.registry.clone()).collect();
        self.pins
            .registries
            .retain(|namespace, _| used.contains(namespace));
    }

    /// The digests of all targets of a release, those that are known already included. What was
    /// revoked is an error for this target, and nothing to add for the others.
    fn add_digests(
        &mut self,
        package: &Package,
        archives: &mut Archives,
    ) -> Result<(), SupplyError> {
        let namespace = &archives.registry;
        let host = self.triple.clone();
        let index = self.index(namespace)?;
        let Some(artefacts) = index.artefacts(package) else {
            return Err(SupplyError::from(SelectError::Gone {
                namespace: namespace.clone(),
                package: package.clone(),
            }));
        };
        for (triple, artefact) in artefacts {
            match index.revoked(&artefact.sha256) {
                Some(reason) if *triple == host => {
                    return Err(SupplyError::from(SelectError::Revoked {
                        package: package.clone(),
                        reason: reason.to_owned(),
                    }));
                }
                Some(_) => continue,
                None => {}
            }
            let pinned = archives.sha256.entry(triple.clone());
            let pinned = pinned.or_insert(artefact.sha256);
            if *pinned != artefact.sha256 {
                return Err(SupplyError::Changed {
                    namespace: namespace.clone(),
                    package: Box::new(package.clone()),
                    found: artefact.sha256,
                    pinned: *pinned,
                });
            }
        }
        Ok(())
    }
}

fn declared(file: &File, enabled: bool) -> Declared {
    let mut declared = Declared::new();
    for block in file.blocks.iter().filter(|block| block.enabled || !enabled) {
        let versions = declared.entry(block.engine.clone()).or_default();
        versions.extend(block.declared().cloned());
    }
    declared
}

fn package(kind: Kind, name: &EngineName, version: &Version) -> Package {
    Package {
        kind,
        name: name.clone(),
        version: version.clone(),
    }
}
