//! What the variables and the command of a MongoDB or FerretDB service are in a `[ferret.NAME]`
//! block.

use serde_json::json;

use super::{environment::Variable, service::Service};
use crate::import::literal;

/// The variables for a user and the password, of all images.
const USERS: [[&str; 2]; 4] = [
    ["MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"],
    ["MONGODB_ROOT_USER", "MONGODB_ROOT_PASSWORD"],
    ["MONGODB_USERNAME", "MONGODB_PASSWORD"],
    ["POSTGRES_USER", "POSTGRES_PASSWORD"],
];

pub(super) fn translate(service: &mut Service<'_>) {
    for [user, password] in USERS {
        let taken = [user, password].map(|name| service.environment.take_any(&[name]));
        let [user, Some(password)] = taken else {
            let note = |variable: Variable| {
                variable.note("a user here has a password; without a user everybody is served")
            };
            let [user, _] = taken;
            service.block.notes.extend(user.map(note));
            continue;
        };
        // Bitnami's has a name for whoever has none.
        let name = user.map_or_else(|| "root".to_owned(), |user| user.value);
        let declared = json!({ "password": literal(&password.value) });
        service.set_below("user", &literal(&name), declared);
    }
    for (variable, why) in [
        (
            service
                .environment
                .take_any(&["MONGO_INITDB_DATABASE", "MONGODB_DATABASE"]),
            "a database begins with its first document, or a declared collection",
        ),
        (
            service.environment.take_any(&["ALLOW_EMPTY_PASSWORD"]),
            "without a user everybody is served",
        ),
    ] {
        service
            .block
            .notes
            .extend(variable.map(|variable| variable.note(why)));
    }
    flags(service);
    command(service);
}

/// `FERRETDB_LOG_LEVEL` is the flag `log-level`.
fn flags(service: &mut Service<'_>) {
    let names = service.environment.values().into_keys();
    let names: Vec<String> = names.filter(|name| name.starts_with("FERRETDB_")).collect();
    for name in names {
        let Some(variable) = service.environment.take(&name) else {
            continue;
        };
        let flag = name.trim_start_matches("FERRETDB_").to_lowercase();
        service.set_below(
            "settings",
            &flag.replace('_', "-"),
            json!(literal(&variable.value)),
        );
    }
}

/// `mongod --option value …`, of which none has a key here.
fn command(service: &mut Service<'_>) {
    let Some(words) = service.command() else {
        return;
    };
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, words.next_if(|next| !next.starts_with('-'))),
        };
        let port = value.and_then(|value| value.parse().ok());
        match (name, port) {
            ("port", Some(port)) => service.inner_port = Some(port),
            ("replSet", _) => service.block_note(
                "command",
                "there are no replica sets here; take `replicaSet` out of the URLs",
            ),
            _ => {
                let why = format!("`--{name}` of mongod has no key here");
                service.block_note("command", why);
            }
        }
    }
}
