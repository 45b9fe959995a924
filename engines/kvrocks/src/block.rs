//! The keys of a `[kvrocks.NAME]` block, and what has to be true of several at once. It must not
//! know how they are written down for the server.

use std::collections::BTreeMap;

use doze_contract::protocol::{Checked, Problem};
use doze_driver::block::{self, Key, Kind, any_but_nul};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "password",
        kind: Kind::Text {
            default: None,
            rule: password,
        },
        doc: "What a client has to say in AUTH. Without it everybody is served who reaches the \
              address.",
    },
    Key {
        name: "workers",
        kind: Kind::Number {
            default: 2,
            min: 1,
            max: 256,
        },
        doc: "How many threads carry out commands.",
    },
    Key {
        name: "durable",
        kind: Kind::Flag { default: false },
        doc: "Waits for the disk at each write, so that a crash of the machine loses nothing \
              either.",
    },
    Key {
        name: "namespace",
        kind: Kind::Tables {
            name: namespace,
            keys: NAMESPACE_KEYS,
        },
        doc: "Sets of keys that do not see each other. A client chooses one by its token.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: OWNED,
            name: setting_name,
            value: setting_value,
        },
        doc: "Settings of kvrocks.conf. They win over what doze sets by itself.",
    },
];

const NAMESPACE_KEYS: &[Key] = &[Key {
    name: "token",
    kind: Kind::Needed {
        example: "secret",
        rule: token,
    },
    doc: "What a client says in AUTH, in place of the password, to work in it.",
}];

const ADDRESS: &str = "is set by doze: the address is `port` or `listen` of the instance";
const PLACE: &str = "is set by doze, which decides where the server's files are";
const PROCESS: &str = "is set by doze, which starts and stops the server and keeps its log";
const TCP: &str = "needs a server that listens on TCP by itself; doze has it listen on a private \
                   unix socket alone";

const OWNED: &[(&str, &str)] = &[
    ("bind", ADDRESS),
    ("port", ADDRESS),
    ("socket-fd", ADDRESS),
    ("tls-port", ADDRESS),
    ("unixsocket", ADDRESS),
    ("unixsocketperm", ADDRESS),
    ("backup-dir", PLACE),
    ("dir", PLACE),
    ("pidfile", PLACE),
    ("daemonize", PROCESS),
    ("log-dir", PROCESS),
    ("rename-command", PROCESS),
    ("supervised", PROCESS),
    ("cluster-enabled", TCP),
    ("replicaof", TCP),
    ("slaveof", TCP),
    (
        "requirepass",
        "is the key `password` of the instance; write it beside `settings`, not into it",
    ),
    (
        "workers",
        "is a key of the instance; write it beside `settings`, not into it",
    ),
    (
        "rocksdb.write_options.sync",
        "is the key `durable` of the instance",
    ),
];

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) password: Option<String>,
    pub(crate) workers: u32,
    pub(crate) durable: bool,
    pub(crate) namespace: BTreeMap<String, Namespace>,
    pub(crate) settings: Map<String, Value>,
}

/// A set of keys of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    pub(crate) token: String,
}

/// Says all that is wrong: with each key, and with several together.
pub(crate) fn check(found: &Map<String, Value>) -> Checked {
    let mut checked = block::check(KEYS, found);
    if checked.problems.is_empty()
        && let Ok(block) = serde_json::from_value::<Block>(checked.block.clone())
    {
        checked.problems = together(&block);
    }
    checked
}

/// What the server takes for an error, or worse: of two namespaces with one token it forgets one.
fn together(block: &Block) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |at: &[&str], key, message: String, hint: &str| {
        problems.push(Problem {
            at: at.iter().map(ToString::to_string).collect(),
            key,
            message,
            hint: Some(hint.to_owned()),
        });
    };
    if block.namespace.is_empty() {
        return problems;
    }
    if block.password.is_none() {
        problem(
            &["namespace"],
            true,
            "needs a `password`: without one a client never says a token".to_owned(),
            "add `password` to the instance",
        );
    }
    let databases = "redis-databases";
    for (name, value) in &block.settings {
        let none = matches!(value.as_i64(), Some(0)) || value.as_str() == Some("0");
        if name.eq_ignore_ascii_case(databases) && !none {
            problem(
                &["settings", name],
                true,
                "cannot be set together with namespaces, which are its other name".to_owned(),
                "use one of the two",
            );
        }
    }
    let mut tokens: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, namespace) in &block.namespace {
        let at = ["namespace", name, "token"];
        let hint = "each namespace has a token of its own";
        if block.password.as_ref() == Some(&namespace.token) {
            problem(&at, false, "is the password of the instance".into(), hint);
        }
        if let Some(other) = tokens.insert(&namespace.token, name) {
            let message = format!("is the token of the namespace `{other}` already");
            problem(&at, false, message, hint);
        }
    }
    problems
}

