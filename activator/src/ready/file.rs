//! A line of a file.

use std::{fs, io, os::unix::fs::MetadataExt};

use camino::Utf8Path;

use super::Seen;
use crate::changes::Changes;

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

    pub(super) async fn ready(&mut self, seen: &mut Seen) -> io::Result<()> {
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

fn version(path: &Utf8Path) -> Option<Version> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}
