//! The file that carries an index: who signed it, by which right, and the exact bytes.
//!
//! ```text
//! doze-index 1 NAMESPACE
//! key KEY
//! rotated OLD-KEY SIGNATURE
//! signature SHA256 SIGNATURE
//!
//! PAYLOAD
//! ```
//!
//! There are as many `rotated` lines as the key was rotated, oldest first: each hands over to the
//! key of the next one, the last to `key`. The digest is the payload's; it tells a file put
//! together from two moments from one that somebody changed. All is ASCII but the payload, a line
//! ends in one line feed, and the payload is all that follows the first empty line.
//!
//! What is signed names what it is for, so that no signature can stand in for another:
//! `doze registry index 1\nNAMESPACE\nPAYLOAD`, and for a hand-over
//! `doze registry key 1\nNAMESPACE\n` with the 32 bytes of the old key and those of the new one.
//!
//! Must not know what a payload says.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    Digest, Namespace,
    key::{PublicKey, SecretKey, Signature},
};

/// The format of files that this code writes and reads.
pub const FORMAT: u32 = 1;

/// A key that was rotated, and its signature for the key after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// The old key.
    pub key: PublicKey,
    /// Its signature over the hand-over.
    pub signature: Signature,
}

impl Handover {
    /// The old key says that the new one speaks for the namespace from now on.
    pub fn sign(namespace: &Namespace, old: &SecretKey, new: &PublicKey) -> Self {
        let key = old.public();
        let signature = old.sign(&handover_message(namespace, &key, new));
        Self { key, signature }
    }
}

/// A file of which every signature is right; whether its key is the one to believe is another
/// question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The key that signed the payload.
    pub key: PublicKey,
    /// The keys before it, oldest first.
    pub chain: Vec<Handover>,
    /// What was signed.
    pub payload: &'a [u8],
}

/// Why a file is not a signed index of the namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Something else is served at the address, such as a page for people.
    #[error("what the registry serves as its index is none; check the address of the registry")]
    Foreign,
    /// It was written by a newer doze.
    #[error("the index has format {0} and this doze reads {FORMAT}; upgrade doze")]
    Format(u32),
    /// The index is one of another publisher.
    #[error(
        "the registry serves the index of `{found}` in place of that of `{asked}`; check the \
         address of the registry"
    )]
    OtherNamespace {
        /// What was asked for.
        asked: Namespace,
        /// What the file is for.
        found: Namespace,
    },
    /// The header is not as this module describes it.
    #[error("line {0} of the index is damaged; try again, or use another mirror")]
    Line(usize),
    /// Two lines say the same kind of thing, or one key comes up twice.
    #[error(
        "line {second} of the index repeats `{said}` of line {first}; use another mirror, and tell \
         the publisher"
    )]
    Repeated {
        /// The name of the line, or the key.
        said: String,
        /// The number of the earlier line.
        first: usize,
        /// The number of the later line.
        second: usize,
    },
    /// The signature line is for another payload.
    #[error(
        "the index is broken off, or put together from two: its signature is for other content; \
         try again, or use another mirror"
    )]
    Mixed,
    /// A hand-over was not signed by the key that is said to hand over.
    #[error(
        "the index claims that key {0} was rotated, but that key did not sign it; use another \
         mirror, and tell the publisher"
    )]
    Handover(PublicKey),
    /// The signature is not by the key.
    #[error(
        "the index is not what its publisher signed: key {0} did not sign this content; use another \
         mirror, and tell the publisher"
    )]
    Signature(PublicKey),
}

/// Checks all signatures of a file, and nothing beyond.
pub fn open<'a>(bytes: &'a [u8], namespace: &Namespace) -> Result<Opened<'a>, EnvelopeError> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, rest) = bytes.split_at_checked(end.unwrap_or(0)).unwrap_or_default();
    let head = str::from_utf8(head).map_err(|_| EnvelopeError::Foreign)?;
    let payload = rest.get(2..).unwrap_or_default();

    let mut lines = head.split('\n').enumerate().map(|(at, line)| Line {
        number: at + 1,
        words: line.split(' ').collect(),
    });
    let first = lines.next().ok_or(EnvelopeError::Foreign)?;
    check_first(&first, namespace)?;
    let lines: Vec<_> = lines.collect();
    check_said_once(&lines)?;

    let missing = EnvelopeError::Line(lines.len() + 2);
    let [key, rotated @ .., signature] = lines.as_slice() else {
        return Err(missing);
    };
    let [key] = key.fields("key")?;
    let key: PublicKey = key.read()?;
    let chain: Vec<_> = rotated
        .iter()
        .map(Line::handover)
        .collect::<Result<_, _>>()?;
    let [digest, signature] = signature.fields("signature")?;
    let (digest, signature): (Digest, Signature) = (digest.read()?, signature.read()?);

    if Digest::of(payload) != digest {
        return Err(EnvelopeError::Mixed);
    }
    let successors = chain.iter().skip(1).map(|next| next.key).chain([key]);
    for (old, new) in chain.iter().zip(successors) {
        let message = handover_message(namespace, &old.key, &new);
        if !old.key.verifies(&message, &old.signature) {
            return Err(EnvelopeError::Handover(old.key));
        }
    }
    if !key.verifies(&index_message(namespace, payload), &signature) {
        return Err(EnvelopeError::Signature(key));
    }
    Ok(Opened {
        key,
        chain,
        payload,
    })
}

