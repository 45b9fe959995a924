//! Bytes of a wire protocol inside a text format.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes that read as text: as JSON they are a string in which whatever is not printable ASCII is
/// escaped as in a Rust byte string (`\r`, `\n`, `\\`, `\"`, `\x00`), so that a person can read
/// `PING\r\n` in a plan and nothing is lost.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

/// An escape that is none, at this byte of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid escape in a byte string at byte {0}")]
pub struct EscapeError(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{self}\"")
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Bytes {
    fn from(bytes: &T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl TryFrom<String> for Bytes {
    type Error = EscapeError;

    fn try_from(text: String) -> Result<Self, EscapeError> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes().enumerate();
        while let Some((at, byte)) = rest.next() {
            if byte != b'\\' {
                bytes.push(byte);
                continue;
            }
            let mut hex = || {
                rest.next()
                    .and_then(|(_, digit)| char::from(digit).to_digit(16))
            };
            bytes.push(match text.as_bytes().get(at + 1) {
                Some(b'x') => {
                    hex();
                    let (high, low) = hex().zip(hex()).ok_or(EscapeError(at))?;
                    u8::try_from(high * 16 + low).map_err(|_| EscapeError(at))?
                }
                Some(escaped) => {
                    rest.next();
                    match escaped {
                        b'r' => b'\r',
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'\\' | b'"' | b'\'' => *escaped,
                        _ => return Err(EscapeError(at)),
                    }
                }
                None => return Err(EscapeError(at)),
            });
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let all = Bytes((0..=255).collect());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), all);
    }

    #[test]
    fn a_command_stays_readable() {
        assert_eq!(Bytes::from("PING\r\n").to_string(), r"PING\r\n");
        assert_eq!(
            Bytes::try_from(String::from(r"\x00\x08R")).unwrap(),
            Bytes::from(b"\0\x08R")
        );
    }

    #[test]
    fn a_broken_escape_is_an_error() {
        for text in [r"\", r"\q", r"\x0", r"\xg0"] {
            assert_eq!(
                Bytes::try_from(String::from(text)),
                Err(EscapeError(0)),
                "{text}"
            );
        }
    }
}
