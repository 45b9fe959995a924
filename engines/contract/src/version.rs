//! Versions of engines: what a user asks for and what a toolchain has.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

/// A dotted version such as `17` or `17.4`. A request with fewer parts asks for any version that
/// starts with them: `17` is provided by `17.11`, `17.1` is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Vec<u32>);

/// The text is not made of numbers joined by dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a version; write numbers joined by dots, such as 17 or \"17.4\"")]
pub struct VersionError;

impl Version {
    /// Reads `17`, `17.4` or `8.1.8`.
    pub fn new(text: &str) -> Result<Self, VersionError> {
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(VersionError);
        }
        let part = |part: &str| part.parse().map_err(|_| VersionError);
        text.split('.')
            .map(part)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first version in what a program prints for `--version`: the first word with a digit
    /// in it, from there on. Both `postgres (PostgreSQL) 15.18 (Debian …)` and
    /// `Valkey server v=8.1.8 sha=…` are understood.
    pub fn find_in(output: &str) -> Option<Self> {
        output.split_whitespace().find_map(|word| {
            let start = word.find(|c: char| c.is_ascii_digit())?;
            let number = word.get(start..)?;
            let end = number.find(|c: char| c != '.' && !c.is_ascii_digit());
            Self::new(
                number
                    .get(..end.unwrap_or(number.len()))?
                    .trim_end_matches('.'),
            )
            .ok()
        })
    }

    /// Whether this version is what `request` asks for.
    pub fn provides(&self, request: &Self) -> bool {
        self.0.starts_with(&request.0)
    }

    /// Whether one of the two leaves open what the other one says: `11` and `11.4` are related, as
    /// are `17.4` and `17`.
    pub fn is_related(&self, other: &Self) -> bool {
        self.provides(other) || other.provides(self)
    }

    /// The first number.
    pub fn major(&self) -> u32 {
        self.0.first().copied().unwrap_or(0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if at == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        Self::new(&text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn a_major_is_provided_by_its_minors_only() {
        assert!(version("17.11").provides(&version("17")));
        assert!(version("17.4").provides(&version("17.4")));
        assert!(!version("17.11").provides(&version("17.1")));
        assert!(!version("17").provides(&version("17.4")));
        assert!(!version("7").provides(&version("17")));
    }

    #[test]
    fn newer_is_greater() {
        assert!(version("17.11") > version("17.9"));
        assert!(version("18") > version("17.11"));
    }

    #[test]
    fn what_engines_print_is_understood() {
        let found = |text: &str| Version::find_in(text).map(|v| v.to_string());
        assert_eq!(
            found("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)").unwrap(),
            "15.18"
        );
        assert_eq!(
            found("Valkey server v=8.1.8 sha=00000000:0 malloc=libc").unwrap(),
            "8.1.8"
        );
        assert_eq!(found("Redis server v=7.0.15 sha=0").unwrap(), "7.0.15");
        assert_eq!(found("postgres (PostgreSQL) 19beta1").unwrap(), "19");
        assert_eq!(found("no version here"), None);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "v17", "17.", "17.x", "-1", "99999999999"] {
            assert_eq!(Version::new(text), Err(VersionError), "{text}");
        }
    }
}
