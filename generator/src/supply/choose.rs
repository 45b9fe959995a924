//! Who provides what a file declares: the pin, else the one registry that has it, else the
//! operating system. It sees indexes, and must not know downloads.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::SystemTime,
};

use doze_contract::{EngineName, Version, protocol::PROTOCOL};
use doze_registry::{
    Artefact, Index, Kind, Namespace, Package, Triple, index,
    mirror::Mirror,
    pins::{Archives, EnginePin, ModulePin, RegistryPin, Source},
    select,
};

use super::{Need, Reach, Supply, SupplyError, package};

/// Who provides something.
pub(super) enum Provider {
    Store(Need),
    /// No registry, perhaps for a reason; so the operating system, if it has it.
    System(Option<String>),
    /// Nobody may, for a reason.
    Nobody(String),
}

impl Supply {
    /// The driver of an engine of which these versions are declared.
    pub(super) fn module(
        &mut self,
        engine: &EngineName,
        declared: &BTreeSet<Version>,
    ) -> Result<Provider, SupplyError> {
        if let Some(pin) = self.pins.modules.get(engine) {
            let package = package(Kind::Module, engine, &pin.version);
            let pinned = still_fits(pin, &package, declared)
                .and_then(|()| self.pinned(package, &pin.archives));
            return Ok(pinned.map_or_else(Provider::Nobody, Provider::Store));
        }
        let namespace = match self.registry_of(engine, Kind::Module)? {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Ok(Provider::System(None)),
            Err(reason) => return Ok(Provider::Nobody(reason)),
        };
        let versions: Vec<_> = declared.iter().cloned().collect();
        let triple = self.triple.clone();
        let index = self.index(&namespace)?;
        let choice = match select::module(index, engine, &versions, &triple) {
            Ok(choice) => choice,
            Err(error) => return Ok(Provider::Nobody(error.to_string())),
        };
        let pin = ModulePin {
            version: choice.package.version.clone(),
            protocol: choice.release.protocol,
            majors: choice.release.majors.clone(),
            archives: archives(&namespace, &choice.release.artefacts),
        };
        let need = Need {
            digest: choice.artefact.sha256,
            package: choice.package,
            namespace,
        };
        self.pins.modules.insert(engine.clone(), pin);
        Ok(Provider::Store(need))
    }

    /// A version of an engine whose driver knows these majors.
    pub(super) fn engine(
        &mut self,
        engine: &EngineName,
        declared: &Version,
        majors: &[Version],
    ) -> Result<Provider, SupplyError> {
        let pins = self.pins.engines.get(engine);
        match pins.and_then(|pins| pins.get(declared)) {
            Some(EnginePin {
                version,
                source: Source::Registry(archives),
            }) => {
                let pinned = self.pinned(package(Kind::Engine, engine, version), archives);
                return Ok(pinned.map_or_else(Provider::Nobody, Provider::Store));
            }
            Some(EnginePin {
                source: Source::System,
                ..
            }) => return Ok(Provider::System(None)),
            None => {}
        }
        let namespace = match self.registry_of(engine, Kind::Engine)? {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Ok(Provider::System(None)),
            Err(reason) => return Ok(Provider::Nobody(reason)),
        };
        let triple = self.triple.clone();
        let index = self.index(&namespace)?;
        let choice = match select::engine(index, engine, declared, majors, &triple) {
            Ok(choice) => choice,
            Err(error) => return Ok(Provider::System(Some(error.to_string()))),
        };
        let pin = EnginePin {
            version: choice.package.version.clone(),
            source: Source::Registry(archives(&namespace, &choice.release.artefacts)),
        };
        let need = Need {
            digest: choice.artefact.sha256,
            package: choice.package,
            namespace,
        };
        let pins = self.pins.engines.entry(engine.clone()).or_default();
        pins.insert(declared.clone(), pin);
        Ok(Provider::Store(need))
    }

