//! The text of the option file. It must not know the paths.

use std::fmt::{Display, Write as _};

use serde_json::Value;

use crate::block::Block;

/// What the server has to be told alike when a data directory is made and when it is used.
pub(crate) const LAYOUT: &[(&str, &str)] = &[
    ("innodb_data_file_path", "ibdata1:3M:autoextend"),
    ("innodb_log_file_size", "8M"),
    ("innodb_undo_tablespaces", "0"),
    // The file of system tables grows by this, 64 MB by default.
    ("innodb_autoextend_increment", "1"),
];

/// A small server that starts fast.
const SMALL: &[(&str, &str)] = &[
    ("aria_pagecache_buffer_size", "1M"),
    ("default_time_zone", "+00:00"),
    ("innodb_buffer_pool_dump_at_shutdown", "OFF"),
    ("innodb_buffer_pool_load_at_startup", "OFF"),
    ("innodb_buffer_pool_size", "16M"),
    ("innodb_temp_data_file_path", "ibtmp1:2M:autoextend"),
    ("key_buffer_size", "1M"),
    // Higher than this it notes everybody who connects to see whether it is ready.
    ("log_warnings", "1"),
    ("performance_schema", "OFF"),
    ("table_open_cache", "64"),
];

/// What does not wait for the disk. A commit is with the kernel when a client hears of it.
pub(crate) const FAST: &[(&str, &str)] = &[
    ("innodb_doublewrite", "0"),
    ("innodb_flush_log_at_trx_commit", "2"),
    ("innodb_flush_method", "nosync"),
];

/// The setting that gives the server a certificate.
const CERTIFICATE: &str = "ssl_cert";

/// The option file for a server of this block. What comes later wins, so the user's settings win
/// over ours.
pub(crate) fn text(block: &Block) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot; settings belong into doze.toml.");
    config.0.push_str("[mariadbd]\n");
    config.all(LAYOUT);
    config.all(SMALL);
    if !block.durable {
        config.all(FAST);
    }
    config.set("character_set_server", &block.character_set);
    if let Some(collation) = &block.collation {
        config.set("collation_server", collation);
    }
    config.set("max_connections", block.max_connections);
    if !has_tls(block) {
        // A newer server makes itself a key at every start, which takes as long as all of the rest.
        config.0.push_str("skip_ssl\n");
    }
    if !block.settings.is_empty() {
        config.comment("From `settings` in doze.toml.");
    }
    for (name, value) in &block.settings {
        match value {
            Value::Bool(on) => config.set(name, if *on { "ON" } else { "OFF" }),
            Value::String(text) => config.set(name, text),
            other @ (Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                config.set(name, other);
            }
        }
    }
    config.0
}

/// Whether clients may ask for TLS: with a certificate of the user's.
pub(crate) fn has_tls(block: &Block) -> bool {
    block.settings.contains_key(CERTIFICATE)
}

struct Config(String);

impl Config {
    fn comment(&mut self, text: &str) {
        self.line(format_args!("# {text}"));
    }

    fn all(&mut self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.set(name, value);
        }
    }

    /// In quotes a value keeps its spaces and its `#`; a backslash escapes there as anywhere.
    fn set(&mut self, name: &str, value: impl Display) {
        let value = value.to_string().replace('\\', r"\\").replace('"', r#"\""#);
        self.line(format_args!("{name} = \"{value}\""));
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use doze_driver::block;
    use serde_json::json;

    use super::*;
    use crate::block::KEYS;

    fn lines(declared: &Value) -> Vec<String> {
        let checked = block::check(KEYS, declared.as_object().unwrap());
        let text = text(&serde_json::from_value(checked.block).unwrap());
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_disk_is_waited_for_only_if_that_is_asked() {
        let commit = "innodb_flush_log_at_trx_commit = \"2\"".to_owned();
        assert!(lines(&json!({})).contains(&commit));
        let durable = lines(&json!({ "durable": true }));
        assert!(!durable.contains(&commit), "{durable:?}");
    }

    #[test]
    fn settings_come_last_and_are_quoted() {
        let lines = lines(&json!({ "settings": { "a": r#" it's "x" \n # "#, "b": true, "c": 7 } }));
        assert_eq!(
            lines[lines.len() - 3..],
            [r#"a = " it's \"x\" \\n # ""#, r#"b = "ON""#, r#"c = "7""#]
        );
    }

    #[test]
    fn there_is_tls_with_a_certificate_only() {
        let without = "skip_ssl".to_owned();
        assert!(lines(&json!({})).contains(&without));
        assert!(!lines(&json!({ "settings": { "ssl_cert": "/c" } })).contains(&without));
    }
}
