//! The text of kvrocks.conf. It must not know the paths.

use std::fmt;

use camino::Utf8Path;
use serde_json::Value;

use crate::block::Block;

/// kvrocks.conf for a server with these paths. What comes later wins, so the user's settings win
/// over ours.
pub(crate) fn text(block: &Block, run: &Utf8Path, socket: &Utf8Path, data: &Utf8Path) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot; settings belong into doze.toml.");
    config.comment("With a socket and without `bind` the server does not listen on TCP.");
    config.set("unixsocket", socket);
    config.set("unixsocketperm", "600");
    config.set("dir", data);
    config.set("pidfile", run.join("kvrocks.pid"));
    config.set("log-dir", "stdout");
    config.set("daemonize", "no");
    config.set("supervised", "no");
    config.set("workers", block.workers);
    if let Some(password) = &block.password {
        config.set("requirepass", password);
    }
    for (name, namespace) in &block.namespace {
        config.set(&format!("namespace.{name}"), &namespace.token);
    }
    config.set("rocksdb.write_options.sync", switch(block.durable));
    config.comment("Megabytes: small, as one developer needs it.");
    config.set("rocksdb.block_cache_size", 16);
    config.set("rocksdb.write_buffer_size", 8);
    if !block.settings.is_empty() {
        config.comment("From `settings` in doze.toml.");
    }
    for (name, value) in &block.settings {
        match value {
            Value::Bool(value) => config.set(name, switch(*value)),
            Value::String(value) => config.set(name, value),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                config.set(name, value);
            }
        }
    }
    config.0
}

fn switch(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

struct Config(String);

impl Config {
    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.line(&format!("{name} {}", quote(&value.to_string())));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// One value, as the server reads it between double quotes: it knows these escapes, drops a
/// backslash before anything else, and takes every other byte as it is.
fn quote(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        let escaped = match c {
            '"' | '\\' => c,
            '\t' => 't',
            '\r' => 'r',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\u{8}' => 'b',
            _ => {
                quoted.push(c);
                continue;
            }
        };
        quoted.extend(['\\', escaped]);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::block::check;

    fn written(block: Value) -> String {
        let Value::Object(block) = block else {
            panic!("a block is an object");
        };
        let checked = check(&block);
        assert_eq!(checked.problems, []);
        let block: Block = serde_json::from_value(checked.block).unwrap();
        let (run, data) = ("/run/it's \"r\"", "/data #1");
        text(&block, run.into(), "/run/s.sock".into(), data.into())
    }

    #[test]
    fn a_value_cannot_leave_its_quotes_or_its_line() {
        assert_eq!(
            quote("a \"b\" \\ 'c' #$%\nü\t\u{b}\u{c}\u{8}\r"),
            r#""a \"b\" \\ 'c' #$%\nü\t\v\f\b\r""#
        );
    }

    #[test]
    fn the_least_that_is_written() {
        assert_eq!(
            written(Value::Object(Map::new())),
            r#"# Written by doze at every boot; settings belong into doze.toml.
# With a socket and without `bind` the server does not listen on TCP.
unixsocket "/run/s.sock"
unixsocketperm "600"
dir "/data #1"
pidfile "/run/it's \"r\"/kvrocks.pid"
log-dir "stdout"
daemonize "no"
supervised "no"
workers "2"
rocksdb.write_options.sync "no"
# Megabytes: small, as one developer needs it.
rocksdb.block_cache_size "16"
rocksdb.write_buffer_size "8"
"#
        );
    }

    #[test]
    fn all_that_is_declared_is_written_and_settings_come_last() {
        let text = written(json!({
            "password": "p \"w\"\n#", "workers": 4, "durable": true,
            "namespace": { "b": { "token": "two" }, "größe": { "token": "o'n\\e" } },
            "settings": { "rocksdb.block_cache_size": 64, "compact-cron": "0 3 * * *",
                "resp3-enabled": false },
        }));
        let (_, ours) = text.split_once("workers ").unwrap();
        assert_eq!(
            ours,
            r#""4"
requirepass "p \"w\"\n#"
namespace.b "two"
namespace.größe "o'n\\e"
rocksdb.write_options.sync "yes"
# Megabytes: small, as one developer needs it.
rocksdb.block_cache_size "16"
rocksdb.write_buffer_size "8"
# From `settings` in doze.toml.
compact-cron "0 3 * * *"
resp3-enabled "no"
rocksdb.block_cache_size "64"
"#
        );
    }
}
