//! Telling a client why it cannot be served, in place of the greeting that it waits for. It must
//! not know what the reasons are.

use std::io::{self, Write};

use doze_driver::Refusal;

/// `ER_CON_COUNT_ERROR`, with the SQLSTATE of a connection that was rejected. It is the one that
/// clients take for a matter of this moment.
const CODE: u16 = 1040;
const STATE: &[u8] = b"#08004";

/// More is cut off: clients have room for `MYSQL_ERRMSG_SIZE` bytes.
const LONGEST: usize = 500;

pub(crate) fn refuse(refusal: &Refusal, client: &mut impl Write) -> io::Result<()> {
    client.write_all(&packet(&refusal.one_line()))
}

/// An `ERR_Packet` that is the first of the connection.
fn packet(message: &str) -> Vec<u8> {
    let message = message.get(..message.floor_char_boundary(LONGEST));
    let payload = [
        &[0xff],
        CODE.to_le_bytes().as_slice(),
        STATE,
        message.unwrap_or_default().as_bytes(),
    ]
    .concat();
    // It is far too short for the fourth byte, which is the number of the packet.
    let header = u32::try_from(payload.len()).unwrap_or_default();
    [header.to_le_bytes().as_slice(), &payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_packet_that_tells_its_length() {
        assert_eq!(
            packet("no space"),
            b"\x11\0\0\0\xff\x10\x04#08004no space".to_vec()
        );
        let long = packet(&format!("x{}", "ü".repeat(400)));
        assert_eq!(long[..4], 508_u32.to_le_bytes());
        assert!(
            String::from_utf8(long[13..].to_vec())
                .unwrap()
                .ends_with('ü')
        );
    }
}
