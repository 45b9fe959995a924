//! The text of valkey.conf. It must not know the paths.

use std::fmt;

use camino::Utf8Path;
use serde_json::Value;

use crate::block::{Block, Save};

/// valkey.conf for a server with these paths. What comes later wins, so the user's settings win
/// over ours.
pub(crate) fn text(block: &Block, socket: &Utf8Path, data: &Utf8Path) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot; settings belong into doze.toml.");
    config.set("port", 0);
    config.set("unixsocket", socket);
    config.set("unixsocketperm", "600");
    config.set("dir", data);
    config.set("daemonize", "no");
    config.set("supervised", "no");
    if let Some(password) = &block.password {
        config.set("requirepass", password);
    }
    if let Some(maxmemory) = &block.maxmemory {
        config.set("maxmemory", maxmemory);
    }
    config.set("maxmemory-policy", &block.maxmemory_policy);
    config.set("appendonly", switch(block.appendonly));
    match &block.save {
        Save::Never => config.set("save", ""),
        Save::AtStop => {
            // With a save point a plain SIGTERM saves, in every version. This one is never
            // reached: it is 68 years away.
            config.comment("Save at the stop, and never before.");
            config.save_point(i32::MAX.unsigned_abs(), 1);
        }
        Save::Also(points) => {
            for (seconds, changes) in points {
                config.save_point(*seconds, *changes);
            }
        }
    }
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
        self.0.push_str("# ");
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.line(&format!("{name} {}", quote(&value.to_string())));
    }

    fn save_point(&mut self, seconds: u32, changes: u32) {
        self.line(&format!("save {seconds} {changes}"));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// One argument, as `sdssplitargs` of the server reads it: between double quotes, whatever is not
/// printable ASCII as `\xHH`.
fn quote(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    let inner: String = value.bytes().map(byte).collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes_or_its_line() {
        assert_eq!(
            quote("a \"b\" \\ 'c' #$%\nü"),
            r#""a \"b\" \\ 'c' #$%\x0a\xc3\xbc""#
        );
    }
}
