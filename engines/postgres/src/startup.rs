//! The packets before a session, as bytes, after chapter 55 of the manual (the frontend/backend
//! protocol). It does no I/O, and must not know why a client is told something.

/// The longest packet before a session, in bytes after its length, as the server has it.
const LONGEST: usize = 10_000;

/// The major number in place of the protocol's that marks a request instead of a session.
const REQUEST: u16 = 1234;

/// What a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// `SSLRequest` or `GSSENCRequest`: may this connection be encrypted?
    Encryption,
    /// `CancelRequest`: stop what another session does. It gets no answer.
    Cancel,
    /// `StartupMessage`, of any protocol 3.
    Startup,
}

/// How many bytes follow the four of a packet's length; absent if no client of Postgres begins
/// so, such as one that starts with TLS at once.
pub(crate) fn length(prefix: [u8; 4]) -> Option<usize> {
    let whole = usize::try_from(u32::from_be_bytes(prefix)).ok()?;
    let rest = whole.checked_sub(prefix.len())?;
    (size_of::<u32>()..=LONGEST).contains(&rest).then_some(rest)
}

/// What a packet is, by the bytes after its length.
pub(crate) fn opening(packet: &[u8]) -> Option<Opening> {
    let (major, rest) = packet.split_first_chunk()?;
    let (minor, _) = rest.split_first_chunk()?;
    match (u16::from_be_bytes(*major), u16::from_be_bytes(*minor)) {
        (REQUEST, 5678) => Some(Opening::Cancel),
        (REQUEST, 5679 | 5680) => Some(Opening::Encryption),
        (3, _) => Some(Opening::Startup),
        _ => None,
    }
}

/// The answer to [`Opening::Encryption`]: no, but go on in the clear.
pub(crate) const NOT_ENCRYPTED: [u8; 1] = *b"N";

/// An `ErrorResponse` that ends the connection, `state` being one of appendix A.
pub(crate) fn fatal(state: &str, message: &str, hint: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, text) in [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', state),
        (b'M', message),
        (b'H', hint),
    ] {
        fields.push(kind);
        fields.extend(text.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(size_of::<u32>() + fields.len()).unwrap_or(u32::MAX);
    [b"E", &length.to_be_bytes()[..], &fields].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_manual() {
        let opening = |code: u32| opening(&code.to_be_bytes());
        assert_eq!(opening(80_877_103), Some(Opening::Encryption));
        assert_eq!(opening(80_877_104), Some(Opening::Encryption));
        assert_eq!(opening(80_877_102), Some(Opening::Cancel));
        assert_eq!(opening(196_608), Some(Opening::Startup));
        assert_eq!(opening(196_610), Some(Opening::Startup));
        for code in [0, 80_877_101, 80_877_105, 131_072, 262_144, u32::MAX] {
            assert_eq!(opening(code), None, "{code}");
        }
        assert_eq!(super::opening(&[0, 3, 0]), None);
    }

    #[test]
    fn a_packet_is_neither_empty_nor_endless() {
        assert_eq!(length(8_u32.to_be_bytes()), Some(4));
        assert_eq!(length(10_004_u32.to_be_bytes()), Some(10_000));
        for whole in [0, 3, 4, 7, 10_005, u32::MAX] {
            assert_eq!(length(whole.to_be_bytes()), None, "{whole}");
        }
        // TLS, HTTP, and a command of Valkey.
        for other in [b"\x16\x03\x01\x02", b"GET ", b"*1\r\n"] {
            assert_eq!(length(*other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn an_error_response_counts_itself_but_not_its_kind() {
        let bytes = fatal("57P03", "a\nü\0b", "");
        assert_eq!(
            bytes,
            "E\0\0\0\u{23}SFATAL\0VFATAL\0C57P03\0Ma\nüb\0H\0\0".as_bytes()
        );
        assert_eq!(bytes.len(), 1 + 0x23);
    }
}
