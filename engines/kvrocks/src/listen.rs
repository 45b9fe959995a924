//! Becoming the server with a socket of its clients in hand.
//!
//! An activator hands sockets over as `sd_listen_fds(3)` describes. The server takes one, of TCP, and
//! only if it does not block; its unix socket it makes itself. It must not know the server's
//! configuration, over which the options win that it adds.

use std::{ffi::OsString, io, net::TcpListener, os::unix::process::CommandExt, process::Command};

use command_fds::{CommandFdExt, FdMapping, FdMappingCollision};
use listenfd::ListenFd;

/// The first word of a command line that is for [`listen`].
pub const LISTEN: &str = "listen";

/// Where the server finds its socket.
const SOCKET_FD: i32 = 3;

/// Why the server was not started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No program.
    #[error("expected `{LISTEN} PROGRAM [ARGUMENT …]`")]
    Words,
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

/// Becomes the program that `words` are, with the first TCP socket that was handed over, if one was.
/// It returns only if that fails.
pub fn listen(mut words: impl Iterator<Item = OsString>) -> ListenError {
    let Some(program) = words.next() else {
        return ListenError::Words;
    };
    let socket = match handed() {
        Ok(socket) => socket,
        Err(error) => return ListenError::Socket(error),
    };
    let mut command = Command::new(&program);
    command.args(words);
    for name in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"] {
        command.env_remove(name);
    }
    if let Some((socket, port)) = socket {
        // With a socket of its own it makes no other of TCP.
        command.args(["--port", &port.to_string()]);
        command.args(["--socket-fd", &SOCKET_FD.to_string()]);
        let mapping = FdMapping {
            parent_fd: socket.into(),
            child_fd: SOCKET_FD,
        };
        if let Err(collision) = command.fd_mappings(vec![mapping]) {
            return ListenError::Mapping(collision);
        }
    }
    ListenError::Run(program, command.exec())
}

/// The socket behind that of the upstream, with its port. That one is closed: whoever connected to it
/// tries again, and finds the one that the server puts in its place.
fn handed() -> io::Result<Option<(TcpListener, u16)>> {
    let mut all = ListenFd::from_env();
    drop(all.take_unix_listener(0)?);
    if all.len() < 2 {
        return Ok(None);
    }
    let Some(socket) = all.take_tcp_listener(1)? else {
        return Ok(None);
    };
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Ok(Some((socket, port)))
}
