//! When a child has ended: SIGCHLD says that one of them has, and waitid(2) which. Must not know what
//! the child is for, and does not reap it.

use std::{
    io,
    task::{Context, Poll, ready},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Watches for the end of one child.
#[derive(Debug)]
pub(crate) struct Exit {
    child: Pid,
    told: Signal,
    /// It lived when it was last looked at, and nothing was told since.
    lives: bool,
}

impl Exit {
    /// Of a child that nobody has reaped.
    pub(crate) fn of(child: Pid) -> io::Result<Self> {
        Ok(Self {
            child,
            told: signal(SignalKind::child())?,
            lives: false,
        })
    }

    /// Ready when the child is to be looked at: it has ended, or, if that is not true, nothing can
    /// tell any more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            if self.lives && ready!(self.told.poll_recv(cx)).is_none() {
                return Poll::Ready(false);
            }
            self.lives = matches!(waitid(WaitId::Pid(self.child), options), Ok(None));
            if !self.lives {
                return Poll::Ready(true);
            }
        }
    }
}
