//! Readers that fail by themselves when the bytes are not what they have to be, so that no caller
//! can forget to look.
//!
//! Must not know where the bytes come from.

mod pace;

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

pub use crate::stream::pace::{Pace, Watched};
use crate::{Artefact, Digest};

/// What is wrong with the bytes of a stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// More bytes than there may be.
    #[error("it is longer than the {size} bytes that it may have")]
    TooLong {
        /// What it may have.
        size: u64,
    },
    /// The end comes too early.
    #[error("it ends after {got} of {size} bytes")]
    TooShort {
        /// The bytes that came.
        got: u64,
        /// Those that have to.
        size: u64,
    },
    /// The bytes are other ones.
    #[error("its SHA-256 is {got}, and has to be {expected}")]
    WrongDigest {
        /// The digest of what came.
        got: Digest,
        /// The digest of what has to.
        expected: Digest,
    },
    /// Nothing comes any more.
    #[error("nothing has come for {} s", .0.stretch.as_secs_f32())]
    Stalled(Pace),
    /// So little comes that somebody may want to keep us waiting.
    #[error("less than {} bytes have come within {} s", .0.least, .0.stretch.as_secs_f32())]
    TooSlow(Pace),
}

impl StreamError {
    /// Finds it inside of what a reader has failed with.
    pub fn within(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        Self::other(error)
    }
}

/// Passes on exactly the bytes of an artefact. The last of them are handed out only when the
/// number and the digest of all are right and nothing follows, so who has got them all has the
/// right ones.
#[derive(Debug)]
pub struct Checked<R> {
    inner: R,
    expected: Artefact,
    got: u64,
    hasher: Sha256,
    /// Known when `got` is as it has to be.
    digest: Option<Digest>,
}

impl<R: Read> Checked<R> {
    /// Checks what `inner` gives.
    pub fn new(inner: R, expected: Artefact) -> Self {
        Self {
            inner,
            expected,
            got: 0,
            hasher: Sha256::new(),
            digest: None,
        }
    }

    /// What is to be said at the end, however often it is asked for.
    fn end(&mut self) -> io::Result<()> {
        let Artefact { size, sha256 } = self.expected;
        if self.inner.read(&mut [0])? != 0 {
            self.got = self.got.saturating_add(1);
            return Err(StreamError::TooLong { size }.into());
        }
        let hasher = &mut self.hasher;
        let digest = || Digest::from_hasher(std::mem::take(hasher));
        let got = *self.digest.get_or_insert_with(digest);
        if got != sha256 {
            let expected = sha256;
            return Err(StreamError::WrongDigest { got, expected }.into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.expected.size;
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.digest.is_some() {
            return self.end().map(|()| 0);
        }
        let count = self.inner.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.hasher.update(bytes);
        self.got = self.got.saturating_add(count as u64);
        match self.got {
            got if got > size => return Err(StreamError::TooLong { size }.into()),
            got if got == size => self.end()?,
            got if count == 0 => return Err(StreamError::TooShort { got, size }.into()),
            _ => {}
        }
        Ok(count)
    }
}

/// Passes on at most a number of bytes; one more is an error.
#[derive(Debug)]
pub struct Capped<R> {
    inner: R,
    size: u64,
    left: u64,
}

impl<R> Capped<R> {
    /// Passes on at most `size` bytes of what `inner` gives.
    pub fn new(inner: R, size: u64) -> Self {
        Self::after(inner, size, 0)
    }

    /// Passes on at most `size` bytes less those that came earlier.
    pub fn after(inner: R, size: u64, earlier: u64) -> Self {
        let left = size.saturating_sub(earlier);
        Self { inner, size, left }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let too_long = StreamError::TooLong { size: self.size };
        self.left = self.left.checked_sub(count as u64).ok_or(too_long)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &[u8]) -> Result<Vec<u8>, (Vec<u8>, String)> {
        let expected = Artefact {
            size: expected.len() as u64,
            sha256: Digest::of(expected),
        };
        let mut got = Vec::new();
        match Checked::new(bytes, expected).read_to_end(&mut got) {
            Ok(_) => Ok(got),
            Err(error) => Err((got, error.to_string())),
        }
    }

    #[test]
    fn the_right_bytes_pass() {
        for bytes in [&[][..], b"x", &vec![7; 100_000]] {
            assert_eq!(check(bytes, bytes).unwrap(), bytes);
        }
    }

    #[test]
    fn wrong_bytes_never_pass_as_a_whole() {
        for wrong in [&b"right bytes and more"[..], b"right", b"", b"wrong bytes"] {
            let (got, _) = check(wrong, b"right bytes").unwrap_err();
            assert!(got.len() < 11, "{wrong:?}");
        }
        let error = check(b"right", b"right bytes").unwrap_err().1;
        assert_eq!(error, "it ends after 5 of 11 bytes");
        assert!(check(b"x", b"").is_err());
    }

    #[test]
    fn a_verdict_stays() {
        for wrong in [&b"right bytes and more"[..], b"right", b"wrong bytes"] {
            let expected = Artefact {
                size: 11,
                sha256: Digest::of(b"right bytes"),
            };
            let mut reader = Checked::new(wrong, expected);
            let mut verdict = || {
                let error = reader.read_to_end(&mut Vec::new());
                error.unwrap_err().to_string()
            };
            assert_eq!(verdict(), verdict());
        }
    }

    #[test]
    fn an_endless_stream_ends() {
        let mut got = Vec::new();
        let error = Capped::new(io::repeat(1), 1000).read_to_end(&mut got);
        let error = StreamError::within(error.unwrap_err()).unwrap();
        assert!(matches!(error, StreamError::TooLong { size: 1000 }));
        let mut reader = Capped::new(&[1; 1000][..], 1000);
        assert_eq!(reader.read_to_end(&mut got).unwrap(), 1000);
    }
}
