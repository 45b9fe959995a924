//! One client's connection, carried to the engine and back, byte for byte.
//!
//! Every relay of the process reads into one scratch buffer and writes it out at once, so that an
//! idle connection owns no buffer at all and a busy one works in cache. Only what a short write
//! leaves over is kept, and nothing more is read until it is gone: that is the back-pressure.
//! Must not know what the bytes mean.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// The most that one read takes, and the most that a direction keeps.
const SCRATCH: usize = 64 * 1024;

/// Reads of one direction before other connections get their turn.
const TURN: usize = 8;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// A client joined to the engine.
#[derive(Debug)]
pub(crate) struct Relay {
    client: Stream,
    engine: Stream,
    up: Direction,
    down: Direction,
}

impl Relay {
    pub(crate) fn new(client: Stream, engine: Stream) -> Self {
        Self {
            client,
            engine,
            up: Direction::default(),
            down: Direction::default(),
        }
    }

    /// Carries bytes until both sides have said all they had to say. The end of one side is
    /// passed on as just that: the other direction goes on. An error of either side ends both.
    pub(crate) async fn both(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            let up = self.up.poll(&mut self.client, &mut self.engine, cx)?;
            let down = self.down.poll(&mut self.engine, &mut self.client, cx)?;
            if up.is_ready() && down.is_ready() {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Carries what is left of the engine's words to the client, and no more: for an engine that
    /// is gone and will never read again.
    pub(crate) async fn last_words(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.down.poll(&mut self.engine, &mut self.client, cx)).await
    }
}

/// One direction of a relay.
#[derive(Debug, Default)]
struct Direction {
    /// What a short write left over.
    left: Vec<u8>,
    /// How much of it was written since.
    written: usize,
    /// The source has ended.
    ended: bool,
    /// The end was passed on.
    shut: bool,
}

impl Direction {
    fn poll(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            ready!(self.poll_flush(to, cx))?;
            if self.shut {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            ready!(BUFFER.with_borrow_mut(|buffer| self.poll_pass(buffer, from, to, cx)))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and writes as much of it as the destination takes now.
    fn poll_pass(
        &mut self,
        buffer: &mut [u8],
        from: &mut Stream,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        let mut rest = buffer.filled();
        self.ended = rest.is_empty();
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(written) => rest = after(rest, written?)?,
                Poll::Pending => {
                    self.left = rest.to_vec();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .left
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
            after(rest, written)?;
            self.written += written;
        }
        if self.written > 0 {
            // A new Vec, not a cleared one: most connections never need it again.
            self.left = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }
}

/// What is left of `bytes` when `written` of them are gone.
fn after(bytes: &[u8], written: usize) -> io::Result<&[u8]> {
    match bytes.get(written..) {
        Some(rest) if written > 0 => Ok(rest),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

#[cfg(test)]
mod tests;
