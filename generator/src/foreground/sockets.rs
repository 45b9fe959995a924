//! Binding the sockets of an instance as the init system would, and taking them away again.

use std::{
    fs,
    io::{self, ErrorKind},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixListener},
    },
};

use camino::Utf8Path;
use doze_contract::{Endpoint, Plan};

use crate::{
    compile::starts_with_project,
    fsx,
    ports::{self, BusyError},
};

/// As long a queue as the kernel allows (listen(2) cuts it to `somaxconn`), as systemd's default.
const BACKLOG: i32 = i32::MAX;

/// Why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The endpoint is not to be had.
    #[error(transparent)]
    Busy(#[from] BusyError),
    /// Its folder cannot be made.
    #[error("cannot make the folder of {path}")]
    Folder {
        /// The socket.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Binds the client endpoints and the wake socket of an instance; one that starts with the project
/// binds its endpoints itself, so for that they only have to be free. Where clients look for a unix
/// endpoint there is nothing yet.
pub(super) fn bind(plan: &Plan) -> Result<Vec<OwnedFd>, BindError> {
    let mut sockets = Vec::new();
    for socket in &plan.init_sockets {
        ports::check(&Endpoint::Unix(socket.public.clone()), Some(&socket.path))?;
    }
    let by_itself = starts_with_project(plan);
    for endpoint in plan.bound() {
        if by_itself {
            ports::check(&endpoint, None)?;
            continue;
        }
        sockets.push(match &endpoint {
            Endpoint::Tcp(_) => listen_tcp(&endpoint)?,
            Endpoint::Unix(path) => listen_unix(path)?.into(),
        });
    }
    sockets.push(listen_unix(&plan.paths.wake_socket)?.into());
    Ok(sockets)
}

fn listen_tcp(endpoint: &Endpoint) -> Result<OwnedFd, BindError> {
    let Endpoint::Tcp(address) = endpoint else {
        return Err(refused(endpoint, ErrorKind::Unsupported.into()).into());
    };
    let listener = TcpListener::bind(address).map_err(|source| ports::explain(endpoint, source))?;
    rustix::net::listen(&listener, BACKLOG).map_err(|error| refused(endpoint, error.into()))?;
    Ok(listener.into())
}

/// Binds a unix socket that only its owner can reach, in place of a leftover.
pub(super) fn listen_unix(path: &Utf8Path) -> Result<UnixListener, BindError> {
    let endpoint = Endpoint::Unix(path.to_owned());
    ports::check(&endpoint, None)?;
    let folder = path.parent().unwrap_or(Utf8Path::new("/"));
    fsx::make_folder(folder).map_err(|source| BindError::Folder {
        path: path.to_string(),
        source,
    })?;
    let bind = || {
        fsx::missing_is_none(fs::remove_file(path))?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| refused(&endpoint, source).into())
}

fn refused(endpoint: &Endpoint, source: io::Error) -> BusyError {
    BusyError::Refused {
        endpoint: endpoint.clone(),
        source,
    }
}

/// Removes the unix sockets of an instance, as `RemoveOnStop=`.
pub(super) fn unlink_all(plan: &Plan) {
    for socket in &plan.init_sockets {
        unlink(&socket.path);
    }
    unlink(&plan.paths.wake_socket);
}

/// Removes a socket. One that stays does no harm: nobody listens, and the next bind replaces it.
pub(super) fn unlink(path: &Utf8Path) {
    drop(fs::remove_file(path));
}
