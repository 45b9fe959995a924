//! The keys of a `[postgres.NAME]` block. It must not know how they are written down for the
//! server.

mod declared;
mod names;
mod objects;
mod together;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use doze_contract::{
    Version,
    protocol::{Check, Checked, Problem},
};
use doze_driver::block::{self, Key, Kind};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::structure::{Database, Extension, Grant, Role, Schema};
use objects::{DATABASE_KEYS, EXTENSION_KEYS, GRANT_KEYS, ROLE_KEYS, SCHEMA_KEYS};

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "owner",
        kind: Kind::Text {
            default: None,
            rule: names::role,
        },
        doc: "The role that owns the database; it is created with LOGIN, and its other attributes \
              are those of the `role` of this name. Without it the superuser `postgres` owns the \
              database.",
    },
    Key {
        name: "role",
        kind: Kind::Tables {
            name: names::declared_role,
            keys: ROLE_KEYS,
        },
        doc: "Roles, each by its name.",
    },
    Key {
        name: "database",
        kind: Kind::Tables {
            name: names::database,
            keys: DATABASE_KEYS,
        },
        doc: "Databases besides the one of the instance, each by its name.",
    },
    Key {
        name: "schema",
        kind: Kind::Tables {
            name: names::schema,
            keys: SCHEMA_KEYS,
        },
        doc: "Schemas in the database of the instance, each by its name.",
    },
    Key {
        name: "extensions",
        kind: Kind::Texts { rule: names::name },
        doc: "Extensions in the database of the instance, with those that they need.",
    },
    Key {
        name: "extension",
        kind: Kind::Tables {
            name: names::name,
            keys: EXTENSION_KEYS,
        },
        doc: "Likewise, each by its name, of which there is more to say.",
    },
    Key {
        name: "grant",
        kind: Kind::TableList { keys: GRANT_KEYS },
        doc: "Privileges that roles have.",
    },
    Key {
        name: "shared_buffers",
        kind: Kind::Text {
            default: Some("16MB"),
            rule: memory,
        },
        doc: "Memory for pages that all connections share.",
    },
    Key {
        name: "max_connections",
        kind: Kind::Number {
            default: 50,
            // Three are kept for superusers.
            min: 4,
            max: 262_143,
        },
        doc: "How many clients may be connected at the same time.",
    },
    Key {
        name: "durable",
        kind: Kind::Flag { default: false },
        doc: "A commit is on the disk before the client is told of it: `fsync`, `full_page_writes` \
              and `synchronous_commit` are on. Without it a crash can lose commits of under a \
              second.",
    },
    Key {
        name: "fsync",
        kind: Kind::Flag { default: true },
        doc: "Keeps the data whole when the machine crashes. Commits do not wait for the disk \
              either way unless `durable`, so `false` is hardly faster.",
    },
    Key {
        name: "autovacuum",
        kind: Kind::Flag { default: true },
        doc: "Cleans up and analyses tables in the background while the server is awake.",
    },
    Key {
        name: "tls",
        kind: Kind::Flag { default: false },
        doc: "The server speaks TLS on its TCP endpoints, and every client has to give the password \
              of its role.",
    },
    Key {
        name: "tls_required",
        kind: Kind::Flag { default: false },
        doc: "Clients without TLS are turned away.",
    },
    Key {
        name: "tls_certificate",
        kind: Kind::Text {
            default: None,
            rule: path,
        },
        doc: "A PEM file with the certificate of the server, and those between it and its \
              authority. Without it doze makes one.",
    },
    Key {
        name: "tls_key",
        kind: Kind::Text {
            default: None,
            rule: path,
        },
        doc: "The PEM file with the secret key of `tls_certificate`; its mode is 0600.",
    },
    Key {
        name: "tls_ca",
        kind: Kind::Text {
            default: None,
            rule: path,
        },
        doc: "The PEM file that clients check `tls_certificate` by, for the URL; without it the \
              certificate itself.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: OWNED,
            name: setting_name,
            value: setting_value,
        },
        doc: "Settings of postgresql.conf. They win over what doze sets by itself, such as \
              `timezone = 'UTC'`, `synchronous_commit = off` and `jit = off`.",
    },
];

