//! Bytes that another thread makes, a bounded number of chunks ahead of who reads them.
//!
//! Must not know what the bytes are.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

/// The most bytes of a chunk.
const CHUNK: usize = 64 * 1024;

/// Chunks that wait to be read; together with the two at work the memory of a pipe.
const AHEAD: usize = 8;

/// Makes a pipe.
pub(crate) fn pipe() -> (Feeder, Pipe) {
    let (chunks, arriving) = sync_channel(AHEAD);
    let (used, spare) = sync_channel(AHEAD);
    let feeder = Feeder { chunks, spare };
    let pipe = Pipe {
        arriving,
        used,
        chunk: Vec::new(),
        at: 0,
        ended: false,
    };
    (feeder, pipe)
}

/// The end that bytes are put into. Whoever drops it without [`Feeder::finish`] has broken it.
pub(crate) struct Feeder {
    chunks: SyncSender<io::Result<Vec<u8>>>,
    spare: Receiver<Vec<u8>>,
}

impl Feeder {
    /// Moves bytes until the reader ends, fails, or nobody wants them any more; only the first of
    /// these is a success.
    pub(crate) fn feed(&self, reader: &mut impl Read) -> io::Result<()> {
        loop {
            let mut chunk = self.spare.try_recv().unwrap_or_default();
            chunk.resize(CHUNK, 0);
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    chunk.truncate(count);
                    self.put(Ok(chunk))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the reader know how it ended. A reader that has gone has no wish to.
    pub(crate) fn finish(self, result: io::Result<()>) {
        drop(self.put(result.map(|()| Vec::new())));
    }

    fn put(&self, chunk: io::Result<Vec<u8>>) -> io::Result<()> {
        let gone = |_| io::ErrorKind::BrokenPipe.into();
        self.chunks.send(chunk).map_err(gone)
    }
}

/// The end that is read.
#[derive(Debug)]
pub(crate) struct Pipe {
    arriving: Receiver<io::Result<Vec<u8>>>,
    used: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Pipe {
    /// Waits until a read would not block; no is said when the time is over.
    pub(crate) fn ready(&mut self, patience: Duration) -> io::Result<bool> {
        if self.at < self.chunk.len() || self.ended {
            return Ok(true);
        }
        match self.arriving.recv_timeout(patience) {
            Ok(message) => self.take(message).map(|()| true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(broken()),
        }
    }

    fn take(&mut self, message: io::Result<Vec<u8>>) -> io::Result<()> {
        let used = std::mem::replace(&mut self.chunk, message?);
        // A second that is spare already needs no third.
        drop(self.used.try_send(used));
        self.at = 0;
        self.ended = self.chunk.is_empty();
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.ended {
            let message = self.arriving.recv().map_err(|_| broken())?;
            self.take(message)?;
        }
        let mut rest = self.chunk.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

fn broken() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
        let (feeder, mut pipe) = pipe();
        let mut got = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let result = feeder.feed(&mut sent.as_slice());
                feeder.finish(result);
            });
            pipe.read_to_end(&mut got).unwrap();
        });
        assert!(got == sent);
    }

    #[test]
    fn a_feeder_that_vanishes_is_no_end() {
        let (feeder, mut pipe) = pipe();
        feeder.feed(&mut b"half".as_slice()).unwrap();
        drop(feeder);
        let mut got = Vec::new();
        let error = pipe.read_to_end(&mut got).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_reader_that_vanishes_stops_the_feeder() {
        let (feeder, pipe) = pipe();
        drop(pipe);
        let error = feeder.feed(&mut io::repeat(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
