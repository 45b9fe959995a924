//! The name of a publisher.
//!
//! Must not know what is published under it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest namespace in bytes.
pub const NAMESPACE_MAX: usize = 32;

/// What a publisher's releases stand under, in the registry and in `doze.lock`: lower-case
/// letters, digits and `-`, starting with a letter, at most [`NAMESPACE_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);

/// The text is not a namespace. The message is meant to follow the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a namespace: lower-case letters, digits and -, starting with a letter, at most \
     {NAMESPACE_MAX} bytes"
)]
pub struct NamespaceError;

impl Namespace {
    /// Accepts `text` if it is a namespace.
    pub fn new(text: impl Into<String>) -> Result<Self, NamespaceError> {
        let text = text.into();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.len() <= NAMESPACE_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(fits)
        {
            Ok(Self(text))
        } else {
            Err(NamespaceError)
        }
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Namespace {
    type Error = NamespaceError;

    fn try_from(text: String) -> Result<Self, NamespaceError> {
        Self::new(text)
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_harmless_folder() {
        for right in ["doze", "a", "acme-2", &"x".repeat(NAMESPACE_MAX)] {
            assert_eq!(Namespace::new(right).unwrap().as_str(), right);
        }
        let long = "x".repeat(NAMESPACE_MAX + 1);
        for wrong in ["", "Doze", "2a", "-a", "a.b", "a/b", "..", "a\n", &long] {
            assert_eq!(Namespace::new(wrong), Err(NamespaceError), "{wrong}");
        }
    }
}
