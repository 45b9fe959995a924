//! The keys of a `[valkey.NAME]` block. It must not know how they are written down for the
//! server.

use doze_driver::block::{Key, Kind, any_but_nul};
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
        name: "maxmemory",
        kind: Kind::Text {
            default: None,
            rule: memory,
        },
        doc: "The most memory that keys may take, such as 100mb. Without it there is no limit.",
    },
    Key {
        name: "maxmemory_policy",
        kind: Kind::Choice {
            default: Some("noeviction"),
            of: &[
                "noeviction",
                "allkeys-lru",
                "allkeys-lfu",
                "allkeys-random",
                "volatile-lru",
                "volatile-lfu",
                "volatile-random",
                "volatile-ttl",
            ],
        },
        doc: "Which keys go when `maxmemory` is reached.",
    },
    Key {
        name: "appendonly",
        kind: Kind::Flag { default: false },
        doc: "Writes every change down at once, so that a crash loses at most a second of them.",
    },
    Key {
        name: "save",
        kind: Kind::FlagOrText {
            default: true,
            rule: save_points,
        },
        doc: "`true` saves the data when the instance goes to sleep. A text such as \"900 1\" \
              saves as well after 900 seconds with 1 change while it is awake. `false` forgets \
              everything at each sleep, unless `appendonly` keeps it.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: OWNED,
            name: setting_name,
            value: any_but_nul,
        },
        doc: "Settings of valkey.conf; a text is one argument. They win over what doze sets by \
              itself.",
    },
];

const ADDRESS: &str = "is set by doze: the address is `port` or `listen` of the instance";
const PLACE: &str = "is set by doze, which decides where the server's files are";
const PROCESS: &str = "is set by doze, which starts and stops the server and keeps its log";
const USERS: &str = "is set by doze: it has to log in itself, with `password`";
const BESIDE: &str = "is a key of the instance; write it beside `settings`, not into it";

const OWNED: &[(&str, &str)] = &[
    ("bind", ADDRESS),
    ("port", ADDRESS),
    ("tls-port", ADDRESS),
    ("unixsocket", ADDRESS),
    ("unixsocketgroup", ADDRESS),
    ("unixsocketperm", ADDRESS),
    ("appenddirname", PLACE),
    ("appendfilename", PLACE),
    ("dbfilename", PLACE),
    ("dir", PLACE),
    (
        "include",
        "would read settings that doze cannot check; write them into `settings`",
    ),
    ("daemonize", PROCESS),
    ("logfile", PROCESS),
    ("pidfile", PROCESS),
    ("rename-command", PROCESS),
    ("shutdown-on-sigint", PROCESS),
    ("shutdown-on-sigterm", PROCESS),
    ("supervised", PROCESS),
    ("aclfile", USERS),
    ("user", USERS),
    ("requirepass", "is the key `password` of the instance"),
    (
        "maxmemory-policy",
        "is the key `maxmemory_policy` of the instance",
    ),
    ("appendonly", BESIDE),
    ("maxmemory", BESIDE),
    ("save", BESIDE),
];

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) password: Option<String>,
    pub(crate) maxmemory: Option<String>,
    pub(crate) maxmemory_policy: String,
    pub(crate) appendonly: bool,
    #[serde(deserialize_with = "save")]
    pub(crate) save: Save,
    pub(crate) settings: Map<String, Value>,
}

/// When the data is saved as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Save {
    /// Never.
    Never,
    /// When the server stops.
    AtStop,
    /// When the server stops, and after this many seconds with this many changes.
    Also(Vec<(u32, u32)>),
}

fn save<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Save, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(false) => Save::Never,
        Value::String(text) => points(&text).map_or(Save::AtStop, Save::Also),
        Value::Bool(true) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Save::AtStop
        }
    })
}

fn save_points(text: &str) -> Result<(), String> {
    match points(text) {
        Some(_) => Ok(()),
        None => Err("is not made of pairs of seconds and changes, as in \"900 1\"".to_owned()),
    }
}

fn points(text: &str) -> Option<Vec<(u32, u32)>> {
    let numbers: Vec<u32> = text
        .split_whitespace()
        .map(|word| {
            word.parse()
                .ok()
                .filter(|number| (1..=i32::MAX.unsigned_abs()).contains(number))
        })
        .collect::<Option<_>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    let all = rest.is_empty() && !pairs.is_empty();
    all.then(|| {
        pairs
            .iter()
            .map(|[seconds, changes]| (*seconds, *changes))
            .collect()
    })
}

fn password(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty; leave the key out".to_owned()),
        _ => any_but_nul(text),
    }
}

/// The memory units of valkey.conf, in any case: `k` counts 1000 and `kb` 1024 bytes.
fn memory(text: &str) -> Result<(), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1000 * 1000,
        "mb" => 1 << 20,
        "g" => 1000 * 1000 * 1000,
        "gb" => 1 << 30,
        _ => return Err("is no memory size; write a number with kb, mb or gb".to_owned()),
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    match bytes {
        Some(_) => Ok(()),
        None => Err("is no memory size; write it as in 100mb".to_owned()),
    }
}

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

    fn normalised(block: Value) -> Block {
        let Value::Object(block) = block else {
            panic!("a block is an object");
        };
        let checked = check(KEYS, &block);
        assert_eq!(checked.problems, []);
        serde_json::from_value(checked.block).unwrap()
    }

    #[test]
    fn data_is_kept_unless_the_user_writes_down_otherwise() {
        assert_eq!(normalised(json!({})).save, Save::AtStop);
        assert_eq!(normalised(json!({ "save": true })).save, Save::AtStop);
        assert_eq!(normalised(json!({ "save": false })).save, Save::Never);
        assert_eq!(
            normalised(json!({ "save": "900 1  300 10" })).save,
            Save::Also(vec![(900, 1), (300, 10)])
        );
    }

    #[test]
    fn save_points_are_pairs() {
        for wrong in ["", "900", "900 1 300", "900 x", "0 1", "-1 1", "900 1.5"] {
            assert!(save_points(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn memory_sizes_are_those_of_valkey() {
        for right in ["0", "100mb", "1GB", "5k", "7B", "1Kb"] {
            assert_eq!(memory(right), Ok(()), "{right}");
        }
        for wrong in ["", "mb", "100 mb", "1tb", "-1", "1.5gb", "99999999999gb"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_that_doze_needs_is_refused_in_any_case() {
        for (name, _) in OWNED {
            let block = json!({ "settings": { name.to_ascii_uppercase(): "x" } });
            let checked = check(KEYS, block.as_object().unwrap());
            assert_eq!(checked.problems.len(), 1, "{name}");
            assert!(checked.problems[0].key);
        }
    }
}
