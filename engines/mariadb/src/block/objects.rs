//! The keys of what is in a server, and what its names may be. It must not know how any of it is
//! made.

use doze_driver::block::{Key, Kind};

use crate::{privilege, provision::SUPERUSER, structure::ANY_HOST};

/// In place of the name of a database: all of the server.
pub(super) const EVERYWHERE: &str = "*";

/// The keys of a user.
pub(super) const USER_KEYS: &[Key] = &[
    Key {
        name: "password",
        kind: Kind::Text {
            default: None,
            rule: password,
        },
        doc: "What the user has to give to log in. Without it nobody is asked.",
    },
    Key {
        name: "host",
        kind: Kind::Text {
            default: Some(ANY_HOST),
            rule: host,
        },
        doc: "Where the user may come from, as the server sees it, and for it whoever comes through \
              doze is at `localhost`.",
    },
];

/// The keys of a database.
pub(super) const DATABASE_KEYS: &[Key] = &[
    Key {
        name: "character_set",
        kind: Kind::Text {
            default: None,
            rule: character_set,
        },
        doc: "How its text is written; without it, as the instance says.",
    },
    Key {
        name: "collation",
        kind: Kind::Text {
            default: None,
            rule: collation,
        },
        doc: "How its text is compared; without it, as the instance says.",
    },
];

/// The keys of a grant.
pub(super) const GRANT_KEYS: &[Key] = &[
    Key {
        name: "user",
        kind: Kind::Needed {
            example: "app",
            rule: declared_user,
        },
        doc: "Who may do it: a user of the instance.",
    },
    Key {
        name: "privileges",
        kind: Kind::Texts { rule: privilege },
        doc: "What, as `GRANT` of the manual calls it, such as `SELECT`; `ALL` is all of it.",
    },
    Key {
        name: "database",
        kind: Kind::Text {
            default: None,
            rule: database_or_all,
        },
        doc: "In which database; `*` is all of the server. Without it, in that of the instance.",
    },
    Key {
        name: "table",
        kind: Kind::Text {
            default: None,
            rule: name,
        },
        doc: "On which table of it. Without it, on all of them. While there is no such table, there \
              is nothing to grant.",
    },
    Key {
        name: "with_grant_option",
        kind: Kind::Flag { default: false },
        doc: "The user may pass it on.",
    },
];

const RESERVED: &str = "is a name that MariaDB keeps to itself";

/// What `information_schema.CHARACTER_SETS` has.
const CHARACTER_SETS: &[&str] = &[
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850",
    "cp852", "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb2312", "gbk", "geostd8", "greek",
    "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8mb3",
    "utf8mb4",
];

pub(super) fn declared_user(text: &str) -> Result<(), String> {
    text_of_at_most(128, text)?;
    if text == SUPERUSER {
        Err("is the user by whom doze works on the server".to_owned())
    } else if text == "mariadb.sys" || text.eq_ignore_ascii_case("public") {
        Err(RESERVED.to_owned())
    } else if text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') {
        Err("is in quotes, which the server takes off when a client tells it".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn database(text: &str) -> Result<(), String> {
    const OWN: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
    name(text)?;
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(text)) || text.starts_with("#mysql50#") {
        Err(RESERVED.to_owned())
    } else if text == EVERYWHERE {
        Err("stands for all databases".to_owned())
    } else {
        Ok(())
    }
}

fn database_or_all(text: &str) -> Result<(), String> {
    if text == EVERYWHERE {
        Ok(())
    } else {
        database(text)
    }
}

fn name(text: &str) -> Result<(), String> {
    text_of_at_most(64, text)
}

/// What can be kept in the columns of the server's own tables, and comes back from there.
fn text_of_at_most(longest: usize, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    let flaw = if text.is_empty() {
        "is empty; leave it out".to_owned()
    } else if length > longest {
        format!("has {length} characters; a name has at most {longest}")
    } else if text.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else if text.chars().any(|c| u32::from(c) > 0xffff) {
        "contains a character above U+FFFF, which no name can hold".to_owned()
    } else if text.ends_with(' ') {
        "ends with a space, which the server would cut off".to_owned()
    } else {
        return Ok(());
    };
    Err(flaw)
}

fn host(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b'\'' && b != b'\\';
    if text.is_empty() || text.len() > 255 || !text.bytes().all(plain) {
        Err("is no host; it is `%`, `localhost` or an address".to_owned())
    } else {
        Ok(())
    }
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

fn privilege(text: &str) -> Result<(), String> {
    match privilege::find(text) {
        Some(_) => Ok(()),
        None if text.eq_ignore_ascii_case(privilege::GRANT_OPTION) => {
            Err("is a key of the grant: `with_grant_option = true`".to_owned())
        }
        None => Err("is no privilege; write one that `GRANT` of the manual has".to_owned()),
    }
}

pub(super) fn character_set(text: &str) -> Result<(), String> {
    if CHARACTER_SETS.contains(&text) {
        Ok(())
    } else if text == "utf8" {
        Err("is utf8mb3 or utf8mb4, as the server is set; write one of them".to_owned())
    } else {
        Err("is no character set of MariaDB".to_owned())
    }
}

pub(super) fn collation(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(())
    } else {
        Err("is not the name of a collation".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_any_text_that_the_server_can_keep() {
        for right in ["app", "it's \"a\" `b` $x% \\ü; 日", &"ü".repeat(64), "root"] {
            assert_eq!(database(right), Ok(()), "{right}");
            assert_eq!(declared_user(right), Ok(()), "{right}");
        }
        for wrong in ["", "a\nb", "a\0", "a ", "🦀", &"x".repeat(129)] {
            database(wrong).unwrap_err();
            declared_user(wrong).unwrap_err();
        }
    }

    #[test]
    fn the_servers_own_names_are_not_declared() {
        for wrong in ["mysql", "Information_Schema", "sys", "#mysql50#x", "*"] {
            database(wrong).unwrap_err();
        }
        for wrong in ["doze", "mariadb.sys", "PUBLIC", "'a'"] {
            declared_user(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_password_is_any_text_that_a_client_can_say() {
        for right in [" ", "a\nb\t", "it's \"%$\\ü🦀", &"x".repeat(4096)] {
            assert_eq!(password(right), Ok(()));
        }
        for wrong in ["", "s3cret\0"] {
            assert!(!password(wrong).unwrap_err().contains("s3cret"));
        }
    }

    #[test]
    fn a_host_is_as_the_server_keeps_it() {
        for right in [
            "%",
            "localhost",
            "127.0.0.1",
            "::1",
            "10.0.0.0/255.0.0.0",
            "%.example",
        ] {
            assert_eq!(host(right), Ok(()), "{right}");
        }
        for wrong in ["", "Localhost", "a b", "x'", "ü"] {
            host(wrong).unwrap_err();
        }
    }
}
