//! When an engine is ready: it answers a hello, or a line of a file says so.
//!
//! Ready is another fact than alive: a process that exists and a socket that accepts do not yet
//! serve anybody. Must not know engines: what is said and what is read comes from the plan.

use std::{
    ffi::{CStr, OsStr},
    fmt, fs, io,
    mem::{self, MaybeUninit},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{
    Bytes, Endpoint,
    plan::{Hello, Readiness},
};
use rustix::{
    fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init, remove_watch},
    io::Errno,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, unix::AsyncFd},
    time::sleep,
};

use crate::{stream::Stream, watched::watched};

/// Between two hellos; the timer's own resolution.
const RETRY: Duration = Duration::from_millis(1);

/// The most that is kept of a reply, in bytes.
const REPLY: usize = 4096;

/// What was last seen of an engine that is not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing was tried yet.
    #[default]
    Nothing,
    /// It does not accept connections.
    Refused,
    /// It accepted a connection and has not answered.
    Silent,
    /// It answered something else.
    Reply(Vec<u8>),
    /// The file does not say so.
    File,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "nothing was tried"),
            Self::Refused => write!(f, "it accepts no connection"),
            Self::Silent => write!(f, "it accepts a connection but does not answer"),
            Self::Reply(reply) => write!(f, "it answers {:?}", Bytes(reply.clone())),
            Self::File => write!(f, "its file does not say so"),
        }
    }
}

/// Watches for the readiness of one member. To be made before the member is spawned, so that a
/// file which a former process left behind is not taken for its word.
#[derive(Debug)]
pub(crate) enum Watch<'a> {
    Hello(HelloWatch<'a>),
    File(FileWatch<'a>),
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        ready: &'a Readiness,
        hello: Option<&'a Hello>,
        upstream: Option<&'a Endpoint>,
    ) -> io::Result<Self> {
        let missing = || io::Error::other("the plan does not say how");
        Ok(match ready {
            Readiness::Hello => Self::Hello(HelloWatch::new(
                hello.ok_or_else(missing)?,
                upstream.ok_or_else(missing)?,
            )?),
            Readiness::FileLine { path, line, text } => {
                Self::File(FileWatch::new(path, *line, text)?)
            }
            Readiness::Connect { .. }
            | Readiness::Http { .. }
            | Readiness::Exec { .. }
            | Readiness::LogLine { .. }
            | Readiness::Alive { .. } => return Err(missing()),
        })
    }

    /// Waits, however long it takes. `seen` always tells what it is waiting for.
    pub(crate) async fn ready(&mut self, seen: &mut Seen) -> io::Result<()> {
        match self {
            Self::Hello(hello) => hello.ready(seen).await,
            Self::File(file) => file.ready(seen).await,
        }
    }

    /// Ends the watch of a member that is ready.
    pub(crate) fn end(self) {
        match self {
            Self::Hello(HelloWatch { socket, .. }) => socket.into_iter().for_each(Changes::end),
            Self::File(FileWatch { file, .. }) => file.end(),
        }
    }
}

/// Says hello until it is answered: at once when the engine makes its unix socket, and then, as
/// nothing tells when a busy engine is free, again and again.
#[derive(Debug)]
pub(crate) struct HelloWatch<'a> {
    hello: &'a Hello,
    upstream: &'a Endpoint,
    /// The changes of the engine's socket, if it is a file.
    socket: Option<Changes<'a>>,
}

impl<'a> HelloWatch<'a> {
    fn new(hello: &'a Hello, upstream: &'a Endpoint) -> io::Result<Self> {
        let socket = match upstream {
            Endpoint::Unix(path) => Some(Changes::of(path)?),
            Endpoint::Tcp(_) => None,
        };
        Ok(Self {
            hello,
            upstream,
            socket,
        })
    }

