//! Where kernels differ in a call or two: what Linux does in one, and what it does otherwise.
//!
//! Larger questions have files of their own; those of macOS stand in `macos/`, under the same names.
//! Must not know what a descriptor is for.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::{DupFlags, dup3},
    net::{SocketFlags, accept_with},
    process::{Signal, set_parent_process_death_signal},
};

/// The most descriptors that a process may ask for, whatever its hard limit says: here that is kept
/// to what is allowed.
pub(crate) const MOST_FILES: Option<u64> = None;

/// Whether a unix socket whose backlog is full refuses a client as if nobody listened there. Here
/// it says that it would have to wait (connect(2), EAGAIN).
pub(crate) const REFUSES_WHEN_FULL: bool = false;

/// Accepts a connection, non-blocking and closed on exec.
pub(crate) fn accept(listener: impl AsFd) -> rustix::io::Result<OwnedFd> {
    accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

/// Puts a copy of a descriptor in the place of another one, closed on exec.
pub(crate) fn put(fd: impl AsFd, place: &mut OwnedFd) -> io::Result<()> {
    Ok(dup3(fd, place, DupFlags::CLOEXEC)?)
}

/// Has this process be asked to leave (SIGTERM) when its parent has ended. To be called before there
/// is a second thread.
pub(crate) fn follow_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
}
