//! What is published: a package of a kind, a name and a version, as one archive for each target.
//!
//! Must not know where archives come from or go to.

use std::{fmt, str::FromStr};

use camino::Utf8PathBuf;
use doze_contract::{EngineName, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a package holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The programs of an engine.
    Engine,
    /// The driver of an engine.
    Module,
}

impl Kind {
    /// The folder that holds packages of this kind, in a registry and in the store.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Engine => "engines",
            Self::Module => "modules",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine",
            Self::Module => "module",
        })
    }
}

/// One release of a name; together with a [`Triple`] it is one archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Package {
    /// What it holds.
    pub kind: Kind,
    /// The engine that it is or drives.
    pub name: EngineName,
    /// Its own version.
    pub version: Version,
}

impl Package {
    /// Where its archive stands below the folder of its publisher.
    pub fn path(&self, triple: &Triple) -> Utf8PathBuf {
        let Self {
            kind,
            name,
            version,
        } = self;
        format!("{}/{name}/{name}-{version}-{triple}.tar.zst", kind.folder()).into()
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.name, self.version)
    }
}

/// A target as the Rust compiler names it, such as `x86_64-unknown-linux-gnu`; three or four words
/// of lower-case letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Triple(String);

/// The text does not name a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a target, such as x86_64-unknown-linux-gnu")]
pub struct TripleError;

impl Triple {
    /// Reads the name of a target.
    pub fn new(text: &str) -> Result<Self, TripleError> {
        let is_word = |word: &str| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            !word.is_empty() && word.bytes().all(fits)
        };
        let words = text.split('-').count();
        if (3..=4).contains(&words) && text.len() <= 64 && text.split('-').all(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TripleError)
        }
    }

    /// The target that this program was built for.
    pub fn host() -> Self {
        Self(env!("DOZE_TARGET").to_owned())
    }
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Triple {
    type Error = TripleError;

    fn try_from(text: String) -> Result<Self, TripleError> {
        Self::new(&text)
    }
}

impl From<Triple> for String {
    fn from(triple: Triple) -> Self {
        triple.0
    }
}

/// A SHA-256 (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// The text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a SHA-256 of 64 hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest that a hasher has come to.
    pub fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The first 8 digits, which tell releases of one version apart for people and in paths.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(DigestError),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(DigestError);
        };
        let bytes: Vec<u8> = pairs
            .iter()
            .map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?))
            .collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// One archive: what the index says of it, and what has to be true of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_writes() {
        let digest = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(digest.short(), "e3b0c442");
        for wrong in ["", "e3b0", &text.to_uppercase(), &format!("{text}0")] {
            assert_eq!(wrong.parse::<Digest>(), Err(DigestError), "{wrong}");
        }
    }

    #[test]
    fn a_target_cannot_lead_out_of_its_folder() {
        assert_eq!(Triple::new(&Triple::host().to_string()), Ok(Triple::host()));
        assert!(Triple::new("aarch64-apple-darwin").is_ok());
        for wrong in ["", "linux", "a-b-..", "a/b-c-d", "a--b", "A-b-c"] {
            assert_eq!(Triple::new(wrong), Err(TripleError), "{wrong}");
        }
    }

    #[test]
    fn an_archive_is_found_by_its_names() {
        let package = Package {
            kind: Kind::Engine,
            name: EngineName::new("postgres").unwrap(),
            version: Version::new("17.11").unwrap(),
        };
        let triple = Triple::new("x86_64-unknown-linux-gnu").unwrap();
        assert_eq!(
            package.path(&triple),
            "engines/postgres/postgres-17.11-x86_64-unknown-linux-gnu.tar.zst"
        );
    }
}
