//! The verb `refuse`: a client's socket as standard input, on which the driver tells it why it
//! cannot be served. It owns the bounds of that conversation and its end, and must not know what
//! is said.

use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use doze_contract::protocol::{REFUSAL, REFUSAL_HINT};

use crate::Driver;

/// How long a client may take to say what has to be known before it can be told anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take to read what it was told and to leave; also how long one write to
/// it may take.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what a client goes on sending meanwhile is read, in bytes.
const LINGER_BYTES: u64 = 64 * 1024 * 1024;

/// Why a client cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for people; it may have several lines.
    pub reason: String,
    /// The command that shows more.
    pub hint: String,
}

impl Refusal {
    /// All of it as one line without control characters, for protocols whose errors are lines.
    pub fn one_line(&self) -> String {
        let (reason, hint) = (self.reason.trim_end(), &self.hint);
        let plain = format!("doze: {reason}; {hint} shows more").replace(char::is_control, " ");
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The client of an engine, to be told something and then left. Reads fail with
/// [`ErrorKind::TimedOut`] when it has taken too long, all in all.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    patience: Duration,
    give_up: Instant,
}

/// Why no client could be refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefuseError {
    #[error("the environment variable {0} is not set")]
    Variable(&'static str),
    #[error("standard input is not the socket of a client")]
    Socket(#[source] io::Error),
}

/// Refuses the client on standard input for the reason in the environment.
pub(crate) fn refuse(driver: &impl Driver) -> Result<(), RefuseError> {
    let refusal = Refusal {
        reason: variable(REFUSAL)?,
        hint: variable(REFUSAL_HINT)?,
    };
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let mut client = socket.and_then(Client::new).map_err(RefuseError::Socket)?;
    // A client that is gone, or speaks another protocol, is nothing to report: it may be anybody.
    drop(driver.refuse(&refusal, &mut client));
    client.part();
    Ok(())
}

fn variable(name: &'static str) -> Result<String, RefuseError> {
    let value = env::var_os(name).ok_or(RefuseError::Variable(name))?;
    Ok(value.to_string_lossy().into_owned())
}

impl Client {
    /// Takes a connected stream socket of any family, blocking or not.
    pub fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        // All that is done with it here is the same for TCP: recv, send, shutdown, and timeouts
        // of the socket level (socket(7)).
        let stream = UnixStream::from(socket.into());
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(LINGER))?;
        Ok(Self {
            stream,
            patience: PATIENCE,
            give_up: Instant::now() + PATIENCE,
        })
    }

    /// From now on a single read waits no longer than this.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Waits until the client has said something, but no longer than this: some clients take an
    /// answer that comes before their question for noise, and some never ask.
    pub fn hear(&mut self, patience: Duration) -> io::Result<()> {
        let before = std::mem::replace(&mut self.patience, patience);
        let heard = self.read(&mut [0]);
        self.patience = before;
        match heard {
            Err(error) if error.kind() != ErrorKind::TimedOut => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Ends the connection without losing what was said: a socket that is closed with unread
    /// bytes sends a reset, and that destroys what the client has not read yet. So this closes
    /// one way, and reads until the client has closed the other.
    fn part(mut self) {
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.patience = LINGER;
            self.give_up = Instant::now() + LINGER;
            // However this ends, the client had its time.
            drop(io::copy(&mut self.take(LINGER_BYTES), &mut io::sink()));
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.give_up.saturating_duration_since(Instant::now());
        let wait = left.min(self.patience);
        if wait.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(wait))?;
        self.stream.read(buffer).map_err(|error| {
            // As recv(2) says it.
            if error.kind() == ErrorKind::WouldBlock {
                ErrorKind::TimedOut.into()
            } else {
                error
            }
        })
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;

    fn pair() -> (TcpStream, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Client::new(theirs).unwrap())
    }

    #[test]
    fn what_was_said_survives_all_that_the_client_sends() {
        let (mut ours, mut client) = pair();
        let begun = Instant::now();
        let parted = thread::spawn(move || {
            client.write_all(b"no").unwrap();
            client.part();
        });
        // More than any socket buffer holds, before the first read.
        ours.write_all(&vec![7; 16 * 1024 * 1024]).unwrap();
        let mut heard = String::new();
        ours.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "no");
        // The end came with the words, not when the client had its time.
        assert!(begun.elapsed() < LINGER, "{:?}", begun.elapsed());
        drop(ours);
        parted.join().unwrap();
    }

    #[test]
    fn a_refusal_in_one_line_has_no_control_characters() {
        let refusal = Refusal {
            reason: "größe:\r\n\tno\0\u{1b}[1m \u{85}space\n\n".to_owned(),
            hint: "doze logs app".to_owned(),
        };
        assert_eq!(
            refusal.one_line(),
            "doze: größe: no [1m space; doze logs app shows more"
        );
    }

    #[test]
    fn a_client_is_waited_for_only_until_it_speaks() {
        let (mut ours, mut client) = pair();
        let begun = Instant::now();
        client.hear(Duration::from_millis(10)).unwrap();
        ours.write_all(b"x").unwrap();
        client.hear(PATIENCE).unwrap();
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_client_that_stays_is_left() {
        let (ours, client) = pair();
        let begun = Instant::now();
        client.part();
        assert!(begun.elapsed() >= LINGER, "{:?}", begun.elapsed());
        drop(ours);
    }

    #[test]
    fn patience_has_an_end_in_each_read_and_in_all() {
        let (mut ours, mut client) = pair();
        client.set_patience(Duration::from_millis(10));
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        ours.write_all(b"x").unwrap();
        client.set_patience(PATIENCE);
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        ours.write_all(b"x").unwrap();
        client.give_up = Instant::now();
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
