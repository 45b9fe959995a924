//! A TOML document as an owned tree in which every key and value knows its place, and every
//! string with a `${` in it is an expression.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use crate::{
    diagnostic::{Code, Diagnostic, Span},
    expression::{Expression, Place},
};

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
    /// A string with a `${` in it, until it is evaluated.
    Expression(Rc<Expression>),
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
            Self::Text(_) | Self::Expression(_) => "a string",
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

    /// The value that an expression has, all of which stands where the expression does.
    pub fn from_json(json: Json, span: &Span) -> Option<Self> {
        let item = |value| Item {
            key: span.clone(),
            span: span.clone(),
            value,
        };
        Some(match json {
            Json::Null => return None,
            Json::Bool(truth) => Self::Boolean(truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => Self::Float(number.to_string()),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => {
                let items = items.into_iter();
                Self::Array(
                    items
                        .filter_map(|json| Some(item(Self::from_json(json, span)?)))
                        .collect(),
                )
            }
            Json::Object(map) => {
                let pair = |(key, json)| Some((key, item(Self::from_json(json, span)?)));
                Self::Table(Table(map.into_iter().filter_map(pair).collect()))
            }
        })
    }

    /// The value as JSON, as a driver gets it. What JSON does not have becomes a string.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) | Self::Datetime(text) => Json::from(text.as_str()),
            Self::Expression(_) => Json::Null,
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
                | Value::Expression(_)
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

/// Reads a document that begins at this place; everything that is not TOML is reported.
pub fn parse(text: &str, start: usize) -> (Table, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let problem = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', "; ");
        let line = text
            .get(..span.start)
            .unwrap_or_default()
            .rsplit('\n')
            .next();
        let hint = match (
            message.contains("newline"),
            line.is_some_and(|line| line.contains("\"${")),
        ) {
            (true, true) => Some(
                "a string with quotes in its `${…}` is written in single quotes: '${upper(\"a\")}'",
            ),
            // `a = 1 b = 2`: what people write who come from another language.
            (true, false) => Some("a key with its value takes a line of its own"),
            (false, _) => None,
        };
        let hint = hint.map(ToOwned::to_owned);
        Diagnostic::new(Code::Syntax, start + span.start..start + span.end, message)
            .maybe_hint(hint)
    };
    if !errors.is_empty() {
        // What is left of broken text is not what anybody meant.
        return (Table::default(), errors.iter().map(problem).collect());
    }
    let mut reading = Reading {
        text,
        start,
        problems: Vec::new(),
    };
    let table = reading.table(document.get_ref());
    (table, reading.problems)
}

struct Reading<'a> {
    text: &'a str,
    start: usize,
    problems: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn place(&self, span: &Span) -> Span {
        self.start + span.start..self.start + span.end
    }

    fn table(&mut self, raw: &DeTable<'_>) -> Table {
        let mut items = BTreeMap::new();
        for (key, raw) in raw {
            if let Some(value) = self.item(raw) {
                let key_span = self.place(&key.span());
                items.insert(
                    key.get_ref().to_string(),
                    Item {
                        key: key_span,
                        ..value
                    },
                );
            }
        }
        Table(items)
    }

    fn item(&mut self, raw: &toml::Spanned<DeValue<'_>>) -> Option<Item> {
        let span = self.place(&raw.span());
        let value = match raw.get_ref() {
            DeValue::String(text) if Expression::is_one(text) => {
                let place = Place {
                    whole: span.clone(),
                    exact: self.written(&raw.span(), text),
                };
                match Expression::parse(text, place) {
                    Ok(expression) => match expression.literal() {
                        Some(text) => Value::Text(text),
                        None => Value::Expression(Rc::new(expression)),
                    },
                    Err(problem) => {
                        self.problems.push(problem);
                        return None;
                    }
                }
            }
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                    let message = "this number does not fit into 64 bits";
                    self.problems
                        .push(Diagnostic::new(Code::Value, span, message));
                    return None;
                };
                Value::Integer(number)
            }
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().filter_map(|raw| self.item(raw)).collect())
            }
            DeValue::Table(raw) => Value::Table(self.table(raw)),
        };
        Some(Item {
            key: span.clone(),
            span,
            value,
        })
    }

    /// Where the first byte of a string stands, if every byte of it is written as it is.
    fn written(&self, span: &Span, text: &str) -> Option<usize> {
        let literal = self.text.get(span.clone())?;
        let mut quotes = ["\"\"\"\n", "\"\"\"", "'''\n", "'''", "\"", "'"].into_iter();
        let quote = quotes.find(|quote| literal.starts_with(quote))?;
        let inner = literal.get(quote.len()..)?;
        inner
            .starts_with(text)
            .then_some(self.start + span.start + quote.len())
    }
}
