//! The protocol of Valkey (RESP): commands as arrays, so that any bytes survive, and errors. It
//! must not know any command.

use doze_contract::Bytes;

/// The bytes of `command`.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// `command` as a user of this password has to say it.
pub(crate) fn as_user(password: Option<&str>, words: &[&str]) -> Bytes {
    let mut bytes = password
        .map(|password| command(&["AUTH", password]))
        .unwrap_or_default();
    bytes.extend(command(words));
    Bytes(bytes)
}

/// A line as an error reply.
pub(crate) fn error(line: &str) -> Vec<u8> {
    format!("-ERR {line}\r\n").into_bytes()
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
}
