//! A connected stream socket, whatever its family: to a client or to the engine.
//!
//! Must not know what the bytes mean.

use std::{
    io,
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use doze_contract::Endpoint;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, sleep},
};

/// How long a connect waits for room in a full backlog of the engine.
const BACKLOG_WAIT: Duration = Duration::from_secs(10);

/// One side of a splice.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to where the engine listens. A unix socket whose backlog is full refuses a
    /// connect that would have to wait with EAGAIN (connect(2)), so this waits in its place.
    pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => Self::tcp(TcpStream::connect(address).await?),
            Endpoint::Unix(path) => {
                let give_up = Instant::now() + BACKLOG_WAIT;
                loop {
                    match UnixStream::connect(path).await {
                        Err(error)
                            if error.kind() == io::ErrorKind::WouldBlock
                                && Instant::now() < give_up =>
                        {
                            sleep(Duration::from_millis(1)).await;
                        }
                        connected => return connected.map(Self::Unix),
                    }
                }
            }
        }
    }

    /// Takes a socket as accept4(2) returned it, already non-blocking.
    pub(crate) fn accepted(socket: OwnedFd, tcp: bool) -> io::Result<Self> {
        if tcp {
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
