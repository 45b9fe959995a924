//! `package.toml`: what a folder that is to be published says of itself.
//!
//! Must not know archives.

use doze_contract::{EngineName, Version};
use serde::{Deserialize, Serialize};

use crate::{Kind, Package, Triple, index::Channel};

/// The name of the file, at the top of the folder and of the archive.
pub const FILE: &str = "package.toml";

/// The name of the file beside it that holds a driver's answer to `describe`, as JSON.
pub const DESCRIPTION: &str = "description.json";

/// What `package.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Manifest {
    /// What it is.
    pub package: Package,
    /// What it was built for.
    pub target: Triple,
    /// Whom it is for.
    pub channel: Channel,
    /// The licence, as its authors call it.
    pub licence: String,
    /// What it was made of: packages, versions, digests.
    pub origin: String,
    /// What only a driver has.
    pub driver: Option<Driver>,
}

/// What only a driver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The number of the protocol that it speaks.
    pub protocol: u32,
    /// The majors of the engine that it knows.
    pub majors: Vec<Version>,
}

/// The text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ManifestError {
    /// The number of the line.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Manifest {
    /// Reads the text of `package.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        toml::from_str(text).map_err(|error| ManifestError {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })
    }

    /// The text of `package.toml`.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

/// The number of the line that a byte is on.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    name: EngineName,
    version: Version,
    target: Triple,
    channel: Channel,
    licence: String,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    majors: Option<Vec<Version>>,
}

impl TryFrom<Fields> for Manifest {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let driver = match (fields.kind, fields.protocol, fields.majors) {
            (Kind::Engine, None, None) => None,
            (Kind::Module, Some(protocol), Some(majors)) if !majors.is_empty() => {
                Some(Driver { protocol, majors })
            }
            (Kind::Engine, ..) => return Err("an engine has no `protocol` and no `majors`"),
            (Kind::Module, ..) => return Err("a module has a `protocol` and `majors`"),
        };
        Ok(Self {
            package: Package {
                kind: fields.kind,
                name: fields.name,
                version: fields.version,
            },
            target: fields.target,
            channel: fields.channel,
            licence: fields.licence,
            origin: fields.origin,
            driver,
        })
    }
}

impl From<Manifest> for Fields {
    fn from(manifest: Manifest) -> Self {
        let Manifest {
            package,
            target,
            channel,
            licence,
            origin,
            driver,
        } = manifest;
        let (protocol, majors) = driver
            .map(|driver| (driver.protocol, driver.majors))
            .unzip();
        Self {
            kind: package.kind,
            name: package.name,
            version: package.version,
            target,
            channel,
            licence,
            origin,
            protocol,
            majors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"kind = "module"
name = "postgres"
version = "0.1.0"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "Apache-2.0"
origin = "doze 0.1.0"
protocol = 1
majors = ["14", "15"]
"#;

    #[test]
    fn a_manifest_reads_what_it_writes() {
        let module = Manifest::parse(MODULE).unwrap();
        assert_eq!(module.to_text().unwrap(), MODULE);
        assert_eq!(module.package.to_string(), "module postgres 0.1.0");
    }

    #[test]
    fn an_engine_and_a_module_say_different_things() {
        let told = |text: &str| Manifest::parse(text).unwrap_err().to_string();
        let engine = MODULE.replace("\"module\"", "\"engine\"");
        assert_eq!(
            told(&engine),
            "line 1: an engine has no `protocol` and no `majors`"
        );
        let bare = MODULE.replace("protocol = 1\n", "");
        assert_eq!(
            told(&bare),
            "line 1: a module has a `protocol` and `majors`"
        );
        let wrong = told(&MODULE.replace("\"stable\"", "\"nightly\""));
        assert!(
            wrong.starts_with("line 5: unknown variant `nightly`"),
            "{wrong}"
        );
    }
}
