//! The keys of a `[mariadb.NAME]` block. It must not know how they are written down for the
//! server.

mod objects;
mod references;

use std::collections::BTreeMap;

use doze_contract::protocol::{Check, Checked};
use doze_driver::block::{self, Key, Kind};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::structure::{Text, User};
use objects::{
    DATABASE_KEYS, GRANT_KEYS, USER_KEYS, character_set, collation, database, declared_user,
};

/// The character set that holds every text.
const UTF8: &str = "utf8mb4";

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "owner",
        kind: Kind::Text {
            default: None,
            rule: declared_user,
        },
        doc: "The user who may do everything in the databases of the instance, and whom the URL \
              names; its host and password are those of the `user` of this name. Without it the \
              user is called like the instance.",
    },
    Key {
        name: "user",
        kind: Kind::Tables {
            name: declared_user,
            keys: USER_KEYS,
        },
        doc: "Users, each by its name.",
    },
    Key {
        name: "database",
        kind: Kind::Tables {
            name: database,
            keys: DATABASE_KEYS,
        },
        doc: "Databases besides the one of the instance, each by its name.",
    },
    Key {
        name: "grant",
        kind: Kind::TableList { keys: GRANT_KEYS },
        doc: "What users may do.",
    },
    Key {
        name: "character_set",
        kind: Kind::Text {
            default: Some(UTF8),
            rule: character_set,
        },
        doc: "How text is written in the databases that do not say it themselves.",
    },
    Key {
        name: "collation",
        kind: Kind::Text {
            default: None,
            rule: collation,
        },
        doc: "How text is compared in them. Without it, as the server has it for the character set.",
    },
    Key {
        name: "max_connections",
        kind: Kind::Number {
            default: 50,
            min: 10,
            max: 100_000,
        },
        doc: "How many clients may be connected at the same time.",
    },
    Key {
        name: "durable",
        kind: Kind::Flag { default: false },
        doc: "Waits for the disk at every commit. Without it a crash of the machine, not of the \
              server, can lose commits and damage the data.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: OWNED,
            name: setting_name,
            value: setting_value,
        },
        doc: "Settings of the server, with underscores in their names. They win over what doze sets \
              by itself, such as `innodb_buffer_pool_size = '16M'` and `default_time_zone = '+00:00'`.",
    },
];

const ADDRESS: &str = "is set by doze: the address is `port` or `listen` of the instance";
const PLACE: &str = "is set by doze, which decides where the server's files are";
const BESIDE: &str = "is a key of the instance; write it beside `settings`, not into it";
const LAYOUT: &str = "is decided when the data directory is made, by doze";
const ACCESS: &str = "would let everybody in, or nobody";
const LIFE: &str = "is set by doze, which starts the server and stops it";

const OWNED: &[(&str, &str)] = &[
    ("bind_address", ADDRESS),
    ("extra_port", ADDRESS),
    ("port", ADDRESS),
    ("skip_networking", ADDRESS),
    ("socket", ADDRESS),
    ("aria_log_dir_path", PLACE),
    ("basedir", PLACE),
    ("datadir", PLACE),
    ("innodb_data_home_dir", PLACE),
    ("innodb_log_group_home_dir", PLACE),
    ("innodb_undo_directory", PLACE),
    ("pid_file", PLACE),
    ("slave_load_tmpdir", PLACE),
    ("tmpdir", PLACE),
    ("innodb_data_file_path", LAYOUT),
    ("innodb_page_size", LAYOUT),
    ("innodb_undo_tablespaces", LAYOUT),
    ("lower_case_table_names", LAYOUT),
    ("old_passwords", ACCESS),
    ("skip_grant_tables", ACCESS),
    ("skip_name_resolve", ACCESS),
    ("bootstrap", LIFE),
    ("chroot", LIFE),
    ("init_file", LIFE),
    ("user", LIFE),
    ("character_set_server", BESIDE),
    ("collation_server", BESIDE),
    ("max_connections", BESIDE),
];

/// A normalised block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) owner: Option<String>,
    pub(crate) user: BTreeMap<String, User>,
    pub(crate) database: BTreeMap<String, OwnText>,
    pub(crate) grant: Vec<Granted>,
    pub(crate) character_set: String,
    pub(crate) collation: Option<String>,
    pub(crate) max_connections: i64,
    pub(crate) durable: bool,
    pub(crate) settings: Map<String, Value>,
}

/// A database, as far as it says something else than the instance.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnText {
    character_set: Option<String>,
    collation: Option<String>,
}

impl OwnText {
    /// This, and `other` where it says nothing. A collation belongs to a character set.
    pub(crate) fn or(&self, other: &Text) -> Text {
        match &self.character_set {
            Some(own) => Text {
                character_set: own.clone(),
                collation: self.collation.clone(),
            },
            None => Text {
                character_set: other.character_set.clone(),
                collation: self.collation.clone().or_else(|| other.collation.clone()),
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Granted {
    pub(crate) user: String,
    pub(crate) privileges: Vec<String>,
    database: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) with_grant_option: bool,
}

impl Granted {
    /// The database that it is about: that of the instance unless it says otherwise, none for all
    /// of the server.
    pub(crate) fn database(&self, instance: &str) -> Option<String> {
        let database = self.database.as_deref().unwrap_or(instance);
        (database != objects::EVERYWHERE).then(|| database.to_owned())
    }
}

/// All that is wrong with a block.
pub(crate) fn check(call: &Check) -> Checked {
    let mut checked = block::check(KEYS, &call.block);
    let instance = call.instance.as_str();
    checked
        .problems
        .extend(references::instance(instance, &call.block));
    // What is said of the parts of a block is of use only if they are right themselves.
    if checked.problems.is_empty()
        && let Ok(block) = serde_json::from_value(checked.block.clone())
    {
        checked
            .problems
            .extend(references::problems(instance, &block));
    }
    checked
}

/// A setting as the manual lists it. The server takes many spellings of one name; with one only,
/// those that are not for the user can be told.
fn setting_name(text: &str) -> Result<(), String> {
    const PREFIXES: [&str; 4] = ["disable_", "enable_", "loose_", "maximum_"];
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if text.contains('-') {
        Err("has a dash; write the name with underscores".to_owned())
    } else if text.is_empty() || !text.bytes().all(plain) {
        Err("is not the name of a setting".to_owned())
    } else if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        Err("is another name of a setting; write the one that the manual has".to_owned())
    } else {
        Ok(())
    }
}

fn setting_value(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        Err("contains a control character".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
