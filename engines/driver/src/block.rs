//! The block of an engine, declared once: a table of [`Key`]s from which both [`check()`] and the
//! [`schema()`] for `describe` follow. It must not know any engine's keys.

mod check;
mod schema;

pub use check::{check, nearest};
pub use schema::schema;

/// One key of an engine's block.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key as the user writes it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it does, for the user.
    pub doc: &'static str,
}

/// Says what is wrong with a text, without repeating it, for it may be a secret.
pub type Rule = fn(&str) -> Result<(), String>;

/// What a key holds. A key without a default may be left out, and is then absent from the
/// normalised block.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Flag {
        /// The value when the key is left out.
        default: bool,
    },
    /// A whole number from `min` to `max`.
    Number {
        /// The value when the key is left out.
        default: i64,
        /// The smallest value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A text that a rule accepts.
    Text {
        /// The value when the key is left out.
        default: Option<&'static str>,
        /// The rule.
        rule: Rule,
    },
    /// A text that a rule accepts, and without which there is no instance.
    Needed {
        /// A right one, for the schema and for tests.
        example: &'static str,
        /// The rule.
        rule: Rule,
    },
    /// A whole number from `min` to `max`, or a text that a rule accepts; absent when the key is
    /// left out.
    NumberOrText {
        /// The smallest number.
        min: i64,
        /// The greatest number.
        max: i64,
        /// The rule.
        rule: Rule,
    },
    /// `true`, `false`, or a text that a rule accepts.
    FlagOrText {
        /// The value when the key is left out.
        default: bool,
        /// The rule.
        rule: Rule,
    },
    /// One of some words.
    Choice {
        /// The value when the key is left out.
        default: Option<&'static str>,
        /// The words.
        of: &'static [&'static str],
    },
    /// A table of the engine's own settings; its values are texts, numbers and booleans.
    Settings {
        /// Settings that the driver makes itself, in lower case, with the reason as a fragment
        /// that follows the name (`is made by doze: …`).
        owned: &'static [(&'static str, &'static str)],
        /// What a name has to look like.
        name: Rule,
        /// What a text value has to look like.
        value: Rule,
    },
    /// A table with these keys; absent when it is left out.
    Table {
        /// Its keys.
        keys: &'static [Key],
    },
    /// A list of texts that a rule accepts; empty when the key is left out.
    Texts {
        /// The rule.
        rule: Rule,
    },
    /// A text that a rule accepts, or a list of such; an empty list when the key is left out.
    OneOrMany {
        /// The rule.
        rule: Rule,
    },
    /// Tables that the user names, such as `[ENGINE.INSTANCE.role.web]`, each with the same keys;
    /// none when the key is left out.
    Tables {
        /// What a name has to look like.
        name: Rule,
        /// The keys of each.
        keys: &'static [Key],
    },
    /// Tables without names, such as `[[ENGINE.INSTANCE.grant]]`, each with the same keys; none
    /// when the key is left out.
    TableList {
        /// The keys of each.
        keys: &'static [Key],
    },
}

/// The rule that accepts every text.
pub fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// The rule that accepts every text that a C string can hold. A NUL would end it early in whatever
/// program it is told to.
///
/// # Errors
/// It contains a NUL.
pub fn any_but_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        Err("contains a NUL character".to_owned())
    } else {
        Ok(())
    }
}
