//! A descriptor that the runtime watches until it is readable.

use std::{io, os::fd::AsRawFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Watches `fd`: a listener, a pidfd or a queue of the kernel's events, non-blocking.
#[expect(
    deprecated,
    reason = "its successors are unsafe, for types that may change their descriptor; those here keep their own"
)]
pub(crate) fn watched<T: AsRawFd>(fd: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
