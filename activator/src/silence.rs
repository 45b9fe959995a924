//! Clients that have said nothing yet.
//!
//! A port scan or a health check connects and leaves without a byte. Where clients speak first,
//! that is no reason to boot an engine, so the first byte is awaited here. Nothing is taken from
//! the connection. Must not know what is said.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;

use crate::stream::Stream;

/// What a client has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// It has said something.
    Words,
    /// It has said nothing.
    Nothing,
    /// It has left, or will never say anything.
    End,
}

/// Looks once.
pub(crate) fn look(client: &Stream) -> First {
    let peeked = match client {
        Stream::Tcp(client) => client.try_io(Interest::READABLE, || peek(client)),
        Stream::Unix(client) => client.try_io(Interest::READABLE, || peek(client)),
    };
    first(&peeked)
}

/// Waits until the client says something; `false` if it leaves without a byte.
pub(crate) async fn words(client: &Stream) -> bool {
    loop {
        let readable = match client {
            Stream::Tcp(client) => client.readable().await,
            Stream::Unix(client) => client.readable().await,
        };
        match look(client) {
            First::Words => return true,
            First::End => return false,
            First::Nothing if readable.is_err() => return false,
            First::Nothing => {}
        }
    }
}

fn peek(client: impl std::os::fd::AsFd) -> io::Result<usize> {
    let mut byte = [0; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (count, _) = recv(client, &mut byte, flags)?;
    Ok(count)
}

fn first(peeked: &io::Result<usize>) -> First {
    match peeked {
        Ok(0) => First::End,
        Ok(_) => First::Words,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => First::Nothing,
        Err(_) => First::End,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
        time::timeout,
    };

    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::Unix(ours), theirs)
    }

    #[tokio::test]
    async fn words_are_noticed_and_left_where_they_are() {
        let (mut client, mut other) = pair();
        let early = timeout(Duration::from_millis(20), words(&client)).await;
        assert!(early.is_err());
        other.write_all(b"PING").await.unwrap();
        assert!(words(&client).await);
        assert!(words(&client).await);
        let mut said = [0; 4];
        client.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"PING");
    }

    #[tokio::test]
    async fn words_count_even_of_a_client_that_has_left() {
        let (client, mut other) = pair();
        other.write_all(b"QUIT").await.unwrap();
        drop(other);
        assert!(words(&client).await);
    }

    #[tokio::test]
    async fn a_client_that_leaves_without_a_byte_has_said_nothing() {
        let (client, other) = pair();
        drop(other);
        assert!(!words(&client).await);
        assert_eq!(look(&client), First::End);
    }
}
