//! The keys of a `[ferret.NAME]` block. It must not know how any of it is made.

mod names;

use std::{collections::BTreeMap, fmt};

use doze_contract::protocol::{Checked, Problem};
use doze_driver::block::{self, Key, Kind, any_but_nul};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use names::Order;

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "database",
        kind: Kind::Tables {
            name: names::database,
            keys: DATABASE_KEYS,
        },
        doc: "The databases, with what is in them.",
    },
    Key {
        name: "user",
        kind: Kind::Tables {
            name: names::user,
            keys: USER_KEYS,
        },
        doc: "Who may log in. Without any, everybody is served who reaches the address.",
    },
    Key {
        name: "durable",
        kind: Kind::Flag { default: false },
        doc: "Waits for the disk at each commit. Without it a crash of the engine may lose the last \
              moment, and one of the machine everything.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: OWNED,
            name: setting_name,
            value: any_but_nul,
        },
        doc: "Flags of ferretdb without their dashes, such as `log-level`.",
    },
];

const DATABASE_KEYS: &[Key] = &[Key {
    name: "collection",
    kind: Kind::Tables {
        name: names::collection,
        keys: COLLECTION_KEYS,
    },
    doc: "Its collections.",
}];

const COLLECTION_KEYS: &[Key] = &[
    Key {
        name: "seed",
        kind: Kind::Text {
            default: None,
            rule: seed,
        },
        doc: "A file of documents in Extended JSON, one a line or all in one array, that the \
              collection begins with. Its path begins in the folder of the file that says so.",
    },
    Key {
        name: "index",
        kind: Kind::Tables {
            name: names::index,
            keys: INDEX_KEYS,
        },
        doc: "Its indexes, besides the one of `_id`.",
    },
];

const INDEX_KEYS: &[Key] = &[
    Key {
        name: "keys",
        kind: Kind::Texts { rule: names::order },
        doc: "The fields in their order: `user` ascending, `-created` descending, and \
              `place: 2dsphere`, `body: text` or `id: hashed` for the other kinds.",
    },
    Key {
        name: "unique",
        kind: Kind::Flag { default: false },
        doc: "No two documents have the same.",
    },
];

const USER_KEYS: &[Key] = &[
    Key {
        name: "password",
        kind: Kind::Needed {
            example: "secret",
            rule: password,
        },
        doc: "What the user has to give to log in.",
    },
    Key {
        name: "role",
        kind: Kind::Choice {
            default: Some("readWriteAnyDatabase"),
            of: &["readWriteAnyDatabase", "readAnyDatabase"],
        },
        doc: "What the user may do. DocumentDB has no roles of a single database.",
    },
];

const ADDRESS: &str = "is set by doze: the address is `port` or `listen` of the instance";
const PRIVATE: &str = "is set by doze: the Postgres behind it is private";

const OWNED: &[(&str, &str)] = &[
    ("listen-addr", ADDRESS),
    ("listen-unix", ADDRESS),
    ("listen-tls", ADDRESS),
    ("listen-data-api-addr", ADDRESS),
    ("debug-addr", ADDRESS),
    ("postgresql-url", PRIVATE),
    ("postgresql-url-file", PRIVATE),
    (
        "state-dir",
        "is set by doze, which decides where the server's files are",
    ),
    ("auth", "follows from whether the instance has a `user`"),
    ("no-auth", "follows from whether the instance has a `user`"),
    ("telemetry", "is off: doze lets nothing report on you"),
    ("version", "would end the server at once"),
    ("help", "would end the server at once"),
];

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) database: BTreeMap<String, Database>,
    pub(crate) user: BTreeMap<String, User>,
    pub(crate) durable: bool,
    pub(crate) settings: Map<String, Value>,
}

/// What is in a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) collection: BTreeMap<String, Collection>,
}

/// What belongs to a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collection {
    pub(crate) seed: Option<String>,
    pub(crate) index: BTreeMap<String, Index>,
}

/// What an index is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) keys: Vec<String>,
    pub(crate) unique: bool,
}

/// Who may log in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) password: String,
    pub(crate) role: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({})", self.role)
    }
}

