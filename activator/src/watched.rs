//! A descriptor that the runtime watches until it is readable.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Watches `fd`: a listener, a pidfd or an inotify instance, non-blocking.
#[expect(
    deprecated,
    reason = "its successors are unsafe, for types that may change their descriptor; OwnedFd keeps its own"
)]
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
