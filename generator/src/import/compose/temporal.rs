//! What the variables and the command of a Temporal service are in a `[temporal.NAME]` block.

use serde_json::{Value as Json, json};

use super::service::Service;
use crate::import::{Note, literal};

/// The port of the page, unless another is said.
const UI_PORT: u16 = 8233;

const OWN_FILE: &str = "it keeps everything in a file of its own here";

/// What variables begin with that are about the database behind a server.
const DATABASE: [&str; 10] = [
    "BIND_ON_IP",
    "CASSANDRA_",
    "DB",
    "ENABLE_ES",
    "ES_",
    "MYSQL_",
    "POSTGRES_",
    "SKIP_DB_CREATE",
    "SKIP_SCHEMA_SETUP",
    "VISIBILITY_",
];

pub(super) fn translate(service: &mut Service<'_>) {
    let name = service.environment.take_any(&["DEFAULT_NAMESPACE"]);
    let retention = service
        .environment
        .take_any(&["DEFAULT_NAMESPACE_RETENTION"]);
    if name.is_some() || retention.is_some() {
        let name = name.map_or_else(|| "default".to_owned(), |name| name.value);
        let declared = match retention {
            // A bare number is one of days.
            Some(days) if days.value.parse::<u32>().is_ok() => {
                json!({ "retention": format!("{}d", days.value) })
            }
            Some(retention) => json!({ "retention": literal(&retention.value) }),
            None => json!({}),
        };
        service.set_below("namespace", &literal(&name), declared);
    }
    if let Some(level) = service.environment.take_any(&["LOG_LEVEL"]) {
        service.set("log_level", json!(literal(&level.value)));
    }
    for (name, why) in [
        (
            "DYNAMIC_CONFIG_FILE_PATH",
            "what that file says belongs into `dynamic_config`",
        ),
        (
            "SKIP_DEFAULT_NAMESPACE_CREATION",
            "the server makes `default` in any case",
        ),
    ] {
        if let Some(variable) = service.environment.take(name) {
            service.block.notes.push(variable.note(why));
        }
    }
    for name in service.environment.values().into_keys() {
        if DATABASE.iter().any(|of| name.starts_with(of))
            && let Some(variable) = service.environment.take(&name)
        {
            service.block.notes.push(variable.note(OWN_FILE));
        }
    }
    for (name, _, line) in std::mem::take(&mut service.depends_on) {
        let at = format!("{}.depends_on", service.block.at);
        let why = format!("it needs no `{name}`: {OWN_FILE}");
        service.block.notes.push(Note::new(line, at, why));
    }
    let inside = command(service);
    page(service, inside);
}

/// `server start-dev --name value …`; returns the port of the page, if it says another.
fn command(service: &mut Service<'_>) -> u16 {
    let mut page = UI_PORT;
    let words = service.command().unwrap_or_default();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            if !matches!(word, "temporal" | "server" | "start-dev") {
                let why = format!("`{word}` is no word of a development server");
                service.block_note("command", why);
            }
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, words.next_if(|next| !next.starts_with('-'))),
        };
        match (name, value) {
            // Where the instance listens, and where its data is, is not for the container to say.
            ("ip" | "ui-ip" | "db-filename" | "headless", _) => {}
            ("port", Some(port)) => service.inner_port = port.parse().ok(),
            ("ui-port", Some(port)) => page = port.parse().unwrap_or(UI_PORT),
            ("namespace" | "n", Some(name)) => {
                service.set_below("namespace", &literal(name), json!({}));
            }
            ("log-level", Some(level)) => service.set("log_level", json!(literal(level))),
            ("dynamic-config-value", Some(pair)) if pair.contains('=') => {
                let (key, value) = pair.split_once('=').unwrap_or_default();
                let value = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
                service.set_below("dynamic_config", key, value);
            }
            _ => {
                let why = format!("`--{name}` has no key here");
                service.block_note("command", why);
            }
        }
    }
    page
}

/// The page is a second port of the container.
fn page(service: &mut Service<'_>, inside: u16) {
    let of_page = |mapping: &super::ports::Mapping| mapping.target == inside;
    let all = std::mem::take(&mut service.mappings);
    let (pages, rest) = all.into_iter().partition::<Vec<_>, _>(of_page);
    service.mappings = rest;
    let mut published = pages.iter().filter_map(|mapping| mapping.published);
    if let Some(port) = published.next() {
        service.set("ui_port", json!(port));
    }
}
