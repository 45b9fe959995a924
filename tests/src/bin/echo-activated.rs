//! The least that socket activation can start: takes the one socket it is given, accepts one
//! client, sends its first bytes back, and leaves.
//!
//! It is the service of the tests of the world, and the floor of benchmark `wake`: what the init
//! system alone costs.

use std::io::{self, Read, Write};

use listenfd::ListenFd;

fn main() -> io::Result<()> {
    let mut passed = ListenFd::from_env();
    match passed.take_tcp_listener(0) {
        Ok(Some(listener)) => echo(listener.accept()?.0),
        Ok(None) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no socket was passed",
        )),
        // Not TCP, so it is left in place: the other kind is a unix socket.
        Err(_) => match passed.take_unix_listener(0)? {
            Some(listener) => echo(listener.accept()?.0),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no socket was passed",
            )),
        },
    }
}

fn echo(mut client: impl Read + Write) -> io::Result<()> {
    let mut bytes = [0; 4096];
    let length = client.read(&mut bytes)?;
    client.write_all(bytes.get(..length).unwrap_or_default())
}
