//! What the variables and the command of a `MySQL` or MariaDB service are in a `[mariadb.NAME]`
//! block.

use serde_json::{Value as Json, json};

use super::{environment::Variable, image::Image, service::Service};
use crate::import::literal;

/// Who may do everything on a server of these images.
const ROOT: &str = "root";

pub(super) fn translate(service: &mut Service<'_>, image: &Image) {
    service.wish = take(service, "DATABASE").map(|database| database.value);
    users(service);
    if let Some(set) = take(service, "CHARACTER_SET") {
        setting(service, "character_set_server", &set.value);
    }
    if let Some(collation) = take(service, "COLLATE") {
        setting(service, "collation_server", &collation.value);
    }
    if let Some(port) = take(service, "PORT_NUMBER") {
        service.inner_port = port.value.parse().ok();
    }
    for (variable, why) in [
        (
            service.environment.take("TZ"),
            "the server's time is UTC; the setting `default_time_zone` takes another offset",
        ),
        (
            take(service, "ROOT_HOST"),
            "`host` of a user says that; for the server everybody comes from localhost",
        ),
        (
            take(service, "RANDOM_ROOT_PASSWORD"),
            "there is no `root` unless it is declared",
        ),
        (
            take(service, "INITDB_SKIP_TZINFO"),
            "the server has no names of time zones here",
        ),
        (
            take(service, "AUTO_UPGRADE"),
            "data of another major version is told apart and not opened",
        ),
    ] {
        service
            .block
            .notes
            .extend(variable.map(|variable| variable.note(why)));
    }
    command(service);
    if image.remark.is_some() && service.block.keys.contains_key("settings") {
        service.block_note(
            "command",
            "the settings are those of MySQL; MariaDB does not start with one that it does not know",
        );
    }
}

/// Both images read both names.
fn take(service: &mut Service<'_>, name: &str) -> Option<Variable> {
    let names = ["MARIADB", "MYSQL"].map(|prefix| format!("{prefix}_{name}"));
    let [own, former] = &names;
    service.environment.take_any(&[own, former])
}

fn users(service: &mut Service<'_>) {
    let owner = take(service, "USER");
    let password = take(service, "PASSWORD");
    let root_password = take(service, "ROOT_PASSWORD");
    let open = [
        take(service, "ALLOW_EMPTY_ROOT_PASSWORD"),
        take(service, "ALLOW_EMPTY_PASSWORD"),
        service.environment.take("ALLOW_EMPTY_PASSWORD"),
    ];
    let has_root = root_password.is_some() || open.iter().any(Option::is_some);
    let name = owner.as_ref().map(|owner| owner.value.as_str());
    if has_root && name != Some(ROOT) {
        user(service, ROOT, root_password.as_ref());
        let everything = json!({
            "user": ROOT, "privileges": ["ALL"], "database": "*", "with_grant_option": true,
        });
        service.set("grant", json!([everything]));
    }
    match name {
        Some(name) => {
            user(service, name, password.as_ref());
            service.set("owner", json!(literal(name)));
        }
        None if has_root => service.set("owner", json!(ROOT)),
        None => {}
    }
}

fn user(service: &mut Service<'_>, name: &str, password: Option<&Variable>) {
    let user = match password {
        Some(password) => json!({ "password": literal(&password.value) }),
        None => json!({}),
    };
    service.set_below("user", &literal(name), user);
}

/// `mariadbd --name=value …`.
fn command(service: &mut Service<'_>) {
    let Some(words) = service.command() else {
        return;
    };
    let mut words = words.into_iter().peekable();
    while words
        .next_if(|word| {
            matches!(
                word.rsplit('/').next(),
                Some("mysqld" | "mariadbd" | "docker-entrypoint.sh")
            )
        })
        .is_some()
    {}
    while let Some(word) = words.next() {
        let option = word.strip_prefix("--");
        let with_value = match option.map(|option| option.split_once('=').ok_or(option)) {
            Some(Ok((name, value))) => Some((name, value.to_owned())),
            Some(Err(name)) => words
                .next_if(|next| !next.starts_with('-'))
                .map(|value| (name, value)),
            None => None,
        };
        if let Some((name, value)) = with_value {
            setting(service, &name.replace('-', "_").to_lowercase(), &value);
        } else {
            let why = format!("`{word}` is no setting with a value");
            service.block_note("command", why);
        }
    }
}

/// Writes a setting as a key of the instance where there is one, else below `settings`.
fn setting(service: &mut Service<'_>, name: &str, value: &str) {
    let number = value.parse::<i64>();
    match (name, number) {
        ("port", Ok(port)) => service.inner_port = port.try_into().ok(),
        ("max_connections", Ok(most)) => service.set(name, Json::from(most)),
        ("character_set_server", _) => service.set("character_set", json!(literal(value))),
        ("collation_server", _) if value.contains("_0900_") => {
            let why = format!("`{value}` is a collation of MySQL; it is as MariaDB has it now");
            service.block_note("command", why);
        }
        ("collation_server", _) => service.set("collation", json!(literal(value))),
        (
            "default_authentication_plugin" | "authentication_policy" | "mysql_native_password",
            _,
        ) => {
            let why = format!("`{name}` is for users of MySQL; a user here has a password");
            service.block_note("command", why);
        }
        _ => service.set_below("settings", name, json!(literal(value))),
    }
}