    /// What a pin says has to be in the store.
    fn pinned(&self, package: Package, archives: &Archives) -> Result<Need, String> {
        match archives.sha256.get(&self.triple) {
            Some(digest) => Ok(Need {
                namespace: archives.registry.clone(),
                package,
                digest: *digest,
            }),
            None => Err(format!(
                "doze.lock pins {package}, but not for {}; run `doze lock`",
                self.triple
            )),
        }
    }

    /// The one registry that has the engine or its driver, if any does; more than one is a reason
    /// to refuse.
    fn registry_of(
        &mut self,
        engine: &EngineName,
        kind: Kind,
    ) -> Result<Result<Option<Namespace>, String>, SupplyError> {
        let sources: Vec<_> = self.sources.of(engine).into_iter().cloned().collect();
        if self.reach == Reach::Pinned && !sources.is_empty() {
            return Ok(Err(match kind {
                Kind::Engine => format!("{engine} is not in doze.lock yet; run `doze up`"),
                Kind::Module => {
                    format!("no driver of {engine} is in doze.lock yet; `doze up` looks for one")
                }
            }));
        }
        let mut found = Vec::new();
        for namespace in sources {
            let index = self.index(&namespace)?;
            let has = match kind {
                Kind::Engine => index.engines.contains_key(engine),
                Kind::Module => index.modules.contains_key(engine),
            };
            if has {
                found.push(namespace);
            }
        }
        Ok(match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [one, other, ..] => Err(format!(
                "the registries `{one}` and `{other}` both have the {kind} {engine}; write \
                 `engines = [\"{engine}\"]` below the [registries.…] that it shall be of"
            )),
        })
    }

    /// The index of a registry. It is read once.
    pub fn index(&mut self, namespace: &Namespace) -> Result<&Index, SupplyError> {
        let mirror = self.mirror(namespace);
        let entry = match self.indexes.entry(namespace.clone()) {
            Entry::Occupied(known) => return Ok(known.into_mut().index()),
            Entry::Vacant(entry) => entry,
        };
        let unreachable = |source| SupplyError::Mirror {
            namespace: namespace.clone(),
            source,
        };
        let bytes = mirror?.index(namespace).map_err(unreachable)?;
        let trust = self.pins.trust(namespace);
        let verified = index::verify(&bytes, namespace, &trust, SystemTime::now());
        let verified = verified.map_err(|source| SupplyError::Index {
            namespace: namespace.clone(),
            source,
        })?;
        let pin = RegistryPin {
            key: verified.key(),
            counter: verified.counter(),
        };
        self.pins.registries.insert(namespace.clone(), pin);
        Ok(entry.insert(verified).index())
    }

    pub(super) fn mirror(&self, namespace: &Namespace) -> Result<Mirror, SupplyError> {
        let mirror = self.sources.mirror(namespace);
        let mirror = mirror.ok_or_else(|| SupplyError::NoRegistry(namespace.clone()))?;
        mirror.map_err(|source| SupplyError::Mirror {
            namespace: namespace.clone(),
            source,
        })
    }
}

fn still_fits(
    pin: &ModulePin,
    package: &Package,
    declared: &BTreeSet<Version>,
) -> Result<(), String> {
    if pin.protocol != PROTOCOL {
        return Err(format!(
            "doze.lock pins {package}, which speaks protocol {}, and this doze speaks {PROTOCOL}; \
             run `doze lock upgrade`",
            pin.protocol
        ));
    }
    match declared
        .iter()
        .find(|version| !pin.majors.iter().any(|major| version.is_related(major)))
    {
        Some(version) => Err(format!(
            "doze.lock pins {package}, which does not know version {version}; \
             run `doze lock upgrade`"
        )),
        None => Ok(()),
    }
}

fn archives(namespace: &Namespace, artefacts: &BTreeMap<Triple, Artefact>) -> Archives {
    let digest = |(triple, artefact): (&Triple, &Artefact)| (triple.clone(), artefact.sha256);
    Archives {
        registry: namespace.clone(),
        sha256: artefacts.iter().map(digest).collect(),
    }
}
