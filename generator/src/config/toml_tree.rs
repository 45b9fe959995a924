//! A TOML document as an owned tree in which every key and value knows its place.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Diagnostic, Span};

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table(pub BTreeMap<String, Item>);

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where the key stands; in an array, where the value stands.
    pub key: Span,
    /// Where the value stands.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string.
    Text(String),
    /// A whole number that fits into 64 bits.
    Integer(i64),
    /// A number with a fraction, as it was written.
    Float(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both, as it was written.
    Datetime(String),
    /// An array.
    Array(Vec<Item>),
    /// A table.
    Table(Table),
}

impl Value {
    /// What messages call a value of this kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The number of an integer.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// The truth of a boolean.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(truth) = self {
            Some(*truth)
        } else {
            None
        }
    }

    /// The table.
    pub fn as_table(&self) -> Option<&Table> {
        if let Self::Table(table) = self {
            Some(table)
        } else {
            None
        }
    }

    /// The value as JSON, as a driver gets it. What JSON does not have becomes a string.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) | Self::Datetime(text) => Json::from(text.as_str()),
            Self::Integer(number) => Json::from(*number),
            Self::Float(text) => text
                .parse::<f64>()
                .map_or_else(|_| Json::from(text.as_str()), Json::from),
            Self::Boolean(truth) => Json::from(*truth),
            Self::Array(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(table) => Json::Object(
                table
                    .0
                    .iter()
                    .map(|(k, v)| (k.clone(), v.value.to_json()))
                    .collect(),
            ),
        }
    }
}

impl Table {
    /// The items in the order in which they stand in the file.
    pub fn in_order(&self) -> Vec<(&str, &Item)> {
        let mut items: Vec<_> = self
            .0
            .iter()
            .map(|(key, item)| (key.as_str(), item))
            .collect();
        items.sort_by_key(|(_, item)| item.key.start);
        items
    }

    /// The item at a path of keys (indices, inside arrays); as deep as the path can be followed.
    pub fn locate(&self, path: &[String]) -> Option<&Item> {
        let (first, rest) = path.split_first()?;
        let mut item = self.0.get(first)?;
        for key in rest {
            let inner = match &item.value {
                Value::Table(table) => table.0.get(key),
                Value::Array(items) => key.parse().ok().and_then(|at: usize| items.get(at)),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_) => None,
            };
            match inner {
                Some(inner) => item = inner,
                None => break,
            }
        }
        Some(item)
    }
}

/// Reads a document; everything that is not TOML is reported.
pub fn parse(text: &str) -> (Table, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<_> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            Diagnostic::new(
                Code::Syntax,
                span,
                error.message().trim().replace('\n', "; "),
            )
        })
        .collect();
    let table = table(document.get_ref(), &mut problems);
    (table, problems)
}

fn table(raw: &DeTable<'_>, problems: &mut Vec<Diagnostic>) -> Table {
    let item = |(key, raw): (&toml::Spanned<toml::de::DeString<'_>>, &_)| {
        let value = value(raw, problems)?;
        Some((
            key.get_ref().to_string(),
            Item {
                key: key.span(),
                ..value
            },
        ))
    };
    Table(raw.iter().filter_map(item).collect())
}

fn value(raw: &toml::Spanned<DeValue<'_>>, problems: &mut Vec<Diagnostic>) -> Option<Item> {
    let span = raw.span();
    let value = match raw.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                let message = "this number does not fit into 64 bits";
                problems.push(Diagnostic::new(Code::Value, span, message));
                return None;
            };
            Value::Integer(number)
        }
        DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(time) => Value::Datetime(time.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .filter_map(|raw| value(raw, problems))
                .collect(),
        ),
        DeValue::Table(raw) => Value::Table(table(raw, problems)),
    };
    Some(Item {
        key: span.clone(),
        span,
        value,
    })
}
