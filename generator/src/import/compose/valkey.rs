//! What the variables and the command of a Redis, Valkey or Kvrocks service are in a
//! `[valkey.NAME]` or `[kvrocks.NAME]` block.

use serde_json::{Value as Json, json};

use super::{
    image::{Dialect, Image},
    service::Service,
};
use crate::import::literal;

pub(super) fn translate(service: &mut Service<'_>, image: &Image) {
    if image.dialect == Dialect::Bitnami {
        let names = ["REDIS_PASSWORD", "VALKEY_PASSWORD"];
        if let Some(password) = service.environment.take_any(&names) {
            service.set("password", json!(literal(&password.value)));
        }
        for name in [
            "ALLOW_EMPTY_PASSWORD",
            "REDIS_PORT_NUMBER",
            "VALKEY_PORT_NUMBER",
        ] {
            let value = service.environment.take(name);
            if let Some(port) = value.and_then(|variable| variable.value.parse().ok()) {
                service.inner_port = Some(port);
            }
        }
    }
    let Some(words) = service.command() else {
        return;
    };
    let mut words = words.as_slice();
    if let Some((program, rest)) = words.split_first()
        && !program.starts_with("--")
    {
        if !matches!(
            program.rsplit('/').next(),
            Some("redis-server" | "valkey-server" | "kvrocks")
        ) {
            let why = format!("`{program}` is not the server; write what it does into the keys");
            service.block_note("command", why);
            return;
        }
        words = rest;
    }
    if let Some(("-c", rest)) = words
        .split_first()
        .map(|(word, rest)| (word.as_str(), rest))
    {
        words = rest;
    }
    if let Some((file, rest)) = words.split_first()
        && !file.starts_with("--")
    {
        let why = format!("the settings in `{file}` belong into the instance's keys");
        service.block_note("command", why);
        words = rest;
    }
    let mut saves: Option<Vec<String>> = None;
    while let Some((option, rest)) = words.split_first() {
        let name = option.trim_start_matches("--").to_ascii_lowercase();
        let end = rest.iter().position(|word| word.starts_with("--"));
        let (values, rest) = rest.split_at(end.unwrap_or(rest.len()));
        words = rest;
        let value = values.join(" ");
        match name.as_str() {
            "port" if value.parse::<u16>().is_ok() => service.inner_port = value.parse().ok(),
            "save" => saves.get_or_insert_default().push(value),
            "requirepass" if value.is_empty() => {}
            "requirepass" => service.set("password", json!(literal(&value))),
            "workers" if service.has_key("workers") => {
                service.set(
                    "workers",
                    value.parse::<i64>().map_or(json!(value), Json::from),
                );
            }
            "maxmemory" => service.set("maxmemory", json!(literal(&value))),
            "maxmemory-policy" => service.set("maxmemory_policy", json!(literal(&value))),
            "appendonly" => service.set("appendonly", Json::from(value == "yes")),
            _ if values.len() == 1 => service.set_below("settings", &name, json!(literal(&value))),
            _ => {
                let why = format!("`--{name}` takes several words, or none, as no key here does");
                service.block_note("command", why);
            }
        }
    }
    if let Some(saves) = saves {
        let points = saves.join(" ");
        let value = if points.trim().is_empty() {
            json!(false)
        } else {
            json!(literal(&points))
        };
        service.set("save", value);
    }
}
