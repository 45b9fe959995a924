//! Moving in: what other tools declare, as a `doze.toml`.
//!
//! Pure but for what a [`Surroundings`] is asked. Owns the rule that nothing is dropped silently:
//! every key of a file is either used or becomes a [`Note`]. Must not know the command line.

pub mod compose;
mod document;
pub mod hcl;

use doze_contract::{
    EngineName, Version,
    protocol::{Check, Description, Problem},
};

use crate::drivers::DriverError;

/// What a file of another tool became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The text of a `doze.toml`; the notes stand in it as comments, too.
    pub toml: String,
    /// What could not be carried over, in the order of the file.
    pub notes: Vec<Note>,
}

/// Something that could not be carried over, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The line of the file, from 1 on, where it is known.
    pub line: Option<u64>,
    /// The keys that lead to it, joined by dots.
    pub at: String,
    /// Why, or what to do instead. Never a value that may be a secret.
    pub why: String,
}

impl Note {
    pub(crate) fn new(line: u64, at: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            line: (line > 0).then_some(line),
            at: at.into(),
            why: why.into(),
        }
    }
}

/// Why there is nothing to write.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is not of its language, or goes beyond what a file for people may ask for.
    #[error("{message}")]
    Syntax {
        /// The line, from 1 on, where it is known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// A driver does not do its part.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

impl ImportError {
    fn syntax(line: Option<u64>, message: impl Into<String>) -> Self {
        Self::Syntax {
            line,
            message: message.into(),
        }
    }
}

/// What an import has to ask for.
pub trait Surroundings {
    /// What the driver of an engine says of it; nothing if there is no driver.
    fn describe(&self, engine: &EngineName) -> Result<Option<Description>, DriverError>;

    /// The major versions of an engine that are installed, newest first.
    fn installed(&self, about: &Description) -> Vec<Version>;

    /// Everything that its driver has against a block.
    fn check(&self, engine: &EngineName, check: Check) -> Result<Vec<Problem>, DriverError>;

    /// The text of a file, by its path as seen from the imported one.
    fn file(&self, path: &str) -> Option<String>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether nobody listens on a port of this machine.
    fn is_free(&self, port: u16) -> bool;
}

/// A text as it has to be written in `doze.toml`, where `${` makes a template of HCL of it.
fn literal(text: &str) -> String {
    if text.contains("${") {
        literal_part(text)
    } else {
        text.to_owned()
    }
}

/// A text as a part of one that is a template.
fn literal_part(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// The text that a string of `doze.toml` stands for; nothing if it contains an expression.
fn plain(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if !rest.get(..at)?.ends_with('$') {
            return None;
        }
        rest = rest.get(at + 2..)?;
    }
    if text.contains("${") {
        Some(text.replace("$${", "${").replace("%%{", "%{"))
    } else {
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_text_is_read_back_as_it_was() {
        for text in [
            "",
            "a",
            "a${b}",
            "$",
            "{",
            "${",
            "${${",
            "a$b",
            "%{a}",
            "%%{",
            "${a} %{b}",
        ] {
            assert_eq!(plain(&literal(text)).as_deref(), Some(text), "{text}");
        }
        for expression in ["${a}", "x ${a}", "$${a} ${b}"] {
            assert_eq!(plain(expression), None, "{expression}");
        }
    }
}