/// Writes the file. Every hand-over has to be signed for the key that follows.
pub fn seal(namespace: &Namespace, chain: &[Handover], key: &SecretKey, payload: &[u8]) -> Vec<u8> {
    let mut head = format!("doze-index {FORMAT} {namespace}\nkey {}\n", key.public());
    for Handover { key, signature } in chain {
        let line = writeln!(head, "rotated {key} {signature}");
        debug_assert!(line.is_ok(), "a String takes everything");
    }
    let signature = key.sign(&index_message(namespace, payload));
    let digest = Digest::of(payload);
    let mut file = format!("{head}signature {digest} {signature}\n\n").into_bytes();
    file.extend_from_slice(payload);
    file
}

/// One line of the header after the first.
struct Line<'a> {
    number: usize,
    words: Vec<&'a str>,
}

/// One word of a line, which knows where it stands.
struct Field<'a> {
    line: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// The words after the first one, which says what the line is.
    fn fields<const N: usize>(&self, name: &str) -> Result<[Field<'a>; N], EnvelopeError> {
        let damaged = EnvelopeError::Line(self.number);
        let [first, rest @ ..] = self.words.as_slice() else {
            return Err(damaged);
        };
        match <[&str; N]>::try_from(rest) {
            Ok(fields) if *first == name => Ok(fields.map(|text| Field {
                line: self.number,
                text,
            })),
            Ok(_) | Err(_) => Err(damaged),
        }
    }

    fn handover(&self) -> Result<Handover, EnvelopeError> {
        let [key, signature] = self.fields("rotated")?;
        Ok(Handover {
            key: key.read()?,
            signature: signature.read()?,
        })
    }
}

impl Field<'_> {
    fn read<T: std::str::FromStr>(&self) -> Result<T, EnvelopeError> {
        let damaged = |_| EnvelopeError::Line(self.line);
        self.text.parse().map_err(damaged)
    }
}

/// Whether this is the index of the namespace at all, in a format that can be read.
fn check_first(line: &Line<'_>, asked: &Namespace) -> Result<(), EnvelopeError> {
    let ["doze-index", format, rest @ ..] = line.words.as_slice() else {
        return Err(EnvelopeError::Foreign);
    };
    match format.parse() {
        Ok(FORMAT) if *format == FORMAT.to_string() => {}
        Ok(FORMAT) | Err(_) => return Err(EnvelopeError::Line(line.number)),
        Ok(other) => return Err(EnvelopeError::Format(other)),
    }
    let damaged = EnvelopeError::Line(line.number);
    let [found] = rest else {
        return Err(damaged);
    };
    let found = Namespace::new(*found).map_err(|_| damaged)?;
    if found == *asked {
        Ok(())
    } else {
        let asked = asked.clone();
        Err(EnvelopeError::OtherNamespace { asked, found })
    }
}

/// The one place that looks for anything said twice: a line that there may be one of, or a key.
/// Keys have one text each, so texts are compared.
fn check_said_once(lines: &[Line<'_>]) -> Result<(), EnvelopeError> {
    let mut seen = BTreeMap::new();
    for Line { number, words } in lines {
        let said = match words.as_slice() {
            ["rotated", key, ..] => [Some(*key), None],
            ["key", key, ..] => [Some("key"), Some(*key)],
            [name, ..] => [Some(*name), None],
            [] => [None, None],
        };
        for said in said.into_iter().flatten() {
            if let Some(first) = seen.insert(said, *number) {
                return Err(EnvelopeError::Repeated {
                    said: said.to_owned(),
                    first,
                    second: *number,
                });
            }
        }
    }
    Ok(())
}

fn index_message(namespace: &Namespace, payload: &[u8]) -> Vec<u8> {
    let domain = format!("doze registry index {FORMAT}\n{namespace}\n");
    [domain.as_bytes(), payload].concat()
}

fn handover_message(namespace: &Namespace, old: &PublicKey, new: &PublicKey) -> Vec<u8> {
    let domain = format!("doze registry key {FORMAT}\n{namespace}\n");
    [domain.as_bytes(), old.as_bytes(), new.as_bytes()].concat()
}
