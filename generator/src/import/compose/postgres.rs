//! What the variables and the command of a Postgres service are in a `[postgres.NAME]` block.

use serde_json::{Value as Json, json};

use super::{
    image::{Dialect, Image},
    service::Service,
};
use crate::import::literal;

const USER: [&str; 2] = ["POSTGRES_USER", "POSTGRESQL_USERNAME"];
const PASSWORD: [&str; 2] = ["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"];
const DATABASE: [&str; 2] = ["POSTGRES_DB", "POSTGRESQL_DATABASE"];

pub(super) fn translate(service: &mut Service<'_>, image: &Image) {
    // Either image reads only its own names; the plain ones work with both.
    let names = |names: [&'static str; 2]| match image.dialect {
        Dialect::Plain => names.into_iter().take(1).collect::<Vec<_>>(),
        Dialect::Bitnami => names.to_vec(),
    };
    let user = service.environment.take_any(&names(USER));
    let password = service.environment.take_any(&names(PASSWORD));
    let database = service.environment.take_any(&names(DATABASE));
    let role = user.as_ref().map_or("postgres", |user| user.value.as_str());
    service.wish = Some(match database {
        Some(database) => database.value,
        None => role.to_owned(),
    });
    if let Some(user) = user.as_ref().filter(|user| user.value != "postgres") {
        service.set("owner", json!(literal(role)));
        let why = format!("`{role}` owns the database here, and is no superuser");
        service.block.notes.push(user.note(why));
    }
    if let Some(password) = password {
        if service.has_key("role") {
            let role = json!({ literal(role): { "password": literal(&password.value) } });
            service.set("role", role);
        } else {
            let why = "the driver has no passwords: whoever reaches the address is served";
            service.block.notes.push(password.note(why));
        }
    }
    if !image.extensions.is_empty() {
        let extensions = image.extensions;
        if service.has_key("extensions") {
            service.set("extensions", json!(extensions));
        } else {
            let why = format!(
                "the extension {} of the image has to be installed beside the server, and created \
                 by CREATE EXTENSION",
                extensions.join(", ")
            );
            service.block_note("image", why);
        }
    }
    for variable in ["TZ", "PGTZ"] {
        if let Some(zone) = service.environment.take(variable) {
            setting(service, "timezone", &zone.value);
        }
    }
    for (variable, why) in [
        ("POSTGRES_HOST_AUTH_METHOD", "doze decides who is served"),
        ("PGDATA", "doze decides where the data is"),
    ] {
        if let Some(found) = service.environment.take(variable) {
            service.block.notes.push(found.note(why));
        }
    }
    if let Some(port) = service.environment.take("PGPORT") {
        service.inner_port = port.value.parse().ok();
    }
    command(service);
}

/// `postgres -c name=value …`, and the few short options that people use.
fn command(service: &mut Service<'_>) {
    let Some(words) = service.command() else {
        return;
    };
    let mut words = words.into_iter().peekable();
    words.next_if(|word| {
        matches!(
            word.rsplit('/').next(),
            Some("postgres" | "docker-entrypoint.sh")
        )
    });
    words.next_if(|word| word == "postgres");
    while let Some(word) = words.next() {
        let setting_of = match word.as_str() {
            "-c" => words.next(),
            "-p" => words.next().map(|port| format!("port={port}")),
            "-N" => words.next().map(|most| format!("max_connections={most}")),
            "-B" => words
                .next()
                .map(|memory| format!("shared_buffers={memory}")),
            "-F" => Some("fsync=off".into()),
            word => word
                .strip_prefix("--")
                .or_else(|| word.strip_prefix("-c"))
                .map(ToOwned::to_owned),
        };
        match setting_of.as_deref().and_then(|text| text.split_once('=')) {
            Some(("port", port)) if port.parse::<u16>().is_ok() => {
                service.inner_port = port.parse().ok();
            }
            Some((name, value)) => setting(service, &name.replace('-', "_"), value),
            None => {
                let why = format!("`{word}` is no setting that can be understood");
                service.block_note("command", why);
            }
        }
    }
}

/// Writes a setting as a key of the instance where there is one, else below `settings`.
fn setting(service: &mut Service<'_>, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    let kind = service.kind_of(&name);
    let flag = match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    };
    let own: Option<Json> = match kind.as_deref() {
        Some("boolean") => flag.map(Json::from),
        Some("integer") => value.parse::<i64>().ok().map(Json::from),
        Some("string") => Some(json!(literal(value))),
        Some(_) | None => None,
    };
    match own {
        Some(own) => service.set(&name, own),
        None => service.set_below("settings", &name, json!(literal(value))),
    }
}