/// Says all that is wrong.
pub(crate) fn check(found: &Map<String, Value>) -> Checked {
    let mut checked = block::check(KEYS, found);
    if checked.problems.is_empty()
        && let Ok(block) = serde_json::from_value::<Block>(checked.block.clone())
    {
        for (database, declared) in &block.database {
            for (collection, declared) in &declared.collection {
                let mut before: Vec<&Index> = Vec::new();
                for (index, declared) in &declared.index {
                    let path = [
                        "database",
                        database,
                        "collection",
                        collection,
                        "index",
                        index,
                        "keys",
                    ];
                    let problem = keys_problem(&path, declared, &before);
                    checked.problems.extend(problem);
                    before.push(declared);
                }
            }
        }
    }
    checked
}

fn keys_problem(path: &[&str], index: &Index, before: &[&Index]) -> Option<Problem> {
    let mut fields: Vec<_> = index.keys.iter().map(|text| Order::read(text).0).collect();
    let count = fields.len();
    fields.sort_unstable();
    fields.dedup();
    let message = if count == 0 {
        "has to name a field"
    } else if fields.len() < count {
        "names a field twice"
    } else if before.iter().any(|other| other.keys == index.keys) {
        "has what another index of the collection has"
    } else {
        return None;
    };
    Some(Problem {
        at: path.iter().map(ToString::to_string).collect(),
        key: false,
        message: message.to_owned(),
        hint: Some("write it as in keys = [\"user\", \"-created\"]".to_owned()),
    })
}

fn seed(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty; leave the key out".to_owned()),
        _ => any_but_nul(text),
    }
}

/// Whatever a client can say, but for what stringprep (RFC 4013) forbids, which the server looks for
/// where a password is not ASCII.
fn password(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty, which the server refuses".to_owned()),
        _ if !text.is_ascii() && text.contains(char::is_control) => {
            Err("has a control character beside letters that are not ASCII".to_owned())
        }
        _ => any_but_nul(text),
    }
}

fn setting_name(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(plain) {
        Ok(())
    } else {
        Err("is not the name of a flag of ferretdb, without its dashes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(block: &Value) -> Vec<String> {
        let problems = check(block.as_object().unwrap()).problems;
        problems
            .iter()
            .map(|problem| problem.at.join("."))
            .collect()
    }

    #[test]
    fn what_is_deep_in_a_block_is_checked_and_told_with_its_whole_path() {
        let index = |keys: Value| {
            json!({ "database": { "shop": { "collection": { "carts": {
                "index": { "by": { "keys": keys } } } } } } })
        };
        let path = "database.shop.collection.carts.index.by.keys";
        assert_eq!(told(&index(json!(["user", "-created"]))), [""; 0]);
        for wrong in [json!([]), json!(["a", "-a"])] {
            assert_eq!(told(&index(wrong)), [path]);
        }
        assert_eq!(told(&index(json!(["a", ""]))), [format!("{path}.1")]);
        let mut twice = index(json!(["a"]));
        let indexes = &mut twice["database"]["shop"]["collection"]["carts"]["index"];
        indexes["again"] = json!({ "keys": ["a"] });
        assert_eq!(told(&twice), [path]);
        assert_eq!(
            told(&json!({ "database": { "a b": {} }, "user": { "postgres": {} } })),
            ["database.a b", "user.postgres", "user.postgres.password"]
        );
    }

    #[test]
    fn a_password_is_one_that_the_server_takes() {
        for right in ["x", " ", "a\tb\n", "größe → it's \"%$\\"] {
            assert_eq!(password(right), Ok(()), "{right}");
        }
        for wrong in ["", "s3cret\0", "s3cretß\t"] {
            assert!(!password(wrong).unwrap_err().contains("s3cret"));
        }
    }

    #[test]
    fn a_flag_that_doze_needs_is_refused() {
        for (name, _) in OWNED {
            assert_eq!(
                told(&json!({ "settings": { *name: "x" } })).len(),
                1,
                "{name}"
            );
        }
        assert_eq!(
            told(&json!({ "settings": { "log-level": "debug" } })),
            [""; 0]
        );
        assert_eq!(told(&json!({ "settings": { "--x": "x" } })).len(), 1);
    }
}
