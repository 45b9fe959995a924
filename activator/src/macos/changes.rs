//! The changes of one file by kqueue(2), from before it exists. Must not know what is in it.

use std::io;

use camino::Utf8Path;
use kqueue::{EventFilter, FilterFlag, Watcher};
use tokio::io::unix::AsyncFd;

use crate::watched::watched;

/// Watches a file and its folder.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) path: &'a Utf8Path,
    events: AsyncFd<Watcher>,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(path: &'a Utf8Path) -> io::Result<Self> {
        let mut watcher = Watcher::new()?;
        let folder = path.parent().unwrap_or(Utf8Path::new("/"));
        // A folder is written when an entry comes or goes.
        let (filter, written) = (EventFilter::EVFILT_VNODE, FilterFlag::NOTE_WRITE);
        watcher.add_filename(folder, filter, written)?;
        follow(&mut watcher, path)?;
        let events = watched(watcher)?;
        Ok(Self { path, events })
    }

    /// Waits for the next change; it may be of something else in the folder.
    pub(crate) async fn next(&mut self) -> io::Result<()> {
        let mut guard = self.events.readable().await?;
        while guard.get_inner().poll(None).is_some() {}
        guard.clear_ready();
        // It may be another file by now.
        follow(self.events.get_mut(), self.path)
    }

    /// Ends the watch.
    pub(crate) fn end(self) {
        drop(self);
    }
}

/// Watches the file that is there now, if there is one that can be opened: not a socket, which needs
/// no watch, for it is there or not.
fn follow(watcher: &mut Watcher, path: &Utf8Path) -> io::Result<()> {
    let written = FilterFlag::NOTE_WRITE | FilterFlag::NOTE_EXTEND;
    watcher
        .add_filename(path, EventFilter::EVFILT_VNODE, written)
        .ok();
    watcher.watch()
}
