//! The pipe that every relay of the process splices through.
//!
//! Whoever empties it gives it back, so that there is one as long as everybody reads as fast as
//! the other side writes. One that is not empty belongs to its direction.

use std::{cell::Cell, os::fd::OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

thread_local! {
    static SPARE: Cell<Option<Pipe>> = const { Cell::new(None) };
}

/// A non-blocking pipe of the default size, of which an unprivileged user may have a thousand
/// (pipe(7), `pipe-user-pages-soft`). A larger one was not faster.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
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
}