const ADDRESS: &str = "is set by doze: the address is `port` or `listen` of the instance";
const PLACE: &str = "is set by doze, which decides where the server's files are";
const BESIDE: &str = "is a key of the instance; write it beside `settings`, not into it";
const TLS: &str = "is set by doze: write `tls`, `tls_certificate` and `tls_key` beside `settings`";
const INCLUDE: &str = "would read settings that doze cannot check; write them into `settings`";

const OWNED: &[(&str, &str)] = &[
    ("listen_addresses", ADDRESS),
    ("port", ADDRESS),
    ("unix_socket_directories", ADDRESS),
    ("unix_socket_group", ADDRESS),
    ("unix_socket_permissions", ADDRESS),
    ("config_file", PLACE),
    ("data_directory", PLACE),
    ("external_pid_file", PLACE),
    ("hba_file", PLACE),
    ("ident_file", PLACE),
    ("include", INCLUDE),
    ("include_dir", INCLUDE),
    ("include_if_exists", INCLUDE),
    ("autovacuum", BESIDE),
    ("fsync", BESIDE),
    ("max_connections", BESIDE),
    ("ssl", TLS),
    ("ssl_cert_file", TLS),
    ("ssl_key_file", TLS),
    ("shared_buffers", BESIDE),
];

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are keys of the block")]
pub(crate) struct Block {
    pub(crate) owner: Option<String>,
    pub(crate) role: BTreeMap<String, Role>,
    pub(crate) database: BTreeMap<String, Database>,
    pub(crate) schema: BTreeMap<String, Schema>,
    pub(crate) extensions: Vec<String>,
    pub(crate) extension: BTreeMap<String, Extension>,
    pub(crate) grant: Vec<Grant>,
    pub(crate) shared_buffers: String,
    pub(crate) max_connections: i64,
    pub(crate) durable: bool,
    pub(crate) fsync: bool,
    pub(crate) autovacuum: bool,
    pub(crate) tls: bool,
    pub(crate) tls_required: bool,
    pub(crate) tls_certificate: Option<Utf8PathBuf>,
    pub(crate) tls_key: Option<Utf8PathBuf>,
    pub(crate) tls_ca: Option<Utf8PathBuf>,
    pub(crate) settings: Map<String, Value>,
}

/// All that is wrong with a block.
pub(crate) fn check(call: &Check) -> Checked {
    let mut checked = block::check(KEYS, &call.block);
    if matches!(call.instance.as_str(), "template0" | "template1") {
        checked.problems.push(Problem {
            at: Vec::new(),
            key: false,
            message: "is what every PostgreSQL calls one of its templates".to_owned(),
            hint: Some("the database is called like the instance; choose another name".to_owned()),
        });
    }
    let instance = call.instance.as_str();
    let databases = call.block.get("database").and_then(Value::as_object);
    if databases.is_some_and(|databases| databases.contains_key(instance)) {
        checked.problems.push(Problem {
            at: ["database", instance].map(str::to_owned).to_vec(),
            key: true,
            message: "is the database of the instance, which is there in any case".to_owned(),
            hint: Some("its owner is `owner` of the instance".to_owned()),
        });
    }
    // What has a wrong type was told already.
    if let Ok(block) = serde_json::from_value(checked.block.clone()) {
        let major = call.version.as_ref().map(Version::major);
        let found = declared::problems(instance, major, &block);
        checked.problems.extend(found);
    }
    checked.problems.extend(together::problems(call));
    checked
}

