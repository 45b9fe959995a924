//! `${…}`: what a string of `doze.toml` may refer to and compute.
//!
//! The grammar is HCL's, read by hcl-edit; what the words mean is decided by a [`Scope`]. Must not
//! know what a project is.

mod eval;
mod functions;
mod mentions;
mod traversal;

use std::{borrow::Cow, cell::Cell, fmt, io, ops::Range};

use camino::Utf8Path;
use hcl_edit::template::Template;
use serde_json::Value;

pub use self::functions::{FUNCTIONS, Function};
use crate::diagnostic::{Code, Diagnostic, Span};

/// A string with at least one `${…}` in it.
#[derive(Debug)]
pub struct Expression {
    template: Template,
    place: Place,
}

/// Where the text of an expression stands.
#[derive(Debug, Clone)]
pub struct Place {
    /// The whole string.
    pub whole: Span,
    /// Where its first byte stands, if the string is written without escapes, so that a part of it
    /// can be pointed to.
    pub exact: Option<usize>,
}

impl Place {
    fn part(&self, range: Option<Range<usize>>) -> Span {
        match (self.exact, range) {
            (Some(start), Some(range)) => start + range.start..start + range.end,
            _ => self.whole.clone(),
        }
    }
}

/// What a name in an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `var.NAME`.
    Variable(String),
    /// `local.NAME`.
    Local(String),
    /// `each.key`.
    EachKey,
    /// `each.value`.
    EachValue,
    /// `count.index`.
    CountIndex,
    /// `ENGINE.NAME.ATTRIBUTE`.
    Attribute {
        /// The engine.
        engine: String,
        /// The instance.
        instance: String,
        /// What is asked of it.
        attribute: String,
    },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "var.{name}"),
            Self::Local(name) => write!(f, "local.{name}"),
            Self::EachKey => f.write_str("each.key"),
            Self::EachValue => f.write_str("each.value"),
            Self::CountIndex => f.write_str("count.index"),
            Self::Attribute {
                engine,
                instance,
                attribute,
            } => write!(f, "{engine}.{instance}.{attribute}"),
        }
    }
}

/// A value with what must be known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The value.
    pub value: Value,
    /// It must not be shown.
    pub sensitive: bool,
}

/// Why a reference has no value. Nothing is said of one that depends on something that is wrong
/// itself.
#[derive(Debug, Clone)]
pub enum Missing {
    /// What is wrong, and what to do.
    Wrong {
        /// The kind of problem.
        code: Code,
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Another problem has been reported already.
    Reported,
}

/// What the names in an expression stand for.
pub trait Scope {
    /// The value of a reference. What is borrowed may be large: a part of it is taken without a
    /// copy of the rest.
    ///
    /// # Errors
    /// If it has none.
    fn find(&self, reference: &Reference) -> Result<Cow<'_, Known>, Missing>;

    /// The names that could have been meant, for a hint: the first words of references.
    fn roots(&self) -> Vec<String>;
}

/// What expressions may see of the machine.
pub trait Surroundings {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The text of a file; a relative path is below the folder of the file in which the expression
    /// stands.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    fn file(&self, place: &Span, path: &Utf8Path) -> io::Result<String>;
}

/// How much may still be computed, in steps and bytes, by all expressions of a project. Without it
/// a few lines could ask for the age of the universe.
#[derive(Debug)]
pub struct Budget(Cell<Option<u64>>);

impl Default for Budget {
    /// Enough for hundreds of thousands of expressions as people write them; a second or two.
    fn default() -> Self {
        Self(Cell::new(Some(100_000_000)))
    }
}

impl Budget {
    /// Whether there is nothing left of it. Who has heard why has to tell.
    pub fn is_spent(&self) -> bool {
        self.0.get().is_none()
    }

    /// The first who finds it spent hears why; there is nothing to say to the others.
    fn spend(&self, cost: usize) -> Result<(), Option<&'static str>> {
        let had = self.0.get().ok_or(None)?;
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        self.0.set(had.checked_sub(cost));
        self.0
            .get()
            .map(drop)
            .ok_or(Some("the expressions of this project compute too much"))
    }
}

/// All that an evaluation needs.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What the names stand for.
    pub scope: &'a dyn Scope,
    /// The machine.
    pub surroundings: &'a dyn Surroundings,
    /// What may still be computed.
    pub budget: &'a Budget,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl Expression {
    /// Whether a string is more than itself.
    pub fn is_one(text: &str) -> bool {
        text.contains("${")
    }

    /// Reads a string in which `${` occurs.
    ///
    /// # Errors
    /// If what follows it is no expression.
    pub fn parse(text: &str, mut place: Place) -> Result<Self, Diagnostic> {
        // Templates of HCL have directives, too; strings of doze.toml do not, so that a `%{` is
        // one. Escaping it moves what stands behind it.
        let escaped = text.replace("%{", "%%{");
        if escaped.len() != text.len() {
            place.exact = None;
        }
        match escaped.parse() {
            Ok(template) => Ok(Self { template, place }),
            Err(error) => {
                let error: hcl_edit::parser::Error = error;
                let at = error.location().offset();
                let span = place.part(Some(at..at + 1));
                let message = format!("this is no expression: {}", error.message());
                Err(Diagnostic::new(Code::Expression, span, message)
                    .hint("write `$${` for a `${` that is none"))
            }
        }
    }

    /// The value. A string that is a single `${…}` has the type of what stands in it.
    ///
    /// # Errors
    /// If it has no value; nothing in the error means that the reason has been reported already.
    pub fn evaluate(&self, world: World<'_>) -> Result<Known, Option<Diagnostic>> {
        eval::evaluate(&self.template, &self.place, world)
    }

    /// Everything that it refers to, with the places. Indices have to be known before any
    /// instance is, so the scope is one without instances.
    pub fn references(
        &self,
        world: World<'_>,
    ) -> Result<Vec<(Reference, Span)>, Option<Diagnostic>> {
        mentions::references(&self.template, &self.place, world)
    }

    /// The text, if there is nothing in it but escapes.
    pub fn literal(&self) -> Option<String> {
        let mut text = String::new();
        for element in &self.template {
            text.push_str(element.as_literal()?);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests;
