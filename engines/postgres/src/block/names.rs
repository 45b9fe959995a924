//! What the names and texts of what is in a server may be. It must not know the keys.

use crate::plan::SUPERUSER;

const RESERVED: &str = "is a name that PostgreSQL keeps to itself";

/// A role that we make.
pub(super) fn role(text: &str) -> Result<(), String> {
    group(text)?;
    if text.starts_with("pg_") {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

/// Likewise, with attributes.
pub(super) fn declared_role(text: &str) -> Result<(), String> {
    role(text)?;
    if text == SUPERUSER {
        Err("is the superuser, whom doze needs as it is".to_owned())
    } else {
        Ok(())
    }
}

/// A role that need not be ours, such as `pg_monitor`.
pub(super) fn group(text: &str) -> Result<(), String> {
    name(text)?;
    if matches!(text, "public" | "none") {
        Err(RESERVED.to_owned())
    } else {
        Ok(())
    }
}

/// A role, or `public`, who is everybody.
pub(super) fn grantee(text: &str) -> Result<(), String> {
    if text == "public" {
        Ok(())
    } else {
        group(text)
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

/// Any name that the server can hold whole.
pub(super) fn name(text: &str) -> Result<(), String> {
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
pub(super) fn password(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty; leave the key out".to_owned())
    } else if text.contains('\0') {
        Err("contains a NUL, which no client can say".to_owned())
    } else {
        Ok(())
    }
}

/// What the server keeps: an empty comment is none to it.
pub(super) fn comment(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty; leave the key out".to_owned())
    } else if text.contains('\0') {
        Err("contains a NUL, which PostgreSQL cannot store".to_owned())
    } else {
        Ok(())
    }
}

/// A day, or a second of it in UTC, after RFC 3339: one spelling of each moment, so that two can be
/// compared.
pub(super) fn moment(text: &str) -> Result<(), String> {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let time = time.strip_suffix('Z');
    let parts = |text: &str, by: char, widths: [usize; 3]| {
        let mut numbers = text.split(by).zip(widths).map(|(part, width)| {
            let plain = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|_| plain)
        });
        let found: Option<[u32; 3]> =
            (|| Some([numbers.next()??, numbers.next()??, numbers.next()??]))();
        found.filter(|_| text.split(by).count() == 3)
    };
    let sound = match (
        parts(day, '-', [4, 2, 2]),
        time.and_then(|time| parts(time, ':', [2, 2, 2])),
    ) {
        (Some([year, month, day]), Some([hour, minute, second])) => {
            let of_month = match month {
                4 | 6 | 9 | 11 => 30,
                2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
                2 => 28,
                _ => 31,
            };
            year > 0
                && (1..=12).contains(&month)
                && (1..=of_month).contains(&day)
                && hour < 24
                && minute < 60
                && second < 60
        }
        _ => false,
    };
    if sound {
        Ok(())
    } else {
        Err("is no moment; write a day, 2030-12-31, or 2030-12-31T23:59:59Z".to_owned())
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
        assert_eq!(grantee("public"), Ok(()));
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

    #[test]
    fn a_moment_has_one_spelling() {
        for right in ["2030-12-31", "2028-02-29", "2030-01-01T23:59:59Z"] {
            assert_eq!(moment(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "infinity",
            "2030-1-1",
            "2030-13-01",
            "2030-02-29",
            "0000-01-01",
            "2030-01-01-01",
            "2030-01-01T",
            "2030-01-01T24:00:00Z",
            "2030-01-01T10:00:00",
            "2030-01-01T10:00:00+02:00",
            "2030-01-01 10:00:00Z",
            "+030-01-01",
            "ü",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
