//! Telling a client why it cannot be served, as the answer to its startup. It must not know what
//! the reasons are.

use std::io::{self, ErrorKind, Read, Write};

use doze_driver::Refusal;

use crate::startup::{self, NOT_ENCRYPTED, Opening};

/// `cannot_connect_now` of appendix A: what a server says that is starting or stopping.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// How many packets a client may begin with. One of libpq asks for GSSAPI, then for TLS, then
/// starts in the clear.
const PACKETS: usize = 8;

pub(crate) fn refuse(refusal: &Refusal, client: &mut (impl Read + Write)) -> io::Result<()> {
    for _ in 0..PACKETS {
        match next(client)? {
            Opening::Encryption => client.write_all(&NOT_ENCRYPTED)?,
            Opening::Cancel => return Ok(()),
            Opening::Startup => return client.write_all(&response(refusal)),
        }
    }
    Err(ErrorKind::InvalidData.into())
}

fn response(refusal: &Refusal) -> Vec<u8> {
    let message = format!("doze: {}", refusal.reason);
    let hint = format!("`{}` shows more", refusal.hint);
    startup::fatal(CANNOT_CONNECT_NOW, &message, &hint)
}

fn next(client: &mut impl Read) -> io::Result<Opening> {
    let malformed = || io::Error::from(ErrorKind::InvalidData);
    let mut prefix = [0; 4];
    client.read_exact(&mut prefix)?;
    let mut packet = vec![0; startup::length(prefix).ok_or_else(malformed)?];
    client.read_exact(&mut packet)?;
    startup::opening(&packet).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that says this and keeps what it hears.
    struct Scripted<'a> {
        says: &'a [u8],
        hears: Vec<u8>,
    }

    impl Read for Scripted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Scripted<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.hears.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const SSL: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
    const GSS: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
    const CANCEL: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    const STARTUP: &[u8] = b"\0\0\0\x11\0\x03\0\0user\0me\0\0";

    /// What a client hears that says these packets.
    fn heard(packets: &[&[u8]]) -> (io::Result<()>, Vec<u8>) {
        let says = packets.concat();
        let mut client = Scripted {
            says: &says,
            hears: Vec::new(),
        };
        let refusal = Refusal {
            reason: String::from("no space\nleft"),
            hint: String::from("doze logs app"),
        };
        (refuse(&refusal, &mut client), client.hears)
    }

    #[test]
    fn a_client_is_told_after_all_it_asks_before() {
        let told = response(&Refusal {
            reason: String::from("no space\nleft"),
            hint: String::from("doze logs app"),
        });
        for before in [&[][..], &[SSL], &[GSS], &[GSS, SSL], &[SSL, SSL, SSL]] {
            let (outcome, heard) = heard(&[before, &[STARTUP]].concat());
            outcome.unwrap();
            assert_eq!(heard, [vec![b'N'; before.len()], told.clone()].concat());
        }
    }

    #[test]
    fn a_cancel_request_gets_no_answer() {
        let (outcome, heard) = heard(&[SSL, CANCEL]);
        outcome.unwrap();
        assert_eq!(heard, b"N");
    }

    #[test]
    fn what_is_no_startup_ends_the_connection() {
        for (packets, answer) in [
            (&[SSL; 9][..], &b"NNNNNNNN"[..]),
            (&[b"\x16\x03\x01\x02\0\x01"], b""),
            (&[b"\0\0\x27\x15\0\x03\0\0"], b""),
            (&[b"\0\0\0\x04"], b""),
            (&[b"\0\0\0\x08\0\x02\0\0"], b""),
            (&[SSL, &STARTUP[..9]], b"N"),
            (&[], b""),
        ] {
            let (outcome, heard) = heard(packets);
            outcome.unwrap_err();
            assert_eq!(heard, answer, "{packets:?}");
        }
    }
}
