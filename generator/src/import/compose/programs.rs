//! The services that no engine stands for: the project's own programs, and others. They are told
//! where what they connect to is now.

use super::{about_service, environment::Environment, reader::Reader};
use crate::import::Note;

/// A service that is no instance.
pub(super) struct Program<'a> {
    pub(super) name: &'a str,
    pub(super) line: u64,
    pub(super) environment: Environment,
    pub(super) keys: Reader,
    /// All keys that it has.
    pub(super) all: Vec<String>,
}

/// Where an instance is.
#[derive(Debug)]
pub(super) struct Address {
    /// The names that containers knew it by.
    pub(super) hosts: Vec<String>,
    /// The port that they used.
    pub(super) inner: u16,
    /// The address now.
    pub(super) outer: String,
}

impl Program<'_> {
    /// Notes the service with all its keys, and each variable that holds an old address.
    pub(super) fn tell(mut self, addresses: &[Address], notes: &mut Vec<Note>) {
        let built = self.keys.take("build").is_some();
        let image = self.keys.take("image");
        let image = image.as_ref().and_then(|entry| entry.node.text());
        let said = |key: &String| !matches!(key.as_str(), "build" | "image");
        let keys: Vec<String> = self.all.into_iter().filter(said).collect();
        let what = match (built, image) {
            (true, _) => {
                "it is built from the project: run its command by `doze run -- COMMAND`".into()
            }
            (false, Some(image)) if image.contains("temporalio/ui") => {
                "this page is the `ui_port` of a temporal instance here".into()
            }
            (false, Some(image)) => format!("no engine stands for the image `{image}`"),
            (false, None) => "it has no image".into(),
        };
        let why = match keys.join(", ") {
            none if none.is_empty() => what,
            keys => format!("{what} (its keys: {keys})"),
        };
        notes.push(about_service(self.name, self.line, why));
        for (name, value, line, at) in self.environment.iter() {
            for address in addresses {
                if let Some(old) = mentions(name, value, address) {
                    // In a file it is one of many.
                    let at = if at.ends_with(name) {
                        at.to_owned()
                    } else {
                        format!("{at} {name}")
                    };
                    let why = format!("`{old}` is {} now", address.outer);
                    notes.push(Note::new(line, at, why));
                }
            }
        }
    }
}

/// The old address as it stands in the value of a variable. The value itself may be a secret.
fn mentions(name: &str, value: &str, address: &Address) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for host in &address.hosts {
        for (at, _) in value.match_indices(host.as_str()) {
            let (before, after) = (value.get(..at)?, value.get(at + host.len()..)?);
            if before.ends_with(is_name) || after.starts_with(is_name) || after.starts_with('@') {
                continue;
            }
            let port = after.strip_prefix(':').unwrap_or_default();
            let digits = port
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(port.len());
            let has_port = port.get(..digits) == Some(&*address.inner.to_string());
            let is_password = port.get(digits..).is_some_and(|rest| rest.starts_with('@'));
            let is_host = before.ends_with('@')
                || before.ends_with("//")
                || before.to_ascii_lowercase().ends_with("host=")
                || (has_port && !is_password)
                || (before.is_empty() && after.is_empty() && is_for_hosts(name));
            if is_host && !is_password {
                let port = if has_port {
                    format!(":{}", address.inner)
                } else {
                    String::new()
                };
                return Some(format!("{host}{port}"));
            }
        }
    }
    None
}

/// Whether a variable of this name holds a host if it holds a single word.
fn is_for_hosts(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["HOST", "ADDR", "SERVER", "ENDPOINT"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_taken_for_hosts() {
        let address = Address {
            hosts: vec!["db".into(), "postgres".into()],
            inner: 5432,
            outer: "127.0.0.1:15432".into(),
        };
        for (name, value, expected) in [
            ("URL", "postgres://u:p@db:5432/db", Some("db:5432")),
            (
                "URL",
                "postgresql://postgres@postgres/postgres",
                Some("postgres"),
            ),
            ("URL", "postgres://db:5432@elsewhere/x", None),
            ("URL", "jdbc:postgresql://db/x", Some("db")),
            ("DSN", "user=postgres host=db port=5432", Some("db")),
            ("DB_HOST", "db", Some("db")),
            ("DB_NAME", "db", None),
            ("BROKERS", "a:1,db:5432", Some("db:5432")),
            ("X", "olddb:5432 db-2:5432 db.x:5432", None),
            ("DRIVER", "postgres", None),
        ] {
            let found = mentions(name, value, &address);
            assert_eq!(found.as_deref(), expected, "{value}");
        }
    }
}