/// The memory units of `postgresql.conf`; they are case-sensitive. A bare number counts pages of
/// 8 kB.
fn memory(text: &str) -> Result<(), String> {
    const LEAST: u64 = 128 << 10;
    const MOST: u64 = ((1 << 30) - 1) * (8 << 10);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit: u64 = match unit.trim_start_matches(' ') {
        "" => 8 << 10,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return Err("is no memory size; write a number with B, kB, MB, GB or TB".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "is no memory size; write it as in 16MB".to_owned())?;
    match number.checked_mul(unit) {
        Some(LEAST..=MOST) => Ok(()),
        _ => Err("is out of range; it is 128kB to 8191GB".to_owned()),
    }
}

/// The server takes its settings from a text, where a line ends a value.
fn path(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty; leave it out".to_owned())
    } else {
        setting_value(text)
    }
}

/// A setting, or a custom one with dots in it.
pub(super) fn setting_name(text: &str) -> Result<(), String> {
    let plain = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
            && part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    };
    if text.split('.').all(plain) {
        Ok(())
    } else {
        Err("is not the name of a setting".to_owned())
    }
}

pub(super) fn setting_value(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        Err("contains a control character".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use doze_contract::InstanceName;
    use serde_json::json;

    use super::*;

    fn problems(instance: &str, block: Value) -> Vec<(String, String)> {
        let call = Check {
            instance: InstanceName::new(instance).unwrap(),
            version: Some(Version::new("17").unwrap()),
            block: serde_json::from_value(block).unwrap(),
            endpoints: Vec::new(),
        };
        let problem = |p: Problem| (p.at.join("."), p.message);
        check(&call).problems.into_iter().map(problem).collect()
    }

    #[test]
    fn the_defaults_are_a_whole_block() {
        let block: Block = serde_json::from_value(block::check(KEYS, &Map::new()).block).unwrap();
        assert_eq!(block.owner, None);
        assert_eq!(block.shared_buffers, "16MB");
        assert!(block.fsync && block.autovacuum);
        assert!(block.role.is_empty() && block.extensions.is_empty());
    }

    #[test]
    fn a_role_that_says_nothing_may_log_in_and_nothing_else() {
        let checked = block::check(
            KEYS,
            &Map::from_iter([("role".to_owned(), json!({ "web": {} }))]),
        );
        assert_eq!(checked.problems, []);
        let block: Block = serde_json::from_value(checked.block).unwrap();
        assert_eq!(block.role["web"], Role::default());
    }

    #[test]
    fn the_templates_are_no_databases_of_anybody() {
        assert_eq!(problems("template1", json!({})).len(), 1);
        assert_eq!(problems("postgres", json!({})), []);
    }

    #[test]
    fn memory_sizes_are_those_of_postgresql() {
        for right in ["16MB", "128kB", "131072B", "1 GB", "16", "8191GB"] {
            assert_eq!(memory(right), Ok(()), "{right}");
        }
        for wrong in [
            "", "MB", "16mb", "16 mb", "16M", "1kB", "15", "8TB", "-1MB", "1.5.GB", "ü",
        ] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_database_of_the_instance_is_not_declared_again() {
        let found = problems("app", json!({ "database": { "app": {}, "other": {} } }));
        let message = "is the database of the instance, which is there in any case";
        assert_eq!(found, [("database.app".to_owned(), message.to_owned())]);
    }

    #[test]
    fn a_setting_that_doze_needs_is_refused_with_the_reason() {
        let found = problems(
            "app",
            json!({ "settings": { "Listen_Addresses": "*", "fsync": false, "work mem": "4MB", "work_mem": "a\nb", "my.custom": "x" } }),
        );
        let told = |at: &str, message: &str| (format!("settings.{at}"), message.to_owned());
        assert_eq!(
            found,
            [
                told("Listen_Addresses", ADDRESS),
                told("fsync", BESIDE),
                told("work mem", "is not the name of a setting"),
                told("work_mem", "contains a control character"),
            ]
        );
    }
}
