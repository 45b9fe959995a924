//! A line of a file, and the changes of a file.

use std::{
    ffi::{CStr, OsStr},
    fs, io,
    mem::{self, MaybeUninit},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
};

use camino::Utf8Path;
use rustix::{
    fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init, remove_watch},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

use super::Seen;
use crate::watched::watched;

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
    pub(super) fn new(path: &'a Utf8Path, line: usize, text: &'a str) -> io::Result<Self> {
        Ok(Self {
            line,
            text,
            file: Changes::of(path)?,
            before: version(path),
        })
    }

    pub(super) async fn ready(&self, seen: &mut Seen) -> io::Result<()> {
        *seen = Seen::File;
        while !self.says_so() {
            self.file.next().await?;
        }
        Ok(())
    }

    /// Ends the watch of an engine that is ready.
    pub(super) fn end(self) {
        self.file.end();
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
pub(super) struct Changes<'a> {
    pub(super) path: &'a Utf8Path,
    folder: i32,
    events: AsyncFd<OwnedFd>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(path: &'a Utf8Path) -> io::Result<Self> {
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
    pub(super) async fn next(&self) -> io::Result<()> {
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
    pub(super) fn end(self) {
        // An error would mean that it is over already: the folder is gone.
        remove_watch(&self.events, self.folder).ok();
        mem::forget(self.events.into_inner());
    }
}

fn version(path: &Utf8Path) -> Option<Version> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}
