//! Names of projects, instances and engines.
//!
//! A name is what the user wrote; nothing is folded or replaced, so that a database called
//! `Ünïcode 100%` is called that everywhere. Each place that cannot hold such text escapes it for
//! itself (unit names, SQL identifiers, …). A name is also one component of a path, which is the
//! only thing that limits it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest project or instance name in bytes. Two of them, escaped fourfold in the worst
/// case, still have to fit into a unit name of 255 bytes in every realistic case; the unit room
/// reports the rest.
pub const NAME_MAX: usize = 63;

/// Why a text is not a name. The message is meant to follow the name itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no text at all.
    #[error("is empty")]
    Empty,
    /// The text has more than [`NAME_MAX`] bytes.
    #[error("is {0} bytes long; a name has at most {NAME_MAX}")]
    TooLong(usize),
    /// A name starts with a dot, which would hide its files.
    #[error("starts with a dot")]
    LeadingDot,
    /// A character that cannot be part of a file name, or that would break a line of a unit file.
    #[error("contains {0:?}, which a name cannot hold")]
    Character(char),
    /// An engine name is made of lower-case letters, digits and underscores.
    #[error("contains {0:?}; an engine name has only lower-case letters, digits and underscores")]
    EngineCharacter(char),
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    if text.starts_with('.') {
        return Err(NameError::LeadingDot);
    }
    match text.chars().find(|c| *c == '/' || is_unwritable(*c)) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

/// Whether no unit file can hold this character. A control character would end the line, or is
/// refused in a path; a line with a Unicode noncharacter is not taken for UTF-8, and ignored.
pub fn is_unwritable(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}

fn check_engine(text: &str) -> Result<(), NameError> {
    check(text)?;
    match text
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_'))
    {
        Some(c) => Err(NameError::EngineCharacter(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Accepts `text` if it is a name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The name as the user wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name! {
    /// The name of a project: of its slice, its target and its folder under the home.
    ProjectName, check
}
name! {
    /// The name of an instance, unique within its project whatever its engine.
    InstanceName, check
}
name! {
    /// The name of an engine, as it stands in `[ENGINE.NAME]` and in `doze-driver-ENGINE`.
    EngineName, check_engine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_it_was_written() {
        for text in [
            "app",
            "my shop",
            "100%",
            "$HOME",
            "it's \"quoted\"",
            "größe",
            "a-b_c.d",
            "-x",
        ] {
            assert_eq!(InstanceName::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_name_is_one_visible_path_component_on_one_line() {
        assert_eq!(ProjectName::new(""), Err(NameError::Empty));
        assert_eq!(ProjectName::new("."), Err(NameError::LeadingDot));
        assert_eq!(ProjectName::new(".hidden"), Err(NameError::LeadingDot));
        assert_eq!(ProjectName::new("a/b"), Err(NameError::Character('/')));
        assert_eq!(ProjectName::new("a\nb"), Err(NameError::Character('\n')));
        assert_eq!(ProjectName::new("a\0b"), Err(NameError::Character('\0')));
        for c in ['\u{fffe}', '\u{1ffff}', '\u{fdd0}'] {
            assert_eq!(InstanceName::new(c), Err(NameError::Character(c)));
        }
        assert_eq!(
            ProjectName::new("x".repeat(64)),
            Err(NameError::TooLong(64))
        );
        assert!(ProjectName::new("x".repeat(63)).is_ok());
    }

    #[test]
    fn an_engine_name_is_narrower() {
        assert!(EngineName::new("postgres").is_ok());
        assert_eq!(
            EngineName::new("Postgres"),
            Err(NameError::EngineCharacter('P'))
        );
        assert_eq!(
            EngineName::new("my-sql"),
            Err(NameError::EngineCharacter('-'))
        );
    }

    #[test]
    fn a_name_is_checked_when_it_is_read() {
        assert!(serde_json::from_str::<InstanceName>("\"a/b\"").is_err());
    }
}
