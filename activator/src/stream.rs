//! A connected stream socket, whatever its family: to a client or to the engine.
//!
//! Must not know what the bytes mean.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use doze_contract::Endpoint;
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, sleep},
};

/// How long a connect waits for room in a full backlog of the engine, or for a backlog at all.
const BACKLOG_WAIT: Duration = Duration::from_secs(10);

/// How long a TCP client may be silent before the kernel asks whether it is still there, how often
/// it asks again, and how many questions may go unanswered. A client that has vanished without a
/// word is gone after two minutes.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_mins(1), Duration::from_secs(10), 6);

/// One side of a splice.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to where the engine listens. A unix socket whose backlog is full refuses a
    /// connect that would have to wait with EAGAIN (connect(2)), so this waits in its place.
    pub(crate) fn connect(endpoint: &Endpoint) -> impl Future<Output = io::Result<Self>> {
        Self::connect_through(endpoint, io::ErrorKind::WouldBlock)
    }

    /// Connects to what may begin to listen a moment after the engine is ready.
    pub(crate) fn connect_patiently(endpoint: &Endpoint) -> impl Future<Output = io::Result<Self>> {
        Self::connect_through(endpoint, io::ErrorKind::ConnectionRefused)
    }

    /// Connects again for a while where that fails in this one way.
    async fn connect_through(endpoint: &Endpoint, passing: io::ErrorKind) -> io::Result<Self> {
        let give_up = Instant::now() + BACKLOG_WAIT;
        loop {
            let connected = match endpoint {
                Endpoint::Tcp(address) => TcpStream::connect(address).await.and_then(Self::tcp),
                Endpoint::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            };
            match connected {
                Err(error) if error.kind() == passing && Instant::now() < give_up => {
                    sleep(Duration::from_millis(1)).await;
                }
                connected => return connected,
            }
        }
    }

    /// Takes a socket as accept4(2) returned it, already non-blocking.
    pub(crate) fn accepted(socket: OwnedFd, tcp: bool) -> io::Result<Self> {
        if tcp {
            keep_alive(&socket)?;
            Self::tcp(TcpStream::from_std(socket.into())?)
        } else {
            UnixStream::from_std(socket.into()).map(Self::Unix)
        }
    }

    /// Gives the socket back, blocking, for another process to use.
    pub(crate) fn into_blocking(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.into()
            }
            Self::Unix(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.into()
            }
        })
    }

    /// Without `TCP_NODELAY` a reply in two writes waits for the delayed ACK of the first.
    fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Has the kernel find out whether a silent peer is still there. A listening socket hands this on to
/// those that it accepts.
pub(crate) fn keep_alive(socket: impl AsFd + Copy) -> io::Result<()> {
    let (idle, interval, count) = KEEP_ALIVE;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, idle)?;
    sockopt::set_tcp_keepintvl(socket, interval)?;
    Ok(sockopt::set_tcp_keepcnt(socket, count)?)
}

macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Self::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}
