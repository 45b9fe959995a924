//! `catalogue.json`: what there is in a registry, for tools that only look.
//!
//! Nobody signs it: what is to be run is decided by an index. Must not know files.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::{EngineName, Version};
use serde::{Deserialize, Serialize};

use crate::{
    Index, Namespace, PublicKey, Triple,
    index::{Channel, EngineRelease, ModuleRelease, Releases},
};

/// The format of catalogues that this code writes.
pub const FORMAT: u32 = 1;

/// What there is in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The publishers.
    pub namespaces: BTreeMap<Namespace, Publisher>,
}

/// What there is of a publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// Its key.
    pub key: PublicKey,
    /// The number of its index.
    pub counter: u64,
    /// When that was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on that is not to be believed, in seconds since 1970.
    pub expires: u64,
    /// Its engines.
    pub engines: BTreeMap<EngineName, BTreeMap<Version, Listed>>,
    /// Its drivers.
    pub modules: BTreeMap<EngineName, BTreeMap<Version, Listed>>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Whom it is for.
    pub channel: Channel,
    /// The licence.
    pub licence: String,
    /// The targets with an archive that was not revoked.
    pub targets: BTreeSet<Triple>,
    /// The number of the protocol that a driver speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// The majors that a driver knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub majors: Vec<Version>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            format: FORMAT,
            namespaces: BTreeMap::new(),
        }
    }
}

impl Catalogue {
    /// Adds what a publisher has.
    pub fn add(&mut self, index: &Index, key: PublicKey) {
        let targets = |artefacts: &BTreeMap<Triple, crate::Artefact>| {
            let there = artefacts
                .iter()
                .filter(|(_, a)| index.revoked(&a.sha256).is_none());
            there.map(|(triple, _)| triple.clone()).collect()
        };
        let engine = |release: &EngineRelease| Listed {
            channel: release.channel,
            licence: release.licence.clone(),
            targets: targets(&release.artefacts),
            protocol: None,
            majors: Vec::new(),
        };
        let module = |release: &ModuleRelease| Listed {
            channel: release.channel,
            licence: release.licence.clone(),
            targets: targets(&release.artefacts),
            protocol: Some(release.protocol),
            majors: release.majors.clone(),
        };
        let publisher = Publisher {
            key,
            counter: index.counter,
            issued: index.issued,
            expires: index.expires,
            engines: listed(&index.engines, engine),
            modules: listed(&index.modules, module),
        };
        self.namespaces.insert(index.namespace.clone(), publisher);
    }

    /// The text of the file.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

fn listed<R>(
    releases: &Releases<R>,
    with: impl Fn(&R) -> Listed,
) -> BTreeMap<EngineName, BTreeMap<Version, Listed>> {
    let versions = |versions: &BTreeMap<Version, R>| {
        versions
            .iter()
            .map(|(version, release)| (version.clone(), with(release)))
            .collect()
    };
    releases
        .iter()
        .map(|(name, all)| (name.clone(), versions(all)))
        .collect()
}
