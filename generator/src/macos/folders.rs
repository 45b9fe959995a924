//! What comes, goes and changes in folders, by kqueue(2). Must not know what is in them.

use std::{io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use kqueue::{EventFilter, FilterFlag, Watcher};

/// Folders that are watched from the moment on in which they are named.
#[derive(Debug)]
pub(crate) struct Folders {
    watcher: Watcher,
    /// Those whose files are watched, each by itself.
    deep: Vec<Utf8PathBuf>,
}

impl Folders {
    /// None at first.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            watcher: Watcher::new()?,
            deep: Vec::new(),
        })
    }

    /// Has it tell when something in a folder comes or goes: that writes the folder.
    pub(crate) fn names(&mut self, folder: &Utf8Path) -> io::Result<()> {
        self.add(folder)?;
        self.watcher.watch()
    }

    /// Has it tell when a file in a folder comes or is written.
    pub(crate) fn files(&mut self, folder: &Utf8Path) -> io::Result<()> {
        self.add(folder)?;
        self.deep.push(folder.to_owned());
        self.follow()
    }

    /// Waits for a change, or for so long.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "where it is a descriptor that is waited for it may fail"
    )]
    pub(crate) fn wait(&self, within: Duration) -> io::Result<()> {
        drop(self.watcher.poll(Some(within)));
        Ok(())
    }

    /// Does something at each change, until that fails. It is never told a name: it may have been
    /// any.
    pub(crate) fn each(
        &mut self,
        mut act: impl FnMut(Option<&str>) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            drop(self.watcher.poll_forever(None));
            while self.watcher.poll(None).is_some() {}
            // Before it is looked at, so that no change is missed in between.
            self.follow()?;
            act(None)?;
        }
    }

    /// Watches the files that are there now. One that cannot be opened, such as a socket, is there
    /// or not, and its folder tells that.
    fn follow(&mut self) -> io::Result<()> {
        for folder in self.deep.clone() {
            for entry in folder.read_dir_utf8()? {
                self.add(entry?.path()).unwrap_or_default();
            }
        }
        self.watcher.watch()
    }

    fn add(&mut self, path: &Utf8Path) -> io::Result<()> {
        let changes = FilterFlag::NOTE_WRITE
            | FilterFlag::NOTE_EXTEND
            | FilterFlag::NOTE_DELETE
            | FilterFlag::NOTE_RENAME;
        let filter = EventFilter::EVFILT_VNODE;
        self.watcher.add_filename(path, filter, changes)
    }
}
