//! The bytes around a question to the kernel and around its answers: netlink(7), rtnetlink(7).
//!
//! All numbers are in the machine's own byte order. Must not know what is asked.

use rustix::io::Errno;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// The message types: `NLMSG_ERROR`, `NLMSG_DONE` and `SOCK_DIAG_BY_FAMILY`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// How many sockets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that the request describes.
    One,
    /// All that match it: `NLM_F_DUMP`.
    All,
}

/// A request to tell something of sockets.
pub(super) fn request(which: Which, body: &[u8]) -> Vec<u8> {
    let flags = match which {
        Which::One => REQUEST,
        Which::All => REQUEST | 0x300,
    };
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence number and port: nothing else is asked over the same socket.
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// One message of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// What is told of one socket, without the header.
    Socket(&'a [u8]),
    /// The request cannot be answered.
    Error(Errno),
    /// The list is complete.
    Done,
}

/// The messages in one part of an answer. What cannot be read ends them with an error.
#[derive(Debug)]
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(part: &'a [u8]) -> Self {
        Self(part)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let read = message(self.0);
        self.0 = read.map_or(&[], |(_, rest)| rest);
        Some(read.map_or(Message::Error(Errno::BADMSG), |(message, _)| message))
    }
}

/// The first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..length)?;
    // The length does not say how far the next one is aligned.
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    let message = match u16_at(bytes, 4)? {
        BY_FAMILY => Message::Socket(body),
        // Both begin with a negative error number; none is 0.
        kind @ (ERROR | DONE) => match i32::from_ne_bytes(array_at(body, 0)?) {
            0 if kind == DONE => Message::Done,
            number => Message::Error(Errno::from_raw_os_error(number.checked_neg()?)),
        },
        _ => return None,
    };
    Some((message, rest))
}

/// The value of an attribute (`struct rtattr`) among those in `bytes`.
pub(super) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        if u16_at(rest, 2)? == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_ne_bytes)
}

/// The bytes of a field.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the kernel writes it.
    fn framed(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = request(Which::One, body);
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// An attribute as the kernel writes it.
    pub(in crate::diag) fn encoded(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_part_of_a_list_is_read_to_its_end() {
        let part = [
            framed(BY_FAMILY, b"one"),
            framed(BY_FAMILY, b"two2"),
            framed(DONE, &[0; 4]),
        ];
        assert_eq!(
            Messages::new(&part.concat()).collect::<Vec<_>>(),
            [
                Message::Socket(b"one"),
                Message::Socket(b"two2"),
                Message::Done
            ]
        );
    }

    #[test]
    fn an_error_is_told_whatever_carries_it() {
        for kind in [ERROR, DONE] {
            let part = framed(kind, &(-2_i32).to_ne_bytes());
            assert_eq!(
                Messages::new(&part).collect::<Vec<_>>(),
                [Message::Error(Errno::NOENT)]
            );
        }
    }

    #[test]
    fn an_attribute_is_found_behind_others() {
        let attributes = [encoded(6, b"x"), encoded(0, b"/a\0"), encoded(4, &[1; 8])].concat();
        assert_eq!(attribute(&attributes, 0), Some(&b"/a\0"[..]));
        assert_eq!(attribute(&attributes, 4), Some(&[1; 8][..]));
        assert_eq!(attribute(&attributes, 5), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(
            bytes in proptest::collection::vec(0..40_u8, 0..200),
        ) {
            assert!(Messages::new(&bytes).count() <= bytes.len());
            attribute(&bytes, 1);
        }
    }
}
