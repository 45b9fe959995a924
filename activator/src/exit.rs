//! When a child has ended: a pidfd (`pidfd_open(2)`) is readable then. Must not know what the child is
//! for, and does not reap it.

use std::{
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use crate::watched::watched;

/// Watches for the end of one child.
#[derive(Debug)]
pub(crate) struct Exit(AsyncFd<OwnedFd>);

impl Exit {
    /// Of a child that nobody has reaped.
    pub(crate) fn of(child: Pid) -> io::Result<Self> {
        Ok(Self(watched(pidfd_open(child, PidfdFlags::NONBLOCK)?)?))
    }

    /// Ready when the child is to be looked at: it has ended, or, if that is not true, nothing can
    /// tell any more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let has_ended = match ready!(self.0.poll_read_ready(cx)) {
            Ok(mut guard) => {
                guard.clear_ready();
                true
            }
            Err(_) => false,
        };
        Poll::Ready(has_ended)
    }
}

/// What macOS does needs nothing that Linux has not, so it is tested here as well.
#[cfg(test)]
#[path = "macos/exit.rs"]
mod macos;

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    /// A bound for what takes a moment.
    const SOON: Duration = Duration::from_secs(30);

    fn cat() -> Child {
        let mut cat = Command::new("cat");
        cat.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Ends one of two children, and then the other, whose `exit` is watched.
    async fn ends_second(mut watched: Child, mut exit: impl FnMut(&mut Context<'_>) -> Poll<bool>) {
        let early = timeout(Duration::from_millis(20), poll_fn(&mut exit)).await;
        assert!(early.is_err(), "it lives");
        let mut other = cat();
        drop(other.stdin.take());
        other.wait().unwrap();
        let early = timeout(Duration::from_millis(20), poll_fn(&mut exit)).await;
        assert!(early.is_err(), "another one ended");
        drop(watched.stdin.take());
        assert!(timeout(SOON, poll_fn(&mut exit)).await.unwrap());
        assert!(watched.try_wait().unwrap().unwrap().success());
    }

    #[tokio::test]
    async fn a_child_has_ended_when_it_has_and_is_left_to_be_reaped() {
        let child = cat();
        let mut exit = Exit::of(Pid::from_child(&child)).unwrap();
        ends_second(child, |cx| exit.poll(cx)).await;
        let child = cat();
        let mut exit = macos::Exit::of(Pid::from_child(&child)).unwrap();
        ends_second(child, |cx| exit.poll(cx)).await;
    }

    #[tokio::test]
    async fn one_that_had_ended_before_is_noticed() {
        let mut child = cat();
        let pid = Pid::from_child(&child);
        drop(child.stdin.take());
        let mut exit = Exit::of(pid).unwrap();
        assert!(timeout(SOON, poll_fn(|cx| exit.poll(cx))).await.unwrap());
        let mut exit = macos::Exit::of(pid).unwrap();
        assert!(timeout(SOON, poll_fn(|cx| exit.poll(cx))).await.unwrap());
        assert!(child.wait().unwrap().success());
    }
}
