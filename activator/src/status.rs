//! The status socket: tells the state, takes `sleep`, and never wakes anybody.
//!
//! Owns the socket's file, which is there only as long as this process owns the instance. A
//! connection here is neither a client nor a hold, whatever it sends.

use std::{
    fs::{self, DirBuilder},
    io::{self, Read, Write},
    os::unix::{fs::DirBuilderExt, net},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{exit::ActivatorExit, status::Question};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use crate::{
    machine::Event,
    message::{Message, Teller},
    sockets::bind_private,
    task::{self, AbortOnDrop},
};

/// The longest line that is read, in bytes.
const LINE: u64 = 1024;

/// The bound socket. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct StatusSocket {
    path: Utf8PathBuf,
    _server: AbortOnDrop,
}

impl StatusSocket {
    /// Binds the socket for the user alone. Only the owner of the instance's lock may call it: a
    /// file that is there is then a dead process' and is removed.
    pub(crate) fn bind(path: &Utf8Path, teller: &Teller) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let bound = bind_private(path)?;
        bound.set_nonblocking(true)?;
        let bound = UnixListener::from_std(bound)?;
        Ok(Self {
            path: path.to_owned(),
            _server: AbortOnDrop(task::spawn(serve(bound, teller.clone()))),
        })
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Asks the activator behind a status socket to stop its engine, and waits until it is gone. That
/// nobody listens means that nothing runs.
pub(crate) fn stop(path: &Utf8Path) -> ActivatorExit {
    let asked = net::UnixStream::connect(path).and_then(|mut stream| {
        let mut line = serde_json::to_vec(&Question::Sleep)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)
    });
    match asked.map_err(|error| error.kind()) {
        Ok(_)
        | Err(
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe,
        ) => ActivatorExit::Done,
        Err(kind) => {
            crate::complain(&format!("cannot ask {path} to stop: {kind}"));
            ActivatorExit::Temporary
        }
    }
}

async fn serve(listener: UnixListener, teller: Teller) {
    // An error is this one connection's, or there is no descriptor left; the next one may do.
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(task::spawn(answer(stream, teller.clone()))),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

/// Answers the lines of one client. What is no question ends the connection.
async fn answer(stream: UnixStream, teller: Teller) {
    let mut stream = BufReader::with_capacity(64, stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stream).take(LINE).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        match serde_json::from_str(&String::from_utf8_lossy(&line)) {
            Ok(Question::Status) => {
                let (ask, told) = oneshot::channel();
                teller.tell(Message::Question(ask));
                let Ok(status) = told.await else { return };
                let Ok(mut reply) = serde_json::to_vec(&status) else {
                    return;
                };
                reply.push(b'\n');
                if stream.write_all(&reply).await.is_err() {
                    return;
                }
            }
            Ok(Question::Sleep) => {
                teller.tell(Message::Event(Event::Term));
                // The end of the process is the answer.
                std::future::pending::<()>().await;
            }
            Err(_) => return,
        }
    }
}
