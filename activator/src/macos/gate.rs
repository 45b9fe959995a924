//! The gate before a listening TCP socket that the engine accepts on: there is none. No filter can be
//! put on a socket, so no plan for macOS hands one to an engine.

use std::{io, os::fd::AsFd};

/// Nobody can close one.
pub(crate) fn is_there() -> bool {
    false
}

/// Cannot close it.
pub(crate) fn close(_socket: impl AsFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// It is always open.
pub(crate) fn open(_socket: impl AsFd) {}
