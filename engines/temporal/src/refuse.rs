//! Telling a client why it cannot be served: the first call of a worker fails with status
//! UNAVAILABLE, a browser gets a page with status 503. It must not know what the reasons are.

use std::io::{self, Read, Write};

use doze_driver::{Client, Refusal, http};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    frame::{HEAD, PAYLOAD_MAX, PREFACE, field, flag, frame, kind},
    grpc,
};

/// UNAVAILABLE: try again later, which clients of Temporal do by themselves for a while.
const UNAVAILABLE: &str = "14";

/// What a message of gRPC may not have as it is, besides what is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The longest message, in bytes: common clients take 8 KiB of header fields in all.
const MESSAGE_MAX: usize = 4096;

pub(crate) fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    let said = http::head(client)?;
    let line = PREFACE.split(|byte| *byte == b'\n').next();
    if line.is_some_and(|line| said.starts_with(line)) {
        let mut talk = said.chain(client);
        return answer(refusal, &mut talk);
    }
    client.write_all(&http::answer(refusal))
}

/// Answers the first call. The next one is for another connection, which may be served.
fn answer(refusal: &Refusal, talk: &mut io::Chain<&[u8], &mut Client>) -> io::Result<()> {
    talk.read_exact(&mut [0; PREFACE.len()])?;
    say(talk, &frame(kind::SETTINGS, 0, 0, &[]))?;
    loop {
        let Frame {
            kind,
            flags,
            stream,
            payload,
        } = Frame::read(talk)?;
        let answered = |flag| flags & flag != 0;
        match kind {
            kind::SETTINGS | kind::PING if !answered(flag::ACK) => {
                let copy: &[u8] = if kind == kind::PING { &payload } else { &[] };
                say(talk, &frame(kind, flag::ACK, 0, copy))?;
            }
            kind::HEADERS | kind::CONTINUATION if answered(flag::END_HEADERS) => {
                return say(talk, &no(stream, &refusal.one_line()));
            }
            kind::GOAWAY => return Ok(()),
            _ => {}
        }
    }
}

fn say(talk: &mut io::Chain<&[u8], &mut Client>, bytes: &[u8]) -> io::Result<()> {
    let (_, client) = talk.get_mut();
    client.write_all(bytes)
}

/// A frame of a client, as far as it matters.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let [high, middle, low, kind, flags, a, b, c, d] = head;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > PAYLOAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        Ok(Self {
            kind,
            flags,
            stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
            payload,
        })
    }
}

/// The end of a call, and of the connection: calls on later streams were not begun.
fn no(stream: u32, line: &str) -> Vec<u8> {
    let fields = [
        field(":status", "200"),
        field("content-type", grpc::CONTENT_TYPE),
        field(grpc::STATUS, UNAVAILABLE),
        field(grpc::MESSAGE, &message(line)),
    ];
    let end = flag::END_HEADERS | flag::END_STREAM;
    let no_error = 0_u32;
    let gone = [stream.to_be_bytes(), no_error.to_be_bytes()];
    [
        frame(kind::HEADERS, end, stream, &fields.concat()),
        frame(kind::GOAWAY, 0, 0, &gone.concat()),
    ]
    .concat()
}

/// A line as a message of gRPC, cut where it is too long.
fn message(line: &str) -> String {
    let mut message = String::new();
    for c in line.chars() {
        let escaped = utf8_percent_encode(c.encode_utf8(&mut [0; 4]), ESCAPED).to_string();
        if message.len() + escaped.len() > MESSAGE_MAX {
            break;
        }
        message.push_str(&escaped);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_readable_and_has_an_end() {
        assert_eq!(
            message("no space: 50% größe"),
            "no space: 50%25 gr%C3%B6%C3%9Fe"
        );
        let long = message(&"ß".repeat(MESSAGE_MAX));
        assert!(long.len() <= MESSAGE_MAX && long.ends_with("%9F"), "{long}");
    }
}