fn password(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty; leave the key out".to_owned()),
        _ => any_but_nul(text),
    }
}

fn token(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty; the server would not know the namespace then".to_owned()),
        _ => any_but_nul(text),
    }
}

/// The name is part of a key of kvrocks.conf, which ends at the first blank and cannot be quoted.
fn namespace(text: &str) -> Result<(), String> {
    // The length is kept in one byte.
    const LONGEST: usize = 255;
    let blank = |c: char| c.is_whitespace() || c.is_control();
    Err(match text {
        "" => "is empty".to_owned(),
        "__namespace" => "is the name of what is outside of every namespace".to_owned(),
        _ if text.len() > LONGEST => {
            format!("is {} bytes long; a name has at most {LONGEST}", text.len())
        }
        _ if text.contains('#') || text.contains(blank) => {
            "contains a blank or a `#`, which the server's configuration cannot hold".to_owned()
        }
        _ => return Ok(()),
    })
}

fn setting_name(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.to_ascii_lowercase().starts_with("namespace.") {
        Err("is a table of the instance: `[kvrocks.NAME.namespace.NAME]`".to_owned())
    } else if !text.is_empty() && text.bytes().all(plain) {
        Ok(())
    } else {
        Err("is not the name of a setting".to_owned())
    }
}

fn setting_value(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty, which the server takes for not set; leave it out".to_owned()),
        _ => any_but_nul(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(block: &Value) -> Vec<(String, String)> {
        let problems = check(block.as_object().unwrap()).problems;
        problems
            .into_iter()
            .map(|problem| (problem.at.join("."), problem.message))
            .collect()
    }

    #[test]
    fn a_namespace_needs_a_password_and_a_token_of_its_own() {
        let of = |password: Value, a: &str, b: &str| {
            let mut block = json!({ "namespace": { "a": { "token": a }, "b": { "token": b } } });
            if !password.is_null() {
                block["password"] = password;
            }
            told(&block)
        };
        assert_eq!(of(json!("p"), "x", "y"), []);
        let told = of(Value::Null, "x", "y");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, "namespace");
        let told = of(json!("s3cret"), "s3cret", "s3cret");
        let places: Vec<_> = told.iter().map(|(at, _)| at.as_str()).collect();
        let (a, b) = ("namespace.a.token", "namespace.b.token");
        assert_eq!(places, [a, b, b]);
        assert!(told.iter().all(|(_, message)| !message.contains("s3cret")));
    }

    #[test]
    fn a_namespace_without_a_token_is_told_where() {
        let told = told(&json!({ "password": "p", "namespace": { "a": {} } }));
        assert_eq!(told[0].0, "namespace.a.token");
    }

    #[test]
    fn a_namespace_is_called_what_the_configuration_can_hold() {
        for right in ["a", "größe", "it's\"$%\\", &"x".repeat(255)] {
            assert_eq!(namespace(right), Ok(()), "{right}");
        }
        for wrong in ["", "a b", "a#b", "a\n", "__namespace", &"x".repeat(256)] {
            namespace(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_setting_that_doze_needs_is_refused_in_any_case() {
        for (name, _) in OWNED {
            let told = told(&json!({ "settings": { name.to_ascii_uppercase(): "x" } }));
            assert_eq!(told.len(), 1, "{name}");
        }
        for (name, value) in [
            ("Namespace.x", json!("token")),
            ("a b", json!("x")),
            ("a", json!("")),
        ] {
            assert_eq!(told(&json!({ "settings": { name: value } })).len(), 1);
        }
    }

    #[test]
    fn databases_and_namespaces_exclude_each_other() {
        let mut block = json!({
            "password": "p", "namespace": { "a": { "token": "x" } },
            "settings": { "redis-databases": 16 },
        });
        assert_eq!(told(&block)[0].0, "settings.redis-databases");
        block["settings"]["redis-databases"] = json!(0);
        assert_eq!(told(&block), []);
    }
}
