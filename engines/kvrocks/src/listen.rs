//! Becoming the server with a socket of its clients in hand.
//!
//! An activator hands sockets over as `sd_listen_fds(3)` describes. The server takes one, of TCP, and
//! only if it does not block; its unix socket it makes itself. It must not know the server's options.

use std::{ffi::OsString, io, net::TcpListener, os::unix::process::CommandExt, process::Command};

use command_fds::{CommandFdExt, FdMapping, FdMappingCollision};
use listenfd::ListenFd;

/// The first word of a command line that is for [`listen`].
pub const LISTEN: &str = "listen";

/// Where the server finds its socket.
pub(crate) const SOCKET_FD: i32 = 3;

/// Why the server was not started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No program.
    #[error("expected `{LISTEN} PROGRAM [ARGUMENT …]`")]
    Words,
    /// No socket, or another than was expected.
    #[error("no socket of TCP was handed over")]
    Missing,
    /// The socket is none.
    #[error("cannot take the socket")]
    Socket(#[source] io::Error),
    /// The socket cannot be handed on.
    #[error("cannot hand the socket on")]
    Mapping(#[source] FdMappingCollision),
    /// The server is no program.
    #[error("cannot run {}", .0.display())]
    Run(OsString, #[source] io::Error),
}

/// Becomes the program that `words` are, with the first TCP socket that was handed over as its
/// descriptor [`SOCKET_FD`]. It returns only if that fails.
pub fn listen(mut words: impl Iterator<Item = OsString>) -> ListenError {
    let Some(program) = words.next() else {
        return ListenError::Words;
    };
    let socket = match handed() {
        Ok(Some(socket)) => socket,
        Ok(None) => return ListenError::Missing,
        Err(error) => return ListenError::Socket(error),
    };
    let mut command = Command::new(&program);
    command.args(words);
    for name in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"] {
        command.env_remove(name);
    }
    let mapping = FdMapping {
        parent_fd: socket.into(),
        child_fd: SOCKET_FD,
    };
    match command.fd_mappings(vec![mapping]) {
        Ok(command) => ListenError::Run(program, command.exec()),
        Err(collision) => ListenError::Mapping(collision),
    }
}

/// The socket behind that of the upstream, which is closed: whoever connected to it tries again, and
/// finds the one that the server puts in its place.
fn handed() -> io::Result<Option<TcpListener>> {
    let mut all = ListenFd::from_env();
    drop(all.take_unix_listener(0)?);
    let socket = all.take_tcp_listener(1)?;
    if let Some(socket) = &socket {
        socket.set_nonblocking(true)?;
    }
    Ok(socket)
}
