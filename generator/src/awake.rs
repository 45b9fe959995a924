//! Talking to an activator over its two sockets. The same under every init system.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::status::{Question, Status, WAKE_FAILED, WAKE_READY};

/// An activator answers its status socket at once; one that does not is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a wake socket that is not answered yet. The instance wakes by itself.
#[derive(Debug)]
pub struct Call(UnixStream);

/// What became of a call.
#[derive(Debug)]
pub enum Wake {
    /// The engine is ready. The instance stays awake while this is kept.
    Ready(Hold),
    /// The engine could not boot; the reason.
    Failed(String),
}

/// Holds an instance awake as long as it lives. No child inherits it.
#[derive(Debug)]
pub struct Hold(UnixStream);

/// Asks for the state; nothing if the instance is asleep. Wakes nobody.
pub fn status(socket: &Utf8Path) -> io::Result<Option<Status>> {
    let Some(mut stream) = connect(socket)? else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&mut stream, Question::Status)?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(1..) => Ok(Some(serde_json::from_str(&line)?)),
        // It was on its way to sleep, with the question read or unread.
        Ok(0) => Ok(None),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error),
    }
}

/// A connection to the status socket, which says nothing and ends with the activator; nothing if the
/// instance is asleep.
pub fn line(socket: &Utf8Path) -> io::Result<Option<UnixStream>> {
    connect(socket)
}

/// Stops the engine now and waits until it is gone; whether there was one.
pub fn sleep(socket: &Utf8Path) -> io::Result<bool> {
    let Some(mut stream) = connect(socket)? else {
        return Ok(false);
    };
    ask(&mut stream, Question::Sleep)?;
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(true),
    }
}

/// Wakes the instance; nothing if nobody listens at the wake socket: it is not up.
pub fn call(socket: &Utf8Path) -> io::Result<Option<Call>> {
    Ok(connect(socket)?.map(Call))
}

impl Call {
    /// Waits until the engine is ready or has failed.
    pub fn answer(self) -> io::Result<Wake> {
        let Self(stream) = self;
        let mut line = String::new();
        let read = BufReader::new(&stream).read_line(&mut line);
        let line = line.trim_end();
        match (read, line.strip_prefix(WAKE_FAILED)) {
            (Ok(_), Some(reason)) => Ok(Wake::Failed(reason.to_owned())),
            (Ok(_), None) if line == WAKE_READY => Ok(Wake::Ready(Hold(stream))),
            (Ok(_), None) => Ok(Wake::Failed("the activator went away".into())),
            (Err(error), _) if error.kind() == ErrorKind::ConnectionReset => {
                Ok(Wake::Failed("the activator went away".into()))
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl Hold {
    /// Waits until the activator has gone, in whatever way; it says nothing more before.
    pub fn lost(mut self) {
        io::copy(&mut self.0, &mut io::sink()).unwrap_or_default();
    }
}

fn connect(socket: &Utf8Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(socket) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn ask(stream: &mut UnixStream, question: Question) -> io::Result<()> {
    let mut line = serde_json::to_string(&question)?;
    line.push('\n');
    match stream.write_all(line.as_bytes()) {
        // It left between the connection and the question; the reader will see the end.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
