//! RESP, the protocol that Redis brought into the world and that several engines speak: commands
//! as arrays, so that any bytes survive, errors, and how the clients of it are told where to go. It
//! must not know which engine is behind it.

#[cfg(feature = "conformance")]
mod practice;

use std::{
    io::{self, Write},
    time::Duration,
};

use doze_contract::{Bytes, Endpoint, plan};

use crate::{Client, Refusal, url};

#[cfg(feature = "conformance")]
pub use practice::practice;

/// How long to wait for the first command of a client that is refused; a server itself waits for
/// none when it has too many clients.
const FIRST_COMMAND: Duration = Duration::from_millis(100);

/// The bytes of `words`, a command with its arguments, as a user of this password has to say it.
pub fn as_user(password: Option<&str>, words: &[&str]) -> Bytes {
    let mut bytes = password
        .map(|password| command(&["AUTH", password]))
        .unwrap_or_default();
    bytes.extend(command(words));
    Bytes(bytes)
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// Tells a client why it cannot be served, as the answer to its first command.
///
/// # Errors
/// If the client is gone.
pub fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    client.hear(FIRST_COMMAND)?;
    client.write_all(format!("-ERR {}\r\n", refusal.one_line()).as_bytes())
}

/// A URL as redis-py, go-redis and ioredis read it, with the name of the user and its password;
/// the first two know the form for a unix socket.
pub fn client_url(endpoint: &Endpoint, user: Option<(&str, &str)>) -> String {
    let user = user
        .map(|(name, password)| format!("{name}:{}@", url::encode(password)))
        .unwrap_or_default();
    match endpoint {
        Endpoint::Tcp(address) => format!("redis://{user}{address}/0"),
        Endpoint::Unix(path) => format!("unix://{user}{}?db=0", url::encode_path(path.as_str())),
    }
}

/// The command line client. The password is left out of the arguments, which everybody can read in
/// the process table.
pub fn cli(endpoint: &Endpoint, password: Option<&str>) -> plan::Client {
    let args = match endpoint {
        Endpoint::Tcp(address) => vec![
            "-h".to_owned(),
            address.ip().to_string(),
            "-p".to_owned(),
            address.port().to_string(),
        ],
        Endpoint::Unix(path) => vec!["-s".to_owned(), path.to_string()],
    };
    let password = password.map(|text| ("REDISCLI_AUTH".to_owned(), text.to_owned()));
    plan::Client {
        programs: ["valkey-cli", "redis-cli"].map(str::to_owned).into(),
        args,
        env: password.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_bytes() {
        assert_eq!(
            as_user(Some("ü\r\n"), &["PING"]),
            Bytes::from("*2\r\n$4\r\nAUTH\r\n$4\r\nü\r\n\r\n*1\r\n$4\r\nPING\r\n")
        );
    }

    #[test]
    fn the_client_has_its_password_by_the_environment_alone() {
        let client = cli(&"[::1]:6379".parse().unwrap(), Some("s3cret"));
        assert_eq!(client.args, ["-h", "::1", "-p", "6379"]);
        assert_eq!(client.env["REDISCLI_AUTH"], "s3cret");
        let client = cli(&"unix:/run/a b/c.sock".parse().unwrap(), None);
        assert_eq!(client.args, ["-s", "/run/a b/c.sock"]);
        assert!(client.env.is_empty());
    }

    #[test]
    fn a_url_survives_every_password() {
        let url = |endpoint: &str, user| client_url(&endpoint.parse().unwrap(), user);
        assert_eq!(url("127.0.0.1:6379", None), "redis://127.0.0.1:6379/0");
        assert_eq!(
            url("[::1]:6379", Some(("default", "a@b/%:?#ü"))),
            "redis://default:a%40b%2F%25%3A%3F%23%C3%BC@[::1]:6379/0"
        );
        assert_eq!(
            url("unix:/run/a b/valkey.sock", Some(("", "x y"))),
            "unix://:x%20y@/run/a%20b/valkey.sock?db=0"
        );
    }
}
