//! Passwords as the server keeps them for `mysql_native_password`: the digest of a digest, with
//! which nobody can log in, so that the password itself is in no statement. It must not know any
//! user.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// The plugin that every client knows.
pub(crate) const PLUGIN: &str = "mysql_native_password";

/// A password, which no message shows.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The `authentication_string` of a password; empty for none.
pub(crate) fn hash(password: Option<&str>) -> String {
    let Some(password) = password else {
        return String::new();
    };
    hex(Sha1::digest(Sha1::digest(password.as_bytes())))
}

/// A password that nobody can guess.
pub(crate) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    Ok(hex(bytes))
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    let mut text = String::from("*");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_the_server_makes_of_a_password() {
        // SELECT PASSWORD('pw')
        let hash_of_pw = "*D821809F681A40A6E379B50D0463EFAE20BDD122";
        assert_eq!(hash(Some("pw")), hash_of_pw);
        assert_ne!(hash(Some("pw ")), hash_of_pw);
        assert_eq!(hash(None), "");
    }

    #[test]
    fn no_two_passwords_are_the_same() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
