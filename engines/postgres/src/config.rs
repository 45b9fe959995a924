//! The text of `postgresql.conf` and of `pg_hba.conf`, as chapter 20 of the manual has them. It must
//! not know any path.

use std::fmt;

use serde_json::Value;

use crate::block::Block;

/// The only rule: whoever reaches the socket may be anybody. The socket is in a folder that
/// nobody but its owner can enter.
pub(crate) const HBA: &str = "local all all trust\n";

/// `postgresql.conf` for a server of this major version. What comes later wins, so the user's
/// settings win over ours.
pub(crate) fn text(major: u32, block: &Block) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot; settings belong into doze.toml.");
    config.set("shared_buffers", &block.shared_buffers);
    config.set("max_connections", block.max_connections);
    config.set("fsync", switch(block.fsync));
    config.set("full_page_writes", switch(block.fsync));
    config.set("autovacuum", switch(block.autovacuum));
    config.comment("A commit does not wait for the disk; a crash loses under a second of them.");
    config.set("synchronous_commit", "off");
    config.comment("A small server that starts fast.");
    config.set("huge_pages", "off");
    config.set("jit", "off");
    config.set("log_checkpoints", "off");
    if !replicates(block) {
        config.set("max_logical_replication_workers", 0);
    }
    if major >= 18 {
        config.set("io_method", "sync");
    }
    config.comment("The same on every machine.");
    config.set("timezone", "UTC");
    config.set("log_timezone", "UTC");
    config.set("lc_messages", "C");
    config.set("default_text_search_config", "pg_catalog.english");
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

/// Whether the user lets the server compile queries to machine code.
pub(crate) fn compiles_queries(block: &Block) -> bool {
    // PostgreSQL takes many spellings of a boolean; what is not plainly off counts as on.
    setting(block, "jit").is_some_and(|value| match value {
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !matches!(
            text.to_ascii_lowercase().as_str(),
            "off" | "false" | "no" | "0"
        ),
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    })
}

fn replicates(block: &Block) -> bool {
    setting(block, "wal_level").is_some_and(|level| level == "logical")
}

fn setting<'a>(block: &'a Block, name: &str) -> Option<&'a Value> {
    let mut settings = block.settings.iter();
    settings
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

struct Config(String);

impl Config {
    fn comment(&mut self, text: &str) {
        self.0.push_str("# ");
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.0.push_str(name);
        self.0.push_str(" = ");
        self.0.push_str(&quote(&value.to_string()));
        self.0.push('\n');
    }
}

/// A value between single quotes; a backslash would start an escape. Line breaks cannot be part
/// of a value and do not pass the check of the block.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn block(settings: &Value) -> Block {
        serde_json::from_value(json!({
            "shared_buffers": "16MB", "max_connections": 50, "fsync": true, "autovacuum": true,
            "settings": settings,
        }))
        .unwrap()
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(quote(r"it's a \ test"), r"'it''s a \\ test'");
    }

    #[test]
    fn the_users_settings_come_last() {
        let text = text(
            17,
            &block(&json!({ "jit": true, "work_mem": "8MB", "random_page_cost": 1.1 })),
        );
        assert!(text.ends_with("jit = 'on'\nrandom_page_cost = '1.1'\nwork_mem = '8MB'\n"));
    }

    #[test]
    fn logical_replication_keeps_its_workers() {
        let workers = "max_logical_replication_workers";
        assert!(text(17, &block(&json!({}))).contains(workers));
        assert!(!text(17, &block(&json!({ "wal_level": "logical" }))).contains(workers));
    }

    #[test]
    fn a_setting_is_written_for_the_versions_that_know_it() {
        assert!(text(18, &block(&json!({}))).contains("io_method"));
        assert!(!text(17, &block(&json!({}))).contains("io_method"));
    }

    #[test]
    fn machine_code_is_generated_if_the_user_wants_it() {
        for (settings, expected) in [
            (json!({}), false),
            (json!({ "jit": false }), false),
            (json!({ "JIT": "off" }), false),
            (json!({ "jit": 0 }), false),
            (json!({ "jit": true }), true),
            (json!({ "jit": "on" }), true),
        ] {
            assert_eq!(compiles_queries(&block(&settings)), expected, "{settings}");
        }
    }
}
