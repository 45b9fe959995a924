//! One connection to an endpoint of either kind.
//!
//! Must not know: what is said on it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use doze_contract::Endpoint;

/// A connected client.
#[derive(Debug)]
pub enum Client {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Client {
    /// Connects; what it reads later has to come within `bound`.
    ///
    /// # Errors
    /// As connect(2).
    pub fn connect(endpoint: &Endpoint, bound: Duration) -> io::Result<Self> {
        let client = match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, bound)?;
                stream.set_nodelay(true)?;
                Self::Tcp(stream)
            }
            Endpoint::Unix(path) => Self::Unix(UnixStream::connect(path)?),
        };
        match &client {
            Self::Tcp(stream) => stream.set_read_timeout(Some(bound)),
            Self::Unix(stream) => stream.set_read_timeout(Some(bound)),
        }?;
        Ok(client)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// As shutdown(2).
    pub fn close_half(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