    async fn ready(&self, seen: &mut Seen) -> io::Result<()> {
        while !answers(self.hello, self.upstream, seen).await {
            match &self.socket {
                Some(socket) if !socket.path.exists() => socket.next().await?,
                _ => sleep(RETRY).await,
            }
        }
        Ok(())
    }
}

/// Says hello once.
async fn answers(hello: &Hello, upstream: &Endpoint, seen: &mut Seen) -> bool {
    let Ok(mut stream) = Stream::connect(upstream).await else {
        *seen = Seen::Refused;
        return false;
    };
    if !matches!(seen, Seen::Reply(_)) {
        *seen = Seen::Silent;
    }
    if stream.write_all(&hello.send.0).await.is_err() {
        return false;
    }
    let mut reply = Vec::new();
    let mut part = [0; 512];
    while let Ok(count) = stream.read(&mut part).await {
        reply.extend_from_slice(part.get(..count).unwrap_or_default());
        if contains(&reply, &hello.ready.0) {
            return true;
        }
        let busy = hello.busy.iter().any(|busy| contains(&reply, &busy.0));
        if !reply.is_empty() {
            *seen = Seen::Reply(reply.clone());
        }
        if busy || count == 0 || reply.len() > REPLY {
            return false;
        }
    }
    false
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// Waits for a line of a file.
#[derive(Debug)]
pub(crate) struct FileWatch<'a> {
    line: usize,
    text: &'a str,
    file: Changes<'a>,
    before: Option<Version>,
}

/// Tells one content of a file from another: inode and time of the last change.
type Version = (u64, i64, i64);

impl<'a> FileWatch<'a> {
    fn new(path: &'a Utf8Path, line: usize, text: &'a str) -> io::Result<Self> {
        Ok(Self {
            line,
            text,
            file: Changes::of(path)?,
            before: version(path),
        })
    }

    async fn ready(&self, seen: &mut Seen) -> io::Result<()> {
        *seen = Seen::File;
        while !self.says_so() {
            self.file.next().await?;
        }
        Ok(())
    }

    fn says_so(&self) -> bool {
        version(self.file.path).is_some_and(|now| Some(now) != self.before)
            && fs::read_to_string(self.file.path).is_ok_and(|text| {
                let line = self.line.checked_sub(1).and_then(|at| text.lines().nth(at));
                line.is_some_and(|line| line.trim_end() == self.text)
            })
    }
}

/// The changes of one file by inotify(7), from before it exists.
#[derive(Debug)]
struct Changes<'a> {
    path: &'a Utf8Path,
    folder: i32,
    events: AsyncFd<OwnedFd>,
}

impl<'a> Changes<'a> {
    fn of(path: &'a Utf8Path) -> io::Result<Self> {
        let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let folder = path.parent().unwrap_or(Utf8Path::new("/"));
        let wanted = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
        let folder = add_watch(&events, folder.as_std_path(), wanted)?;
        Ok(Self {
            path,
            folder,
            events: watched(events)?,
        })
    }

    /// Waits for the next change, and forgets what else changed in the folder.
    async fn next(&self) -> io::Result<()> {
        let name = self.path.file_name().map(OsStr::new);
        loop {
            let mut guard = self.events.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(self.events.get_ref(), &mut buffer);
            let mut concerned = false;
            loop {
                match events.next() {
                    Ok(event) => {
                        let file = event.file_name().map(CStr::to_bytes);
                        concerned |= file == name.map(OsStr::as_encoded_bytes);
                    }
                    Err(Errno::WOULDBLOCK) => break,
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            guard.clear_ready();
            if concerned {
                return Ok(());
            }
        }
    }

    /// Ends the watch but leaves its descriptor to the end of the process: to close it can wait
    /// for 10 ms until the kernel has let go of the watch, and clients would wait with it.
    fn end(self) {
        // An error would mean that it is over already: the folder is gone.
        remove_watch(&self.events, self.folder).ok();
        mem::forget(self.events.into_inner());
    }
}

fn version(path: &Utf8Path) -> Option<Version> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(test)]
mod tests;
