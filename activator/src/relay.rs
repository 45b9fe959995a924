//! One client's connection, carried to the engine and back, byte for byte.
//!
//! Messages are copied: every relay of the process reads into one scratch buffer and writes it out
//! at once, so that an idle connection owns no buffer at all and a busy one works in cache. What
//! comes from TCP in large pieces is spliced through a pipe that is shared in the same way, which
//! takes up to half of the processor time off a copy. (From a unix socket it takes as much.) Only
//! what a short write leaves over is kept, and nothing more is read until it is gone: that is the
//! back-pressure. Must not know what the bytes mean.

#[cfg_attr(target_os = "macos", path = "macos/pipe.rs")]
mod pipe;

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use self::pipe::Pipe;
use crate::stream::Stream;

/// The most that one copy takes.
const SCRATCH: usize = 64 * 1024;

/// A read of so much from TCP is followed by a splice, and a smaller splice by a copy.
const LARGE: usize = 32 * 1024;

/// So little is written only when every other connection had its turn to read. Whoever gets it is
/// then woken once for the messages of many connections, and not for each.
const SMALL: usize = 128;

/// Reads of one direction before other connections get their turn.
const TURN: usize = 8;

/// How long nothing may move on a connection of which one side has ended. A client that is gone
/// looks like one that only has no more to say until something is sent to it; an answer that
/// takes more than this without a byte is rarer than a leftover that would hold the engine awake
/// for ever.
const HALF_CLOSED: Duration = Duration::from_mins(5);

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
    /// Runs once one side has ended.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Relay {
    pub(crate) fn new(client: Stream, engine: Stream) -> Self {
        Self {
            client,
            engine,
            up: Direction::default(),
            down: Direction::default(),
            patience: None,
        }
    }

    /// Carries bytes until both sides have said all they had to say. The end of one side is
    /// passed on as just that: the other direction goes on, as long as something moves. An error
    /// of either side ends both.
    pub(crate) async fn both(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            let up = self.up.poll(&mut self.client, &mut self.engine, cx)?;
            let down = self.down.poll(&mut self.engine, &mut self.client, cx)?;
            match (up, down) {
                (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                _ => self.poll_patience(cx),
            }
        })
        .await
    }

    /// Carries what is left of the engine's words to the client, and no more: for an engine that
    /// is gone and will never read again.
    pub(crate) async fn last_words(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.down.poll(&mut self.engine, &mut self.client, cx)).await
    }

    /// Ends with an error when nothing has moved for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let moved = mem::take(&mut self.up.moved) | mem::take(&mut self.down.moved);
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED)));
        if moved {
            patience.as_mut().reset(Instant::now() + HALF_CLOSED);
        }
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// One direction of a relay.
#[derive(Debug, Default)]
struct Direction {
    next: Next,
    left: Left,
    /// Something was read or written since this was last asked.
    moved: bool,
}

/// What a direction does when nothing is left to write.
#[derive(Debug, Default)]
enum Next {
    #[default]
    Copy,
    /// The last read found so much that there is probably more.
    Splice,
    /// The source has ended: pass that on.
    Shut,
    Rest,
}

impl Next {
    fn after_read(from: &Stream, count: usize) -> Self {
        match (count, from) {
            (0, _) => Self::Shut,
            (LARGE.., Stream::Tcp(_)) => Self::Splice,
            _ => Self::Copy,
        }
    }
}

/// What was read and not written yet.
#[derive(Debug, Default)]
enum Left {
    #[default]
    Nothing,
    /// These bytes without the first so many.
    Copied(Box<[u8]>, usize),
    /// So many bytes in the pipe.
    Spliced(Pipe, usize),
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
            match self.next {
                Next::Copy => {
                    ready!(BUFFER.with_borrow_mut(|buffer| self.poll_copy(buffer, from, to, cx)))?;
                }
                Next::Splice => ready!(self.poll_splice(from, cx))?,
                Next::Shut => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.next = Next::Rest;
                }
                Next::Rest => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, and writes as much of it as the destination takes now.
    fn poll_copy(
        &mut self,
        buffer: &mut [u8],
        from: &mut Stream,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
        let mut rest = buffer.filled();
        self.next = Next::after_read(from, rest.len());
        self.moved = true;
        if (1..=SMALL).contains(&rest.len()) {
            self.left = Left::Copied(rest.into(), 0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(written) => rest = after(rest, written?)?,
                Poll::Pending => {
                    self.left = Left::Copied(rest.into(), 0);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once into the pipe.
    fn poll_splice(&mut self, from: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(pipe) = Pipe::take() else {
            self.next = Next::Copy;
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(read) = pipe.poll_fill(from, SCRATCH, cx) else {
            pipe.give_back();
            return Poll::Pending;
        };
        let count = read?;
        self.next = Next::after_read(from, count);
        self.moved = true;
        self.left = Left::piped(pipe, count);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = match &self.left {
                Left::Nothing => return Poll::Ready(Ok(())),
                Left::Copied(bytes, at) => {
                    let rest = bytes.get(*at..).unwrap_or_default();
                    ready!(Pin::new(&mut *to).poll_write(cx, rest))?
                }
                Left::Spliced(pipe, count) => ready!(pipe.poll_drain(to, *count, cx))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.moved = true;
            self.left = mem::take(&mut self.left).without(written);
        }
    }
}

impl Left {
    fn piped(pipe: Pipe, count: usize) -> Self {
        if count > 0 {
            Self::Spliced(pipe, count)
        } else {
            pipe.give_back();
            Self::Nothing
        }
    }

    /// What remains when so many more bytes are written.
    fn without(self, written: usize) -> Self {
        match self {
            Self::Copied(bytes, at) if at + written < bytes.len() => {
                Self::Copied(bytes, at + written)
            }
            Self::Spliced(pipe, count) => Self::piped(pipe, count.saturating_sub(written)),
            Self::Nothing | Self::Copied(..) => Self::Nothing,
        }
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
