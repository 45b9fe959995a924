//! The changes of one file by inotify(7), from before it exists. Must not know what is in it.

use std::{
    ffi::{CStr, OsStr},
    io,
    mem::{self, MaybeUninit},
    os::fd::OwnedFd,
};

use camino::Utf8Path;
use rustix::{
    fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init, remove_watch},
    io::Errno,
};
use tokio::io::unix::AsyncFd;

use crate::watched::watched;

/// Watches the folder of a file.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) path: &'a Utf8Path,
    folder: i32,
    events: AsyncFd<OwnedFd>,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(path: &'a Utf8Path) -> io::Result<Self> {
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
    pub(crate) async fn next(&mut self) -> io::Result<()> {
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
    pub(crate) fn end(self) {
        // An error would mean that it is over already: the folder is gone.
        remove_watch(&self.events, self.folder).ok();
        mem::forget(self.events.into_inner());
    }
}
