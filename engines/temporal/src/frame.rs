//! What is said of HTTP/2 without a library: frames (RFC 9113 §4), and header fields as they are
//! (RFC 7541 §6.2.2). It must not know what they say.

/// What a client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames that matter here.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(crate) mod flag {
    /// Of SETTINGS and PING.
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
}

/// The length of the head of a frame, in bytes.
pub(crate) const HEAD: usize = 9;

/// The longest payload of a frame that everybody takes, in bytes.
pub(crate) const PAYLOAD_MAX: usize = 16_384;

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(payload.len(), kind, flags, stream).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of a frame. A payload has at most [`PAYLOAD_MAX`] bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the longest payload fits into three bytes"
)]
pub(crate) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    let [a, b, c, d] = stream.to_be_bytes();
    [high, middle, low, kind, flags, a, b, c, d]
}

/// A header field that no table has: neither indexed nor compressed.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(text.len(), &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is cast is less than a byte holds"
)]
fn length(length: usize, bytes: &mut Vec<u8>) {
    const PREFIX: usize = 127;
    if length < PREFIX {
        bytes.push(length as u8);
        return;
    }
    bytes.push(PREFIX as u8);
    let mut rest = length - PREFIX;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_standard() {
        let bytes = |count| {
            let mut bytes = Vec::new();
            length(count, &mut bytes);
            bytes
        };
        assert_eq!(bytes(126), [126]);
        assert_eq!(bytes(127), [127, 0]);
        // RFC 7541 C.1.2 has this with a prefix of five bits.
        assert_eq!(bytes(127 + 1306), [127, 154, 10]);
    }

    #[test]
    fn a_frame_begins_with_its_length_and_its_stream() {
        assert_eq!(
            frame(kind::DATA, flag::END_STREAM, 3, b"abc"),
            b"\0\0\x03\0\x01\0\0\0\x03abc"
        );
        assert_eq!(field("te", "trailers"), b"\0\x02te\x08trailers");
    }
}
