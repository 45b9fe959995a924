//! A YAML document as an owned tree in which every key and value knows its line.
//!
//! The library expands aliases and merge keys, and bounds what a hostile document may cost. All
//! scalars are texts here, for compose reads most of them as such.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, alias_limits, budget, options};

use crate::import::ImportError;

/// A value with its line.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key with its line.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) name: String,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The texts of a list, or of one text.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match &self.value {
            Value::Text(text) => Some(vec![text]),
            Value::List(items) => items.iter().map(Self::text).collect(),
            Value::Null | Value::Map(_) => None,
        }
    }
}

/// The most bytes that a file may have; the longest real ones have some tens of thousands.
const LONGEST: usize = 1 << 20;

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Node, ImportError> {
    if text.len() > LONGEST {
        let message = format!(
            "the file has {} bytes; at most {LONGEST} are read",
            text.len()
        );
        return Err(ImportError::syntax(None, message));
    }
    let options = options! {
        budget: budget! {
            max_depth: 40,
            max_events: 100_000,
            max_nodes: 50_000,
            max_documents: 1,
            max_merge_keys: 1_000,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: 30_000,
            max_replay_stack_depth: 20,
        },
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let tree: Spanned<Tree> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line());
            ImportError::syntax(line, error.without_snippet().to_string())
        })?;
    Ok(node(tree))
}

fn node(tree: Spanned<Tree>) -> Node {
    Node {
        line: tree.referenced.line(),
        value: tree.value.0,
    }
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Tree)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Text(truth.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Tree>>()? {
            list.push(node(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = node(entries.next_value::<Spanned<Tree>>()?);
            let line = key.referenced.line();
            let name = key.value;
            map.push((Key { line, name }, value));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn entries(node: &Node) -> Vec<(u64, &str, Option<&str>)> {
        let Value::Map(map) = &node.value else {
            panic!("{node:?} is no map");
        };
        map.iter()
            .map(|(key, value)| (key.line, key.name.as_str(), value.text()))
            .collect()
    }

    #[test]
    fn every_key_knows_its_line_and_every_scalar_is_a_text() {
        let tree = parse("a: 1\nb: true\n\nc: 1.5\nd:\n8: x\n").unwrap();
        let expected = [
            (1, "a", Some("1")),
            (2, "b", Some("true")),
            (4, "c", Some("1.5")),
            (5, "d", None),
            (6, "8", Some("x")),
        ];
        assert_eq!(entries(&tree), expected);
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "x: &x\n  a: 1\n  b: 2\ny:\n  <<: *x\n  b: 3\n";
        let Value::Map(map) = parse(text).unwrap().value else {
            panic!("a map");
        };
        let (_, y) = map.last().unwrap();
        let mut found = entries(y);
        found.sort_by_key(|(_, name, _)| *name);
        let pairs: Vec<_> = found.iter().map(|(_, key, text)| (*key, *text)).collect();
        assert_eq!(pairs, [("a", Some("1")), ("b", Some("3"))]);
    }

    #[test]
    fn hostile_documents_are_errors_at_once() {
        let laughs: Vec<String> = (1..30)
            .map(|n| {
                let before = vec![format!("*a{}", n - 1); 9].join(",");
                format!("a{n}: &a{n} [{before}]\n")
            })
            .collect();
        let merges: Vec<String> = (1..30)
            .map(|n| {
                format!(
                    "a{n}: &a{n} {{x{n}: {{<<: *a{m}}}, y{n}: *a{m}}}\n",
                    m = n - 1
                )
            })
            .collect();
        let hostile = [
            format!("a0: &a0 ha\n{}", laughs.concat()),
            format!("a0: &a0 {{x: 1}}\n{}", merges.concat()),
            "a: &a [*a]\n".to_owned(),
            "a: &a {b: *a}\n".to_owned(),
            "a: &a\n  <<: *a\n".to_owned(),
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            "? ".repeat(100_000),
            "a: b\n".repeat(300_000),
            "- a\n".repeat(200_000),
            "--- a\n--- b\n".to_owned(),
            "a: !!python/object:os.system {}\n".to_owned(),
            "a: !reset null\n".to_owned(),
            "a: *nobody\n".to_owned(),
            "a: 1\na: 2\n".to_owned(),
            "\"\0".to_owned(),
        ];
        for text in hostile {
            let began = Instant::now();
            let start: String = text.chars().take(40).collect();
            assert!(parse(&text).is_err(), "{start}");
            assert!(began.elapsed() < Duration::from_secs(30), "{start}");
        }
    }
}
