//! `$NAME` and `${NAME…}` in the values of a compose file, as its specification has them
//! ("Interpolation"), and the `.env` file that goes with it.

use std::collections::{BTreeMap, BTreeSet};

use super::yaml::{Node, Value};
use crate::import::{Note, Surroundings};

/// Where variables come from, and which were missing.
pub(super) struct Variables<'a> {
    around: &'a dyn Surroundings,
    dotenv: BTreeMap<String, String>,
    missing: BTreeSet<String>,
    /// How many bytes values may still put into texts: a long one may be asked for often.
    left: usize,
}

impl<'a> Variables<'a> {
    /// The environment, then the `.env` beside the file.
    pub(super) fn new(around: &'a dyn Surroundings) -> Self {
        let mut variables = Self {
            around,
            dotenv: BTreeMap::new(),
            missing: BTreeSet::new(),
            left: 16 << 20,
        };
        let text = around.file(".env").unwrap_or_default();
        // Nobody hears of what is missing inside of the .env file itself.
        variables.read(&text, &mut Vec::new());
        variables
    }

    /// The variables of an `env_file`, which are no variables of the compose file itself.
    pub(super) fn env_file(
        &mut self,
        text: &str,
        notes: &mut Vec<Note>,
    ) -> BTreeMap<String, String> {
        let own = self.dotenv.clone();
        let found = self.read(text, notes);
        self.dotenv = own;
        found
    }

    /// Replaces all variables in the values below a node.
    pub(super) fn resolve(&mut self, node: &mut Node, at: &str, notes: &mut Vec<Note>) {
        match &mut node.value {
            Value::Null => {}
            Value::Text(text) => *text = self.expand(text, node.line, at, notes),
            Value::List(items) => {
                for item in items {
                    self.resolve(item, at, notes);
                }
            }
            Value::Map(map) => {
                for (key, value) in map {
                    self.resolve(value, &format!("{at}.{}", key.name), notes);
                }
            }
        }
    }

    /// Reads `KEY=VALUE` lines, with what compose allows in them. What stands further up may be
    /// used further down.
    fn read(&mut self, text: &str, notes: &mut Vec<Note>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            if line.starts_with('#') {
                continue;
            }
            let value = value.trim();
            let quoted = |mark: char| {
                let inner = value.strip_prefix(mark)?;
                Some(inner.split_once(mark)?.0)
            };
            let value = match (quoted('\''), quoted('"')) {
                (Some(raw), _) => raw.to_owned(),
                (None, Some(inner)) => self.expand(inner, 0, ".env", notes),
                (None, None) => {
                    let bare = value.split(" #").next().unwrap_or(value).trim_end();
                    self.expand(bare, 0, ".env", notes)
                }
            };
            self.dotenv.insert(name.trim().to_owned(), value.clone());
            found.insert(name.trim().to_owned(), value);
        }
        found
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let own = || self.dotenv.get(name).cloned();
        let value = self.around.variable(name).or_else(own)?;
        self.left = self.left.checked_sub(value.len())?;
        Some(value)
    }

    fn expand(&mut self, text: &str, line: u64, at: &str, notes: &mut Vec<Note>) -> String {
        // A default can hold variables again; nobody nests them deeper than this.
        self.expand_within(text, 20, &mut |name, why| {
            notes.push(Note::new(line, at, format!("`${{{name}}}` {why}")));
        })
    }

    fn expand_within(&mut self, text: &str, depth: u8, note: &mut dyn FnMut(&str, &str)) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some((inner, after)) = closed(after) else {
                    return out + "${" + after;
                };
                out.push_str(&self.braced(inner, depth, note));
                rest = after;
            } else {
                let name = name_of(rest);
                if name.is_empty() {
                    out.push('$');
                } else {
                    out.push_str(&self.or_empty(name, note));
                }
                rest = rest.get(name.len()..).unwrap_or_default();
            }
        }
        out + rest
    }

    fn braced(&mut self, inner: &str, depth: u8, note: &mut dyn FnMut(&str, &str)) -> String {
        let name = name_of(inner);
        let rest = inner.get(name.len()..).unwrap_or_default();
        let (colon, rest) = match rest.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let value = self.get(name).filter(|value| !colon || !value.is_empty());
        let mut word = |text: &str| match depth.checked_sub(1) {
            Some(depth) => self.expand_within(text, depth, note),
            None => text.to_owned(),
        };
        match (rest.chars().next(), value) {
            (Some('-' | '?'), Some(value)) => value,
            (Some('-'), None) | (Some('+'), Some(_)) => word(rest.get(1..).unwrap_or_default()),
            (Some('+'), None) => String::new(),
            (Some('?'), None) => {
                note(name, "is required and not set; it is empty here");
                String::new()
            }
            (None, _) if !colon && !name.is_empty() => self.or_empty(name, note),
            (None | Some(_), _) => {
                note(inner, "is none of the forms that compose has");
                String::new()
            }
        }
    }

    fn or_empty(&mut self, name: &str, note: &mut dyn FnMut(&str, &str)) -> String {
        let value = self.get(name);
        if value.is_none() && self.missing.insert(name.to_owned()) {
            note(
                name,
                "is not set, neither in .env nor in the environment; it is empty here",
            );
        }
        value.unwrap_or_default()
    }
}

/// The variable name that a text begins with.
fn name_of(text: &str) -> &str {
    let is_name = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    let end = text.char_indices().find(|found| !is_name(*found));
    text.get(..end.map_or(text.len(), |(at, _)| at))
        .unwrap_or_default()
}

/// The text up to the brace that closes, and what follows it.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::compose::tests::Alone;

    #[test]
    fn every_form_of_the_specification_is_read() {
        let around = Alone::with_files(&[(".env", "A=a\nE=\nexport Q='$A' # x\nD=\"$A-$E\"\n")]);
        let mut variables = Variables::new(&around);
        for (text, expected) in [
            ("$A", "a"),
            ("${A}b", "ab"),
            ("$Q ${D}", "$A a-"),
            ("${N:-x}", "x"),
            ("${E:-x}", "x"),
            ("${E-x}", ""),
            ("${N-${A:-y}}", "a"),
            ("${A:+set}${N:+set}", "set"),
            ("${A:?gone}", "a"),
            ("$$A", "$A"),
            ("$${A}", "${A}"),
            ("100%$", "100%$"),
            ("a${", "a${"),
            ("$1", "$1"),
        ] {
            let mut notes = Vec::new();
            assert_eq!(
                variables.expand(text, 1, "x", &mut notes),
                expected,
                "{text}"
            );
            assert_eq!(notes, [], "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_missing_is_noted_once() {
        let around = Alone::default();
        let mut variables = Variables::new(&around);
        let mut notes = Vec::new();
        assert_eq!(variables.expand("$N ${N} ${M?}", 7, "x", &mut notes), "  ");
        let noted: Vec<_> = notes.iter().map(|note| note.why.as_str()).collect();
        assert_eq!(noted.len(), 2, "{noted:?}");
        assert!(noted.concat().contains("`${N}`") && noted.concat().contains("`${M}` is required"));
    }

    #[test]
    fn a_default_in_a_default_in_a_default_ends() {
        let around = Alone::default();
        let text = format!("{}x{}", "${N:-".repeat(50_000), "}".repeat(50_000));
        Variables::new(&around).expand(&text, 1, "x", &mut Vec::new());
    }
}
