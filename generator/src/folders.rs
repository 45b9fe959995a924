//! What comes, goes and changes in folders, by inotify(7). Must not know what is in them.

use std::{
    io::{self, ErrorKind},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    time::Duration,
};

use camino::Utf8Path;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
};

/// Folders that are watched from the moment on in which they are named.
#[derive(Debug)]
pub(crate) struct Folders(OwnedFd);

impl Folders {
    /// None at first.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC)?))
    }

    /// Has it tell when something in a folder comes or goes.
    pub(crate) fn names(&mut self, folder: &Utf8Path) -> io::Result<()> {
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.0, folder.as_std_path(), changes)?;
        Ok(())
    }

    /// Has it tell when a file in a folder comes or is written.
    pub(crate) fn files(&mut self, folder: &Utf8Path) -> io::Result<()> {
        let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&self.0, folder.as_std_path(), changes)?;
        Ok(())
    }

    /// Waits for a change, or for so long.
    pub(crate) fn wait(&self, within: Duration) -> io::Result<()> {
        let within = Timespec::try_from(within).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut fds, Some(&within)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Does something at each change, until that fails. It is told the name in the folder; without
    /// one it may have been any, or several.
    pub(crate) fn each(
        &mut self,
        mut act: impl FnMut(Option<&str>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy());
                    act(name.as_deref())?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
