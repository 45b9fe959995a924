//! The text of `postgresql.conf` and of `pg_hba.conf`, as chapter 20 of the manual has them. It must
//! not know any path.

use std::fmt;

use serde_json::Value;

use crate::{block::Block, sql::identifier, tls::Files};

/// `pg_hba.conf` of a server whose clients come to its unix socket. Those `named` may log in without a
/// password: whoever reaches the socket may be one of them. Everybody else has to give one, the
/// superuser, who has one that nobody knows, among them.
pub(crate) fn hba<'a>(major: u32, named: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for role in named {
        text.push_str("local all,replication ");
        text.push_str(&hba_role(major, role));
        text.push_str(" trust\n");
    }
    text.push_str("local all,replication all scram-sha-256\n");
    text
}

/// `pg_hba.conf` of a server whose clients come to a loopback port, which every local user can reach:
/// nobody gets in without a password, and where it is `required` nobody without TLS.
pub(crate) fn hba_tls(required: bool) -> String {
    let kind = if required { "hostssl" } else { "host" };
    format!(
        "local all all scram-sha-256\n\
         {kind} all,replication all 127.0.0.1/32 scram-sha-256\n"
    )
}

/// Between double quotes no character has a meaning of its own, but for a slash at the begin of
/// it: from version 16 on a regular expression follows.
fn hba_role(major: u32, role: &str) -> String {
    if major < 16 || !role.starts_with('/') {
        return identifier(role);
    }
    let mut pattern = String::from("/^");
    for c in role.chars() {
        if !c.is_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('$');
    identifier(&pattern)
}

/// `postgresql.conf` for a server of this major version. What comes later wins, so the user's
/// settings win over ours.
pub(crate) fn text(major: u32, block: &Block, tls: Option<&Files>) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot; settings belong into doze.toml.");
    config.set("shared_buffers", &block.shared_buffers);
    config.set("max_connections", block.max_connections);
    config.set("fsync", switch(block.fsync));
    config.set("full_page_writes", switch(block.fsync));
    config.set("autovacuum", switch(block.autovacuum));
    if block.durable {
        config.comment("A commit waits for the disk.");
    } else {
        config
            .comment("A commit does not wait for the disk; a crash loses under a second of them.");
    }
    config.set("synchronous_commit", switch(block.durable));
    if let Some(files) = tls {
        config.comment("TLS, on TCP only.");
        config.set("ssl", "on");
        config.set("ssl_cert_file", &files.certificate);
        config.set("ssl_key_file", &files.key);
    }
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
        config.set(name, setting_text(value));
    }
    config.0
}

/// The value of a setting as text.
pub(crate) fn setting_text(value: &Value) -> String {
    match value {
        Value::Bool(value) => switch(*value).to_owned(),
        Value::String(value) => value.clone(),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Whether a setting is a list of names, each quoted by itself (`GUC_LIST_QUOTE` of the server).
pub(crate) fn takes_a_list(setting: &str) -> bool {
    const LISTS: [&str; 4] = [
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "temp_tablespaces",
    ];
    LISTS.iter().any(|list| list.eq_ignore_ascii_case(setting))
}

/// The names in such a list: between commas, without their quotes, or in lower case.
pub(crate) fn list(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let (Some(c), Some(name)) = (chars.next(), names.last_mut()) {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => name.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(String::new()),
            c if quoted => name.push(c),
            c if c.is_whitespace() => {}
            c => name.extend(c.to_lowercase()),
        }
    }
    names
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
            "durable": false, "tls": false, "tls_required": false, "role": {}, "database": {}, "schema": {}, "extensions": [], "extension": {}, "grant": [],
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
            None,
        );
        assert!(text.ends_with("jit = 'on'\nrandom_page_cost = '1.1'\nwork_mem = '8MB'\n"));
    }

    #[test]
    fn who_may_log_in_without_a_password_is_named() {
        let rules = |major| hba(major, ["it's \"a\", #@", "/a.b"].into_iter());
        assert_eq!(
            rules(15),
            "local all,replication \"it's \"\"a\"\", #@\" trust\n\
             local all,replication \"/a.b\" trust\n\
             local all,replication all scram-sha-256\n"
        );
        assert!(rules(16).contains("\"/^\\/a\\.b$\" trust\n"));
    }

    #[test]
    fn nobody_gets_in_over_tcp_without_a_password() {
        for (required, kind) in [(false, "host "), (true, "hostssl ")] {
            let rules = hba_tls(required);
            assert!(rules.lines().all(|rule| rule.ends_with(" scram-sha-256")));
            let over_tcp = rules.lines().filter(|rule| !rule.starts_with("local "));
            assert!(over_tcp.clone().all(|rule| rule.starts_with(kind)));
            assert_eq!(over_tcp.count(), 1);
        }
    }

    #[test]
    fn what_is_durable_waits_for_the_disk() {
        let of = |durable| {
            let mut block = block(&json!({}));
            block.durable = durable;
            text(17, &block, None)
        };
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            assert!(
                of(true).contains(&format!("\n{setting} = 'on'\n")),
                "{setting}"
            );
        }
        assert!(of(false).contains("\nsynchronous_commit = 'off'\n"));
    }

    #[test]
    fn a_list_is_read_as_the_server_reads_it() {
        for (text, names) in [
            ("app, public", &["app", "public"][..]),
            (r#""$user",Public"#, &["$user", "public"]),
            (r#""a, ""b""" , C"#, &[r#"a, "b""#, "c"]),
            ("", &[""]),
        ] {
            assert_eq!(list(text), names, "{text}");
        }
    }

    #[test]
    fn logical_replication_keeps_its_workers() {
        let workers = "max_logical_replication_workers";
        assert!(text(17, &block(&json!({})), None).contains(workers));
        assert!(!text(17, &block(&json!({ "wal_level": "logical" })), None).contains(workers));
    }

    #[test]
    fn a_setting_is_written_for_the_versions_that_know_it() {
        assert!(text(18, &block(&json!({})), None).contains("io_method"));
        assert!(!text(17, &block(&json!({})), None).contains("io_method"));
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
