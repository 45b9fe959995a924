//! What names of databases, collections, fields and users may be. It must not know the keys.

use bson::Bson;

/// How an index goes through a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
    /// Not by its value: `text`, say.
    Special(&'static str),
}

const SPECIAL: [&str; 4] = ["2d", "2dsphere", "hashed", "text"];

impl Order {
    /// The field that one of the `keys` names, with its order.
    pub(crate) fn read(text: &str) -> (&str, Self) {
        if let Some(field) = text.strip_prefix('-') {
            return (field, Self::Descending);
        }
        if let Some((field, kind)) = text.rsplit_once(": ")
            && let Some(kind) = SPECIAL.into_iter().find(|special| *special == kind)
        {
            return (field, Self::Special(kind));
        }
        (text, Self::Ascending)
    }

    /// As it stands behind the field in the key of an index.
    pub(crate) fn value(self) -> Bson {
        match self {
            Self::Ascending => Bson::Int32(1),
            Self::Descending => Bson::Int32(-1),
            Self::Special(kind) => Bson::String(kind.to_owned()),
        }
    }
}

pub(super) fn order(text: &str) -> Result<(), String> {
    let (field, _) = Order::read(text);
    Err(match field {
        "" => "names no field".to_owned(),
        _ if field.split('.').any(str::is_empty) => "has an empty part between dots".to_owned(),
        _ if field.starts_with('$') => "begins with `$`, as no field does".to_owned(),
        _ if field.contains(char::is_control) => CONTROL.to_owned(),
        _ => return Ok(()),
    })
}

const CONTROL: &str = "contains a control character";

pub(super) fn database(text: &str) -> Result<(), String> {
    within(63, text)?;
    if matches!(text, "admin" | "config" | "local") {
        Err("is a database that the server keeps to itself".to_owned())
    } else if text.contains(['/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|', '?']) {
        Err("contains one of / \\ . \" $ * < > : | ? or a space, as no database does".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn collection(text: &str) -> Result<(), String> {
    within(235, text)?;
    if text.starts_with("system.") {
        Err("is a collection that the server keeps to itself".to_owned())
    } else if text.contains('$') || text.starts_with('.') || text.ends_with('.') {
        Err("contains a `$`, or a dot at an end, as no collection does".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn index(text: &str) -> Result<(), String> {
    within(127, text)?;
    match text {
        "_id_" => Err("is the index that every collection has".to_owned()),
        "*" => Err("stands for all indexes".to_owned()),
        _ => Ok(()),
    }
}

/// A user is a role of the Postgres behind it.
pub(super) fn user(text: &str) -> Result<(), String> {
    within(63, text)?;
    let reserved = matches!(text, "postgres" | "public" | "none");
    if reserved || text.starts_with("pg_") || text.starts_with("documentdb_") {
        Err("is a name that the Postgres behind it keeps to itself".to_owned())
    } else {
        Ok(())
    }
}

fn within(longest: usize, text: &str) -> Result<(), String> {
    Err(match text.len() {
        0 => "is empty".to_owned(),
        long if long > longest => {
            format!("is {long} bytes long; such a name has at most {longest}")
        }
        _ if text.contains(char::is_control) => CONTROL.to_owned(),
        _ => return Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_field_is_read_from_its_ends() {
        for (text, field, value) in [
            ("user", "user", Bson::Int32(1)),
            ("-a.b", "a.b", Bson::Int32(-1)),
            ("it's: a", "it's: a", Bson::Int32(1)),
            ("body: text", "body", Bson::String("text".to_owned())),
            ("a: b: hashed", "a: b", Bson::String("hashed".to_owned())),
        ] {
            let (found, order) = Order::read(text);
            assert_eq!((found, order.value()), (field, value), "{text}");
        }
        for wrong in ["", "-", ": text", "a..b", "$a", "a\n"] {
            order(wrong).unwrap_err();
        }
    }

    #[test]
    fn names_are_those_that_the_server_takes() {
        for right in ["shop", "größe", "it's", "50%", &"x".repeat(63)] {
            assert_eq!(database(right), Ok(()), "{right}");
            assert_eq!(user(right), Ok(()), "{right}");
            assert_eq!(collection(right), Ok(()), "{right}");
        }
        for wrong in ["", "admin", "a b", "a.b", "a\"", "a$", &"x".repeat(64)] {
            database(wrong).unwrap_err();
        }
        for wrong in ["", "system.users", "a$b", ".a", "a\0", &"x".repeat(236)] {
            collection(wrong).unwrap_err();
        }
        for wrong in ["postgres", "pg_x", "documentdb_x", "a\n"] {
            user(wrong).unwrap_err();
        }
        for wrong in ["_id_", "*", ""] {
            index(wrong).unwrap_err();
        }
    }
}
