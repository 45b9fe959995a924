//! What the kernel says of sockets that are not ours: nothing.
//!
//! macOS tells it to those who parse its private structures (sysctl(3)), which is neither
//! documented nor safe. So a TCP client of this machine is served whoever it is, and an engine is
//! never left alone with clients, because nobody could count them.

use std::{io, net::SocketAddr, path::Path};

/// Whether the owner of a TCP connection can be told.
pub(crate) const TELLS_OWNERS: bool = false;

/// Whether the connections of others can be counted.
pub(crate) const COUNTS: bool = false;

/// Who owns a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user with this uid.
    User(u32),
    /// Nobody can tell.
    Unknown,
}

/// Who owns the other end of a TCP connection.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where the kernel can be asked it may fail to answer"
)]
pub(crate) fn owner_of_tcp_peer(_local: SocketAddr, _peer: SocketAddr) -> io::Result<Owner> {
    Ok(Owner::Unknown)
}

/// How many connections a unix socket has on the listening side.
pub(crate) fn unix_connections(_path: &Path) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How many connections there are to a TCP socket that listens here.
pub(crate) fn tcp_connections(_local: SocketAddr) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
