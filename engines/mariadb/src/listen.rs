//! Becoming the server with its socket in hand.
//!
//! The server makes a socket that everybody may connect to (its mode is 0777), whatever the umask is.
//! It takes one that is there already as `sd_listen_fds(3)` describes, so this binds a private one, in
//! whose backlog clients wait from then on. It must not know the server's options.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixListener, process::CommandExt},
    },
    process::{self, Command},
};

use command_fds::{CommandFdExt, FdMapping, FdMappingCollision};

/// The first word of a command line that is for [`listen`].
pub const LISTEN: &str = "listen";

/// The first of the sockets that are handed over: `SD_LISTEN_FDS_START`.
const FIRST: i32 = 3;

/// Why the server was not started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No socket, or no program.
    #[error("expected `{LISTEN} SOCKET PROGRAM [ARGUMENT …]`")]
    Words,
    /// There is no socket.
    #[error("cannot listen at {}", .0.display())]
    Socket(OsString, #[source] io::Error),
    /// The socket cannot be handed over.
    #[error("cannot hand the socket over")]
    Mapping(#[source] FdMappingCollision),
    /// The server is no program.
    #[error("cannot run {}", .0.display())]
    Run(OsString, #[source] io::Error),
}

/// Binds the socket that the first of `words` names, for its owner alone, and becomes the program
/// that the others are. It returns only if that fails.
pub fn listen(mut words: impl Iterator<Item = OsString>) -> ListenError {
    let (Some(path), Some(program)) = (words.next(), words.next()) else {
        return ListenError::Words;
    };
    // Nobody gets in meanwhile: the folder is private as well.
    let bound = UnixListener::bind(&path).and_then(|socket| {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(socket)
    });
    let socket = match bound {
        Ok(socket) => OwnedFd::from(socket),
        Err(error) => return ListenError::Socket(path, error),
    };
    let mut command = Command::new(&program);
    command
        .args(words)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", process::id().to_string());
    let mapping = FdMapping {
        parent_fd: socket,
        child_fd: FIRST,
    };
    match command.fd_mappings(vec![mapping]) {
        Ok(command) => ListenError::Run(program, command.exec()),
        Err(collision) => ListenError::Mapping(collision),
    }
}
