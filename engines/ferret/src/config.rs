//! The configuration of the private Postgres. It must not know how the server is started.

use std::fmt;

use camino::Utf8Path;

/// What DocumentDB needs, and what makes a server for one developer small and fast. `run` is the
/// folder of the server's socket.
pub(crate) fn text(durable: bool, run: &Utf8Path) -> String {
    let mut config = Config(String::new());
    config.comment("Written by doze at every boot, for the Postgres behind FerretDB.");
    config.set("shared_preload_libraries", PRELOADED);
    config.set("cron.database_name", "postgres");
    config.comment("Jobs run inside; else the scheduler dials an address that there is not.");
    config.set("cron.use_background_workers", "on");
    config.set("cron.log_run", "off");
    config.set("cron.log_statement", "off");
    config.set("max_worker_processes", 32);
    config.comment("The same for the extension itself.");
    let host = format!("host={}", libpq(run.as_str()));
    config.set("documentdb.localhost_connection_string", host);
    config.comment("Passwords are for the declared users alone, whatever they are.");
    config.set("documentdb.enableUsernamePasswordConstraints", "off");
    config.comment("What a crash may cost.");
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        config.set(name, if durable { "on" } else { "off" });
    }
    config.comment("Small.");
    config.set("shared_buffers", "32MB");
    config.set("max_connections", 100);
    config.set("max_logical_replication_workers", 0);
    config.set("io_method", "sync");
    config.set("jit", "off");
    config.comment("The same on every machine.");
    config.set("timezone", "UTC");
    config.set("log_timezone", "UTC");
    config.set("lc_messages", "C");
    config.0
}

/// In the order in which one needs another.
pub(crate) const PRELOADED: &str = "pg_cron,pg_documentdb_core,pg_documentdb";

/// Who may connect to the private socket, whose mode lets only its owner reach it: FerretDB and the
/// extension without a password. The users log in by FerretDB; that they can here, too, is how doze
/// finds out whether a password is still the declared one.
pub(crate) fn hba() -> String {
    "# Written by doze at every boot.\n\
     local all postgres,documentdb_bg_worker_role trust\n\
     local all all scram-sha-256\n"
        .to_owned()
}

struct Config(String);

impl Config {
    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.line(&format!("{name} = {}", quote(&value.to_string())));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// A value between single quotes; a backslash would start an escape.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
}

/// A value in a connection string of libpq (chapter 32.1.1 of the manual).
fn libpq(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_folder_is_quoted_for_both_readers() {
        let text = text(false, r#"/run/it's "r" \x"#.into());
        let expected =
            r#"documentdb.localhost_connection_string = 'host=''/run/it\\''s "r" \\\\x'''"#;
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn durable_turns_all_three_on() {
        let on = text(true, "/run".into());
        let off = text(false, "/run".into());
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert!(on.contains(&format!("\n{name} = 'on'\n")));
            assert!(off.contains(&format!("\n{name} = 'off'\n")));
        }
    }
}
