//! The index: all that a publisher offers.
//!
//! Must not know where an index comes from, nor what is pinned of it.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use doze_contract::{EngineName, Version};
use serde::{Deserialize, Serialize};

use crate::{
    Artefact, Digest, Kind, Namespace, Package, Triple,
    envelope::{self, EnvelopeError, Handover},
    key::{PublicKey, SecretKey},
};

mod trust;

pub(crate) use trust::{Authentic, authenticate};
pub use trust::{IndexError, Trust, Verified, verify};

/// The format of payloads that this code writes and reads.
pub const FORMAT: u32 = 1;

/// What a publisher says of its releases at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The publisher.
    pub namespace: Namespace,
    /// Grows with every index of the publisher.
    pub counter: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it is not to be believed any more, in seconds since 1970.
    pub expires: u64,
    /// The releases of engines.
    pub engines: Releases<EngineRelease>,
    /// The releases of drivers.
    pub modules: Releases<ModuleRelease>,
    /// Archives that must not be used any more, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revoked: BTreeMap<Digest, String>,
    /// Keys that must not be believed any more, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revoked_keys: BTreeMap<PublicKey, String>,
}

/// Releases by name and version.
pub type Releases<R> = BTreeMap<EngineName, BTreeMap<Version, R>>;

/// One version of an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineRelease {
    /// Whom it is for.
    pub channel: Channel,
    /// What the archives were made of, one a line.
    pub origin: String,
    /// The licence, as its authors call it.
    pub licence: String,
    /// The archives.
    pub artefacts: BTreeMap<Triple, Artefact>,
}

/// One version of a driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleRelease {
    /// Whom it is for.
    pub channel: Channel,
    /// What the archives were made of, one a line.
    pub origin: String,
    /// The licence, as its authors call it.
    pub licence: String,
    /// The number of the driver protocol that it speaks.
    pub protocol: u32,
    /// The majors of the engine that it knows.
    pub majors: Vec<Version>,
    /// What it answers to `describe`.
    pub description: serde_json::Value,
    /// The archives.
    pub artefacts: BTreeMap<Triple, Artefact>,
}

/// Whom a release is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// For those who want to try it; taken only where there is nothing stable.
    Preview,
    /// For everybody.
    Stable,
}

impl Index {
    /// An index with nothing in it.
    pub fn new(namespace: Namespace) -> Self {
        Self {
            format: FORMAT,
            namespace,
            counter: 0,
            issued: 0,
            expires: 0,
            engines: BTreeMap::new(),
            modules: BTreeMap::new(),
            revoked: BTreeMap::new(),
            revoked_keys: BTreeMap::new(),
        }
    }

    /// The archives of a package, whether revoked or not.
    pub fn artefacts(&self, package: &Package) -> Option<&BTreeMap<Triple, Artefact>> {
        let Package {
            kind,
            name,
            version,
        } = package;
        match kind {
            Kind::Engine => Some(&self.engines.get(name)?.get(version)?.artefacts),
            Kind::Module => Some(&self.modules.get(name)?.get(version)?.artefacts),
        }
    }

    /// Why the archive must not be used any more, if so.
    pub fn revoked(&self, digest: &Digest) -> Option<&str> {
        self.revoked.get(digest).map(String::as_str)
    }

    /// Writes and signs the file that carries the index.
    pub fn seal(&self, chain: &[Handover], key: &SecretKey) -> Result<Vec<u8>, IndexError> {
        let mut payload = serde_json::to_vec_pretty(self).map_err(IndexError::Payload)?;
        payload.push(b'\n');
        Ok(envelope::seal(&self.namespace, chain, key, &payload))
    }

    fn parse(payload: &[u8], asked: &Namespace) -> Result<Self, IndexError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_slice(payload).map_err(IndexError::Payload)?;
        if format != FORMAT {
            return Err(EnvelopeError::Format(format).into());
        }
        let index: Self = serde_json::from_slice(payload).map_err(IndexError::Payload)?;
        if index.namespace != *asked {
            return Err(EnvelopeError::OtherNamespace {
                asked: asked.clone(),
                found: index.namespace,
            }
            .into());
        }
        Ok(index)
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
