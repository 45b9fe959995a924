//! The documents that a collection begins with: a file of Extended JSON (version 2, canonical or
//! relaxed), one document after the other or all in one array. The order of their fields is kept, which a
//! plain map would lose. It must not know whom they are for.

use std::{fmt, fs, io};

use bson::{Bson, Document};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// Why there are no documents.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file.
    #[error("cannot read the seed {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// It is no JSON.
    #[error("the seed {0} is no JSON")]
    Json(Utf8PathBuf, #[source] serde_json::Error),
    /// One of its documents is none.
    #[error("document {number} of the seed {path} is none: {why}")]
    Document {
        /// The file.
        path: Utf8PathBuf,
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads the documents of a file.
pub(crate) fn read(path: &Utf8Path) -> Result<Vec<Document>, SeedError> {
    let text = fs::read_to_string(path).map_err(|error| SeedError::File(path.to_owned(), error))?;
    documents(path, &text)
}

fn documents(path: &Utf8Path, text: &str) -> Result<Vec<Document>, SeedError> {
    let json = |error| SeedError::Json(path.to_owned(), error);
    let trees: Vec<Tree> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(json)?
    } else {
        let stream = serde_json::Deserializer::from_str(text).into_iter();
        stream.collect::<Result<_, _>>().map_err(json)?
    };
    let document = |(at, tree): (usize, Tree)| {
        let why = match tree.into_bson() {
            Ok(Bson::Document(document)) => return Ok(document),
            Ok(other) => format!("{:?} is no document", other.element_type()),
            Err(why) => why,
        };
        Err(SeedError::Document {
            path: path.to_owned(),
            number: at + 1,
            why,
        })
    };
    trees.into_iter().enumerate().map(document).collect()
}

/// What stands for one value that JSON has no form for; the first key of such an object tells.
const WRAPPERS: [&str; 16] = [
    "$binary",
    "$code",
    "$date",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$regularExpression",
    "$symbol",
    "$timestamp",
    "$undefined",
    "$uuid",
];

/// JSON with its fields in their order.
#[derive(Debug)]
enum Tree {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Leaf(Value),
}

impl Tree {
    fn into_bson(self) -> Result<Bson, String> {
        match self {
            Self::Array(items) => items.into_iter().map(Self::into_bson).collect(),
            Self::Object(fields) => match fields.first() {
                Some((first, _)) if WRAPPERS.contains(&first.as_str()) => {
                    let value = Self::Object(fields).into_value();
                    Bson::try_from(value).map_err(|error| error.to_string())
                }
                _ => fields
                    .into_iter()
                    .map(|(name, tree)| Ok((name, tree.into_bson()?)))
                    .collect::<Result<Document, String>>()
                    .map(Bson::Document),
            },
            Self::Leaf(Value::Number(number)) => Ok(self::number(&number)),
            Self::Leaf(Value::Bool(flag)) => Ok(Bson::Boolean(flag)),
            Self::Leaf(Value::String(text)) => Ok(Bson::String(text)),
            Self::Leaf(Value::Null | Value::Array(_) | Value::Object(_)) => Ok(Bson::Null),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::Array(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Object(fields) => fields
                .into_iter()
                .map(|(name, tree)| (name, tree.into_value()))
                .collect(),
        }
    }
}

/// The smallest type that holds it, as relaxed Extended JSON has it.
fn number(number: &Number) -> Bson {
    match number.as_i64() {
        Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
        None => number.as_f64().map_or(Bson::Null, Bson::Double),
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Tree::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc, oid::ObjectId};

    use super::*;

    fn read(text: &str) -> Result<Vec<Document>, SeedError> {
        documents("seed.json".into(), text)
    }

    #[test]
    fn an_array_and_lines_are_the_same_and_fields_keep_their_order() {
        let one = doc! { "z": 1, "a": doc! { "y": [1, 2.5], "b": Bson::Null }, "m": true };
        let text = r#"{"z": 1, "a": {"y": [1, 2.5], "b": null}, "m": true}"#;
        let all = [one.clone(), doc! {}, one];
        assert_eq!(read(&format!("\n[{text}, {{}},\n{text}]")).unwrap(), all);
        assert_eq!(read(&format!("{text}\n{{}}\n\n{text}\n")).unwrap(), all);
        let keys: Vec<_> = all[0].keys().collect();
        assert_eq!(keys, ["z", "a", "m"]);
        assert_eq!(read(" \n").unwrap(), []);
    }

    #[test]
    fn extended_json_is_understood_in_both_forms() {
        let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
        let date = DateTime::from_millis(1_577_836_800_000);
        let decimal: bson::Decimal128 = "1.50".parse().unwrap();
        for (text, value) in [
            (r#"{"$oid":"507f1f77bcf86cd799439011"}"#, Bson::ObjectId(id)),
            (r#"{"$numberInt":"7"}"#, Bson::Int32(7)),
            ("7", Bson::Int32(7)),
            (r#"{"$numberLong":"7"}"#, Bson::Int64(7)),
            ("-5000000000", Bson::Int64(-5_000_000_000)),
            (r#"{"$numberDouble":"1.0"}"#, Bson::Double(1.0)),
            ("1.0", Bson::Double(1.0)),
            ("10000000000000000000", Bson::Double(1e19)),
            (r#"{"$numberDecimal":"1.50"}"#, Bson::Decimal128(decimal)),
            (
                r#"{"$date":{"$numberLong":"1577836800000"}}"#,
                Bson::DateTime(date),
            ),
            (r#"{"$date":"2020-01-01T00:00:00Z"}"#, Bson::DateTime(date)),
            (r#"{"$minKey":1}"#, Bson::MinKey),
            (
                r#"{"$ref":"c","$id":1}"#,
                Bson::Document(doc! { "$ref": "c", "$id": 1 }),
            ),
        ] {
            let found = read(&format!(r#"{{"v":{text}}}"#)).unwrap();
            assert_eq!(found, [doc! { "v": value }], "{text}");
        }
    }

    #[test]
    fn what_is_no_document_is_told_with_its_number() {
        for (text, told) in [
            ("[{}, 1]", "document 2 of"),
            ("{}\n{\"a\":{\"$oid\":\"x\"}}", "document 2 of"),
            ("{\"a\":", "no JSON"),
            ("{} x", "no JSON"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
