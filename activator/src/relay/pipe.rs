//! The pipe that every relay of the process splices through.
//!
//! Whoever empties it gives it back, so that there is one as long as everybody reads as fast as
//! the other side writes. One that is not empty belongs to its direction.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll, ready},
};

use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::Interest;

use crate::stream::Stream;

thread_local! {
    static SPARE: Cell<Option<Pipe>> = const { Cell::new(None) };
}

/// A non-blocking pipe of the default size, of which an unprivileged user may have a thousand
/// (pipe(7), `pipe-user-pages-soft`). A larger one was not faster.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// An empty pipe; `None` if there is no descriptor left for one.
    pub(super) fn take() -> Option<Self> {
        SPARE.take().or_else(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            Some(Self { read, write })
        })
    }

    /// Takes back a pipe that is empty again.
    pub(super) fn give_back(self) {
        SPARE.set(Some(self));
    }

    /// Moves at most `count` bytes into it, which is empty, without a copy; none at the end.
    pub(super) fn poll_fill(
        &self,
        from: &Stream,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        poll_io(from, cx, Interest::READABLE, || {
            nonblocking(from, &self.write, count)
        })
    }

    /// Moves at most `count` bytes out of it, which holds as many, without a copy.
    pub(super) fn poll_drain(
        &self,
        to: &Stream,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        poll_io(to, cx, Interest::WRITABLE, || {
            nonblocking(&self.read, to, count)
        })
    }
}

fn poll_io(
    stream: &Stream,
    cx: &mut Context<'_>,
    interest: Interest,
    work: impl Fn() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(match (stream, interest) {
            (Stream::Tcp(stream), Interest::READABLE) => stream.poll_read_ready(cx),
            (Stream::Tcp(stream), _) => stream.poll_write_ready(cx),
            (Stream::Unix(stream), Interest::READABLE) => stream.poll_read_ready(cx),
            (Stream::Unix(stream), _) => stream.poll_write_ready(cx),
        })?;
        let done = match stream {
            Stream::Tcp(stream) => stream.try_io(interest, &work),
            Stream::Unix(stream) => stream.try_io(interest, &work),
        };
        if !would_block(&done) {
            return Poll::Ready(done);
        }
    }
}

/// splice(2), one of whose ends is a pipe. Without `SPLICE_F_MORE`, which would hold back the end
/// of a message until there is more.
fn nonblocking(from: impl AsFd, to: impl AsFd, count: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(splice(from, None, to, None, count, flags)?)
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
