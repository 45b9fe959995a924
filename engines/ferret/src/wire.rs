//! The messages of the MongoDB wire protocol, as far as a driver says or hears any. It must not know
//! what is told.

use std::io::{self, ErrorKind, Read};

use bson::{Document, RawDocument, RawDocumentBuf, rawdoc};

/// The length, the number of the message, that of the one it answers, and what kind it is.
const HEADER: usize = 16;

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

/// `maxMessageSizeBytes` of a server.
const LONGEST: usize = 48_000_000;

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The number of its message.
    id: i32,
    /// Whether it came as `OP_QUERY`, as the first one of a connection may.
    query: bool,
    /// The first key, which is what the command is called.
    pub(crate) name: String,
}

/// A command as a client sends it.
pub(crate) fn command(document: &RawDocument) -> Vec<u8> {
    message(0, OP_MSG, &[0; 5], document.as_bytes())
}

impl Command {
    /// Waits for the next one.
    ///
    /// # Errors
    /// If the client is gone, or speaks something else.
    pub(crate) fn read(client: &mut impl Read) -> io::Result<Self> {
        let mut header = [0; HEADER];
        client.read_exact(&mut header)?;
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|it| it.try_into().ok());
            bytes.map_or(0, i32::from_le_bytes)
        };
        let length = usize::try_from(number(0)).unwrap_or(0);
        if !(HEADER..=LONGEST).contains(&length) {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut body = Vec::new();
        let rest = length - HEADER;
        client.take(rest as u64).read_to_end(&mut body)?;
        if body.len() < rest {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let query = match number(12) {
            OP_MSG => false,
            OP_QUERY => true,
            _ => return Err(ErrorKind::InvalidData.into()),
        };
        let document = if query { queried(&body) } else { told(&body) };
        let name = document.and_then(first_key);
        Ok(Self {
            id: number(4),
            query,
            name: name.ok_or(ErrorKind::InvalidData)?,
        })
    }

    /// The answer, in the form in which it was asked for.
    ///
    /// # Errors
    /// If the document cannot be written.
    pub(crate) fn answer(&self, document: &Document) -> Result<Vec<u8>, bson::error::Error> {
        let document = document.to_vec()?;
        Ok(if self.query {
            // Flags, the cursor, where it begins, and how many documents follow.
            let mut before = [0; 20];
            if let Some(count) = before.last_chunk_mut() {
                *count = 1_i32.to_le_bytes();
            }
            message(self.id, OP_REPLY, &before, &document)
        } else {
            message(self.id, OP_MSG, &[0; 5], &document)
        })
    }
}

fn message(answers: i32, kind: i32, before: &[u8], document: &[u8]) -> Vec<u8> {
    let length = HEADER + before.len() + document.len();
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    let mut bytes = Vec::new();
    for number in [length, 1, answers, kind] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(before);
    bytes.extend(document);
    bytes
}

/// The document of an `OP_MSG`: that of the section of kind 0. Sections of kind 1 may come before it.
fn told(body: &[u8]) -> Option<&[u8]> {
    let mut rest = body.get(4..)?;
    loop {
        let (kind, section) = rest.split_first()?;
        if *kind == 0 {
            return Some(section);
        }
        let length = i32::from_le_bytes(*section.first_chunk()?);
        rest = section.get(usize::try_from(length).ok().filter(|it| *it >= 4)?..)?;
    }
}

/// The document of an `OP_QUERY`, behind its flags, the name of the collection and two numbers.
fn queried(body: &[u8]) -> Option<&[u8]> {
    let rest = body.get(4..)?;
    let name = rest.iter().position(|byte| *byte == 0)?;
    rest.get(name + 1 + 8..)
}

fn first_key(bytes: &[u8]) -> Option<String> {
    let length = usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let document = RawDocument::from_bytes(bytes.get(..length)?).ok()?;
    let (name, _) = document.into_iter().next()?.ok()?;
    Some(name.to_string())
}

/// A command that the server asks its database about.
pub(crate) fn ping() -> RawDocumentBuf {
    rawdoc! { "ping": 1, "$db": "admin" }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Command> {
        Command::read(&mut &*bytes)
    }

    #[test]
    fn a_command_is_heard_in_both_forms_and_answered_in_its_own() {
        let sent = command(&ping());
        let heard = read(&sent).unwrap();
        assert_eq!((heard.name.as_str(), heard.query), ("ping", false));
        let answer = heard.answer(&doc! { "ok": 1.0 }).unwrap();
        assert_eq!(answer[8..12], 1_i32.to_le_bytes(), "it answers message 1");
        assert_eq!(read(&answer).unwrap().name, "ok");

        let document = doc! { "isMaster": 1 }.to_vec().unwrap();
        let before = [&[0; 4][..], b"admin.$cmd\0", &[0; 8]].concat();
        let heard = read(&message(0, OP_QUERY, &before, &document)).unwrap();
        assert_eq!((heard.name.as_str(), heard.query), ("isMaster", true));
        let answer = heard.answer(&doc! { "ok": 1.0 }).unwrap();
        assert_eq!(answer[12..16], OP_REPLY.to_le_bytes());
        assert_eq!(answer[32..36], 1_i32.to_le_bytes(), "one document");
    }

    #[test]
    fn documents_before_the_command_are_passed_over() {
        let document = doc! { "insert": "carts" }.to_vec().unwrap();
        let before = [&[0; 4][..], &[1, 6, 0, 0, 0, b'x', 0, 0]].concat();
        let heard = read(&message(0, OP_MSG, &before, &document)).unwrap();
        assert_eq!(heard.name, "insert");
    }

    #[test]
    fn what_is_no_command_is_an_error() {
        let good = command(&ping());
        for cut in 0..good.len() {
            read(&good[..cut]).unwrap_err();
        }
        for at in [0, 12, 20, 21] {
            let mut bad = good.clone();
            bad[at] = 0xff;
            read(&bad).unwrap_err();
        }
        let loops = message(0, OP_MSG, &[0, 0, 0, 0, 1, 0, 0, 0, 0], &[]);
        read(&loops).unwrap_err();
    }
}
