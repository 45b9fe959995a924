//! The keys of a `[temporal.NAME]` block. It must not know how they are told to the server.

use std::{collections::BTreeMap, time::Duration};

use doze_contract::duration;
use doze_driver::block::{Key, Kind, any_but_nul};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "ui_port",
        kind: Kind::Number {
            default: 0,
            min: 0,
            max: 65_535,
        },
        doc: "The port of the page that shows workflows, on the address of `port`. A browser that \
              has it open keeps the instance awake. 0 is no page.",
    },
    Key {
        name: "durable",
        kind: Kind::Flag { default: false },
        doc: "Waits for the disk at every change, so that not even a crash of the machine loses \
              one.",
    },
    Key {
        name: "log_level",
        kind: Kind::Choice {
            default: Some("warn"),
            of: &["debug", "info", "warn", "error", "never"],
        },
        doc: "What the server tells its log.",
    },
    Key {
        name: "dynamic_config",
        kind: Kind::Settings {
            owned: &[],
            name: setting_name,
            value: any_but_nul,
        },
        doc: "Values of the server's dynamic configuration.",
    },
    Key {
        name: "namespace",
        kind: Kind::Tables {
            name: namespace_name,
            keys: NAMESPACE_KEYS,
        },
        doc: "Namespaces. The server has one called `default` by itself.",
    },
];

/// The keys of a namespace.
const NAMESPACE_KEYS: &[Key] = &[
    Key {
        name: "retention",
        kind: Kind::Text {
            default: Some("72h"),
            rule: retention,
        },
        doc: "How long the history of a workflow is kept after its end; at least 1h.",
    },
    Key {
        name: "description",
        kind: Kind::Text {
            default: None,
            rule: description,
        },
        doc: "What it is for. Without the key it stays as it is.",
    },
];

/// The namespace that the server works in itself.
const OWN_NAMESPACE: &str = "temporal-system";

/// The shortest retention that the server accepts.
const RETENTION_MIN: Duration = Duration::from_hours(1);

/// The longest name that the server accepts, in bytes.
const NAME_MAX: usize = 1000;

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) ui_port: u16,
    pub(crate) durable: bool,
    pub(crate) log_level: String,
    pub(crate) dynamic_config: Map<String, Value>,
    pub(crate) namespace: BTreeMap<String, Namespace>,
}

/// A declared namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    #[serde(deserialize_with = "spanned")]
    pub(crate) retention: Duration,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

fn spanned<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    duration::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn retention(text: &str) -> Result<(), String> {
    match duration::parse(text) {
        Err(error) => Err(format!("is no duration: {error}")),
        Ok(short) if short < RETENTION_MIN => {
            Err("is shorter than 1h, which the server does not accept".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

fn description(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty; leave the key out".to_owned()),
        _ => any_but_nul(text),
    }
}

/// Clients send the name as a header of HTTP.
fn namespace_name(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty".to_owned()),
        OWN_NAMESPACE => Err("is the namespace that the server works in itself".to_owned()),
        _ if text.len() > NAME_MAX => Err(format!("is longer than {NAME_MAX} characters")),
        _ if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Err("has characters other than those of printable ASCII".to_owned())
        }
        _ if text.trim() != text => Err("begins or ends with a space".to_owned()),
        _ => Ok(()),
    }
}

/// `matching.numTaskqueueReadPartitions`, say.
fn setting_name(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(())
    } else {
        Err("is not the name of a setting".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use doze_driver::block::check;
    use serde_json::json;

    use super::*;

    fn problems(block: &Value) -> Vec<String> {
        let checked = check(KEYS, block.as_object().unwrap());
        let problems = checked.problems.into_iter();
        problems.map(|problem| problem.message).collect()
    }

    #[test]
    fn a_namespace_keeps_histories_for_three_days_unless_declared_otherwise() {
        let block = json!({ "namespace": { "a": {}, "b": { "retention": "7d" } } });
        let checked = check(KEYS, block.as_object().unwrap());
        assert_eq!(checked.problems, []);
        let block: Block = serde_json::from_value(checked.block).unwrap();
        let hours = |name: &str| block.namespace[name].retention.as_secs() / 3600;
        assert_eq!((hours("a"), hours("b")), (72, 168));
        assert_eq!(block.namespace["a"].description, None);
        assert_eq!((block.ui_port, block.durable), (0, false));
    }

    #[test]
    fn what_the_server_would_not_accept_is_a_problem() {
        for (name, namespace) in [
            ("", json!({})),
            ("größe", json!({})),
            ("a\tb", json!({})),
            (" a", json!({})),
            ("temporal-system", json!({})),
            ("a", json!({ "retention": "59m" })),
            ("a", json!({ "retention": "soon" })),
            ("a", json!({ "description": "" })),
        ] {
            let block = json!({ "namespace": { name: namespace } });
            assert_eq!(problems(&block).len(), 1, "{block}");
        }
        let block = json!({ "dynamic_config": { "a=b": 1 } });
        assert_eq!(problems(&block).len(), 1);
        let block = json!({ "namespace": { "it's 50% \"a\"/b": {} } });
        assert_eq!(problems(&block), [""; 0]);
    }
}
