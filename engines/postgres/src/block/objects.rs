//! The keys of what is in a server, and what its names may be. It must not know how any of it is
//! made.

use doze_driver::block::{Key, Kind};

use super::{setting_name, setting_value};
use crate::plan::SUPERUSER;

/// The keys of a role.
pub(super) const ROLE_KEYS: &[Key] = &[
    Key {
        name: "password",
        kind: Kind::Text {
            default: None,
            rule: password,
        },
        doc: "What the role has to give to log in. Without it nobody is asked.",
    },
    Key {
        name: "login",
        kind: Kind::Flag { default: true },
        doc: "May log in. A group of roles does not.",
    },
    Key {
        name: "superuser",
        kind: Kind::Flag { default: false },
        doc: "May do everything.",
    },
    Key {
        name: "createdb",
        kind: Kind::Flag { default: false },
        doc: "May create databases.",
    },
    Key {
        name: "createrole",
        kind: Kind::Flag { default: false },
        doc: "May create roles.",
    },
    Key {
        name: "replication",
        kind: Kind::Flag { default: false },
        doc: "May replicate the server.",
    },
    Key {
        name: "connection_limit",
        kind: Kind::Number {
            default: -1,
            min: -1,
            max: 262_143,
        },
        doc: "How many connections it may have at the same time; -1 is no limit.",
    },
    Key {
        name: "member_of",
        kind: Kind::Texts { rule: group },
        doc: "The roles that it is a member of.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: &[],
            name: setting_name,
            value: setting_value,
        },
        doc: "Settings that its sessions begin with.",
    },
];

/// The keys of what a role owns.
pub(super) const OWNED_KEYS: &[Key] = &[Key {
    name: "owner",
    kind: Kind::Text {
        default: None,
        rule: role,
    },
    doc: "The role that owns it; without it the owner of the database of the instance.",
}];

const RESERVED: &str = "is a name that PostgreSQL keeps to itself";

pub(super) fn role(text: &str) -> Result<(), String> {
    group(text)?;
    if text.starts_with("pg_") {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn declared_role(text: &str) -> Result<(), String> {
    role(text)?;
    if text == SUPERUSER {
        Err("is the superuser, whom doze needs as it is".to_owned())
    } else {
        Ok(())
    }
}

/// A role that need not be ours, such as `pg_monitor`.
fn group(text: &str) -> Result<(), String> {
    name(text)?;
    if matches!(text, "public" | "none") {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn database(text: &str) -> Result<(), String> {
    name(text)?;
    if matches!(text, "template0" | "template1") {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn schema(text: &str) -> Result<(), String> {
    name(text)?;
    if text.starts_with("pg_") || text == "information_schema" {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn extension(text: &str) -> Result<(), String> {
    name(text)
}

fn name(text: &str) -> Result<(), String> {
    // NAMEDATALEN - 1; a longer name would be cut off.
    const LONGEST: usize = 63;
    let flaw = if text.is_empty() {
        "is empty; leave it out".to_owned()
    } else if text.len() > LONGEST {
        format!("is {} bytes long; a name has at most {LONGEST}", text.len())
    } else if text.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(flaw)
}

/// Whatever a client can say: the server takes every text but the empty one for a password.
fn password(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty; leave the key out".to_owned())
    } else if text.contains('\0') {
        Err("contains a NUL, which no client can say".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_any_text_that_a_role_can_be() {
        for right in ["app", "it's \"a\" $role% \\ü;", &"x".repeat(63)] {
            assert_eq!(role(right), Ok(()), "{right}");
        }
        for wrong in ["", "a\nb", "a\0", "pg_read", "public", &"x".repeat(64)] {
            role(wrong).unwrap_err();
        }
        assert_eq!(role("postgres"), Ok(()));
        declared_role("postgres").unwrap_err();
        assert_eq!(group("pg_monitor"), Ok(()));
    }

    #[test]
    fn the_servers_own_names_are_not_declared() {
        for wrong in ["pg_toast", "information_schema", ""] {
            schema(wrong).unwrap_err();
        }
        assert_eq!(schema("public"), Ok(()));
        database("template1").unwrap_err();
        assert_eq!(database("it's \"mine\""), Ok(()));
    }

    #[test]
    fn a_password_is_any_text_that_a_client_can_say() {
        for right in [" ", "a\nb\t", "it's \"%$\\ü", &"x".repeat(4096)] {
            assert_eq!(password(right), Ok(()));
        }
        for wrong in ["", "s3cret\0"] {
            assert!(!password(wrong).unwrap_err().contains("s3cret"));
        }
    }
}
