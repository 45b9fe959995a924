//! Reading the text of `doze.lock`, with the line of whatever is wrong.
//!
//! Must not know files.

use std::collections::BTreeMap;

use doze_contract::{EngineName, Version};
use serde::Deserialize;

use super::{Archives, EnginePin, FORMAT, ModulePin, ParseError, Pins, RegistryPin, Source};
use crate::{Digest, Namespace, PublicKey, Triple, manifest::line_of};

/// How the lines begin that git writes where it cannot merge.
const CONFLICT: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

pub(super) fn parse(text: &str) -> Result<Pins, ParseError> {
    let marked = |line: &str| CONFLICT.iter().any(|mark| line.starts_with(mark));
    if let Some(at) = text.lines().position(marked) {
        return Err(ParseError::Conflict(at + 1));
    }
    let failed = |error: toml::de::Error| ParseError::Line {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    };
    let Head { format } = toml::from_str(text).map_err(failed)?;
    if format != i64::from(FORMAT) {
        return Err(ParseError::Format(format));
    }
    let raw: Raw = toml::from_str(text).map_err(failed)?;
    let mut pins = Pins::from(raw);
    // A table with nothing in it is nothing, and would not be written again.
    pins.engines.retain(|_, versions| !versions.is_empty());
    Ok(pins)
}

/// All that is read of a lock that may be of another format.
#[derive(Deserialize)]
struct Head {
    format: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[expect(dead_code, reason = "read by itself before")]
    format: i64,
    #[serde(default)]
    registry: BTreeMap<Namespace, Registry>,
    #[serde(default)]
    engine: BTreeMap<EngineName, BTreeMap<Version, Engine>>,
    #[serde(default)]
    module: BTreeMap<EngineName, Module>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    key: PublicKey,
    counter: u64,
}

#[derive(Deserialize)]
#[serde(try_from = "EngineFields")]
struct Engine(EnginePin);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineFields {
    version: Version,
    source: Option<SourceWord>,
    registry: Option<Namespace>,
    sha256: Option<BTreeMap<Triple, Digest>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceWord {
    System,
}

impl TryFrom<EngineFields> for Engine {
    type Error = &'static str;

    fn try_from(fields: EngineFields) -> Result<Self, Self::Error> {
        let EngineFields {
            version,
            source,
            registry,
            sha256,
        } = fields;
        let source = match (source, registry, sha256) {
            (Some(SourceWord::System), None, None) => Source::System,
            (None, Some(registry), Some(sha256)) => Source::Registry(Archives { registry, sha256 }),
            _ => return Err("an engine has a registry and its digests, or source = \"system\""),
        };
        Ok(Self(EnginePin { version, source }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    version: Version,
    registry: Namespace,
    protocol: u32,
    majors: Vec<Version>,
    sha256: BTreeMap<Triple, Digest>,
}

impl From<Raw> for Pins {
    fn from(raw: Raw) -> Self {
        let registry = |registry: Registry| RegistryPin {
            key: registry.key,
            counter: registry.counter,
        };
        let module = |module: Module| ModulePin {
            version: module.version,
            protocol: module.protocol,
            majors: module.majors,
            archives: Archives {
                registry: module.registry,
                sha256: module.sha256,
            },
        };
        Self {
            registries: mapped(raw.registry, registry),
            engines: mapped(raw.engine, |versions| mapped(versions, |Engine(pin)| pin)),
            modules: mapped(raw.module, module),
        }
    }
}

fn mapped<K: Ord, A, B>(map: BTreeMap<K, A>, with: impl Fn(A) -> B) -> BTreeMap<K, B> {
    map.into_iter()
        .map(|(key, value)| (key, with(value)))
        .collect()
}
