//! The listening sockets that the init system holds and this process inherited.
//!
//! They are told apart by their address, never by their order. None is ever closed or shut down
//! before the process exits: the backlog behind them is the init system's, and whoever waits
//! there is served by the next activation. And the way to bind one of this process's own.

use std::{
    fmt, io,
    os::{fd::OwnedFd, unix::net},
    task::{Context, Poll, ready},
};

use camino::Utf8Path;
use doze_contract::{Endpoint, Plan};
use listenfd::ListenFd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::Mode,
    io::{Errno, ioctl_fionbio},
    net::listen,
    process::umask,
};
use socket2::SockRef;
use tokio::io::unix::AsyncFd;

use crate::{handover, stream::Stream, sys, watched::watched};

/// As long a queue as the kernel allows (listen(2) cuts it to `somaxconn`), as systemd's default.
pub(crate) const BACKLOG: i32 = i32::MAX;

/// Why the inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("no listening socket was passed; the init system starts this program")]
    None,
    #[error("inherited socket {at} cannot be used")]
    Unusable {
        at: usize,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    #[cfg(any(target_os = "macos", feature = "launchd"))]
    Launchd(#[from] doze_launchd::CheckInError),
    #[error("there is no launchd on this system")]
    #[cfg(not(any(target_os = "macos", feature = "launchd")))]
    NoLaunchd,
}

/// An inherited listening socket that is not in use yet.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) socket: OwnedFd,
    /// Absent for an address that cannot be an endpoint, such as a socket without a name.
    address: Option<Endpoint>,
    tcp: bool,
}

/// Takes every inherited descriptor; each is closed on exec from then on. It edits the
/// environment, so it has to be called before there is a second thread.
pub(crate) fn inherited() -> Result<Vec<Inherited>, SocketError> {
    let mut passed = ListenFd::from_env();
    let sockets: Vec<_> = (0..passed.len())
        .map(|at| {
            take(&mut passed, at)
                .transpose()
                .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
                .map_err(|source| SocketError::Unusable { at, source })
        })
        .collect::<Result<_, _>>()?;
    if sockets.is_empty() {
        return Err(SocketError::None);
    }
    Ok(sockets)
}

fn take(passed: &mut ListenFd, at: usize) -> io::Result<Option<Inherited>> {
    if let Ok(listener) = passed.take_tcp_listener(at) {
        return listener
            .map(|listener| {
                let address = Endpoint::Tcp(listener.local_addr()?);
                Inherited::new(listener.into(), Some(address), true)
            })
            .transpose();
    }
    let Some(listener) = passed.take_unix_listener(at)? else {
        return Ok(None);
    };
    let address = unix_endpoint(&listener.local_addr()?);
    Inherited::new(listener.into(), address, false).map(Some)
}

fn unix_endpoint(address: &net::SocketAddr) -> Option<Endpoint> {
    let path = address.as_pathname()?.to_str()?;
    Some(Endpoint::Unix(path.into()))
}

impl Inherited {
    pub(crate) fn new(socket: OwnedFd, address: Option<Endpoint>, tcp: bool) -> io::Result<Self> {
        ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            address,
            tcp,
        })
    }

    /// One that was not inherited but asked for.
    pub(crate) fn known(socket: OwnedFd) -> io::Result<Self> {
        let address = SockRef::from(&socket).local_addr()?;
        let path = address.as_pathname().and_then(|path| path.to_str());
        let (tcp, path) = (
            address.as_socket(),
            path.map(|path| Endpoint::Unix(path.into())),
        );
        Self::new(socket, tcp.map(Endpoint::Tcp).or(path), tcp.is_some())
    }

    /// Whether it is bound to this address.
    pub(crate) fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.address.as_ref() == Some(endpoint)
    }
}

/// Binds a unix socket for the user alone, with no moment in which its file is open to others.
/// Nothing else runs meanwhile.
pub(crate) fn bind_private(path: &Utf8Path) -> io::Result<net::UnixListener> {
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = net::UnixListener::bind(path);
    umask(before);
    let bound = bound?;
    listen(&bound, BACKLOG)?;
    Ok(bound)
}

/// Whether somebody waits there.
pub(crate) fn has_client(listener: &Inherited) -> bool {
    let mut fds = [PollFd::new(&listener.socket, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Closes the connection of everybody who waits. For a process that has to exit for good: left
/// in the backlog, they would make the init system start it again at once, and again.
pub(crate) fn turn_away(sockets: &[Inherited]) {
    for listener in sockets {
        while sys::accept(&listener.socket).is_ok() {}
    }
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Clients of the engine.
    Clients,
    /// Those of the side endpoint of this number in the plan.
    Side(usize),
    /// Those who wake the instance and hold it awake.
    Holds,
}

/// A listening socket in use.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: AsyncFd<OwnedFd>,
    pub(crate) purpose: Purpose,
    /// While there is an engine, it accepts here itself, if it was given the socket.
    pub(crate) handed: bool,
    tcp: bool,
    /// The address, if the plan does not know it.
    pub(crate) stranger: Option<Address>,
}

/// An address for people.
#[derive(Debug)]
pub(crate) struct Address(Option<Endpoint>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(endpoint) => endpoint.fmt(f),
            None => f.write_str("a socket without an address"),
        }
    }
}

impl Listener {
    /// Puts an inherited socket to use, within a runtime.
    pub(crate) fn new(inherited: Inherited, plan: &Plan) -> io::Result<Self> {
        let Inherited {
            socket,
            address,
            tcp,
        } = inherited;
        let wake = Endpoint::Unix(plan.paths.wake_socket.clone());
        let mut side = plan.body.side.iter();
        let side = side.position(|side| address.as_ref() == Some(&side.endpoint));
        let purpose = match side {
            Some(at) => Purpose::Side(at),
            None if address.as_ref() == Some(&wake) => Purpose::Holds,
            None => Purpose::Clients,
        };
        let known = purpose != Purpose::Clients
            || address
                .as_ref()
                .is_some_and(|address| plan.bound().any(|bound| bound == *address));
        Ok(Self {
            socket: watched(socket)?,
            purpose,
            handed: tcp && known && purpose == Purpose::Clients && handover::are_handed(plan),
            tcp,
            stranger: (!known).then_some(Address(address)),
        })
    }

    /// Accepts somebody who waits, or is woken when somebody comes.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        loop {
            let mut guard = ready!(self.socket.poll_read_ready(cx))?;
            match self.accept_now() {
                Ok(Some(stream)) => return Poll::Ready(Ok(stream)),
                Ok(None) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Accepts somebody who waits, by asking the kernel and not what it said last.
    pub(crate) fn accept_now(&self) -> io::Result<Option<Stream>> {
        loop {
            match sys::accept(self.socket.get_ref()) {
                Ok(socket) => match Stream::accepted(socket, self.tcp) {
                    Ok(stream) => return Ok(Some(stream)),
                    // A client that is gone already cannot be set up; the next one may.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                    Err(error) => return Err(error),
                },
                Err(Errno::WOULDBLOCK) => return Ok(None),
                // accept(2): errors that are pending on the new socket; there is no client.
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTDOWN
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH
                    | Errno::OPNOTSUPP,
                ) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
