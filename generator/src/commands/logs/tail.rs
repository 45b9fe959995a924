//! One log: its file, the older one that it was before, and what is added to it.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::Wanted;
use crate::{
    folders::Folders,
    fsx::{make_folder, missing_is_none},
};

/// What an activator says last; what comes then is of the next one.
const LEAVING: &str = " leaving with exit status ";

/// The log of one instance, and how far it was printed.
#[derive(Debug)]
pub(super) struct Tail {
    path: Utf8PathBuf,
    prefix: String,
    file: Option<File>,
    /// The begin of a line whose end is not there yet; only where lines have a prefix.
    begun: Vec<u8>,
}

impl Tail {
    pub(super) fn new(path: Utf8PathBuf, prefix: String) -> Self {
        Self {
            path,
            prefix,
            file: None,
            begun: Vec::new(),
        }
    }

    /// Prints what is there. An activator keeps no more than 8 MiB.
    pub(super) fn begin(&mut self, wanted: Wanted, to: &mut impl Write) -> io::Result<()> {
        // Opened first: if it turns into the older one now, that one is read to its end as well.
        self.file = missing_is_none(File::open(&self.path))?;
        let older = missing_is_none(File::open(format!("{}.1", self.path)))?;
        let mut text = Vec::new();
        if let (Some(mut older), current) = (older, &self.file) {
            let ours = current.as_ref().map(File::metadata).transpose()?;
            if ours.is_none_or(|ours| older.metadata().is_ok_and(|old| old.ino() != ours.ino())) {
                io::copy(&mut older, &mut text)?;
            }
        }
        if let Some(file) = &mut self.file {
            io::copy(file, &mut text)?;
        }
        let mut from = 0;
        if wanted.since_boot {
            from = last_boot(&text);
        }
        if let Some(lines) = wanted.lines {
            from = from.max(last_lines(&text, lines));
        }
        self.print(text.get(from..).unwrap_or_default(), to)?;
        if wanted.follow {
            return Ok(());
        }
        self.finish(to)
    }

    /// Prints what was added. A log that was replaced by a new one is printed to its end, and then
    /// the new one.
    fn go_on(&mut self, to: &mut impl Write) -> io::Result<()> {
        loop {
            let there = missing_is_none(fs::metadata(&self.path))?.map(|found| found.ino());
            let mut open = None;
            if let Some(file) = &mut self.file {
                let found = file.metadata()?;
                open = Some(found.ino());
                if found.len() < file.stream_position()? {
                    file.seek(SeekFrom::Start(0))?;
                }
                let mut text = Vec::new();
                io::copy(file, &mut text)?;
                self.print(&text, to)?;
            }
            if there.is_none() || there == open {
                return to.flush();
            }
            self.file = missing_is_none(File::open(&self.path))?;
        }
    }

    fn print(&mut self, text: &[u8], to: &mut impl Write) -> io::Result<()> {
        if self.prefix.is_empty() {
            return to.write_all(text);
        }
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(line);
            if line.ends_with(b"\n") {
                to.write_all(self.prefix.as_bytes())?;
                to.write_all(&self.begun)?;
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Prints a line that has no end.
    fn finish(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        self.print(b"\n", to)
    }
}

/// Watches the folder of the logs, which is made if need be.
pub(super) fn watch(folder: &Utf8Path) -> io::Result<Folders> {
    make_folder(folder)?;
    let mut watch = Folders::new()?;
    watch.files(folder)?;
    Ok(watch)
}

/// Prints what is added to logs of a folder, until somebody interrupts.
pub(super) fn follow(
    mut watch: Folders,
    tails: &mut [Tail],
    to: &mut impl Write,
) -> io::Result<()> {
    watch.each(|name| {
        let is_its = |tail: &&mut Tail| name.is_none_or(|name| tail.path.file_name() == Some(name));
        tails
            .iter_mut()
            .filter(is_its)
            .try_for_each(|tail| tail.go_on(to))
    })
}

/// Where the lines of the last activator begin. One that was killed has said no last word, so what
/// it said counts as the next one's.
fn last_boot(text: &[u8]) -> usize {
    let mut begins = 0;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = String::from_utf8_lossy(line);
        if line.starts_with("doze: ") && line.contains(LEAVING) && at < text.len() {
            begins = at;
        }
    }
    begins
}

/// Where the last lines begin.
fn last_lines(text: &[u8], count: usize) -> usize {
    let ends = text.iter().enumerate().rev();
    let mut ends = ends
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    // The end of the text ends a line, whether there is a mark or not.
    let whole = text.ends_with(b"\n");
    match count.checked_sub(usize::from(!whole)) {
        Some(before) => ends.nth(before).unwrap_or(0),
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_boot_begins_behind_the_last_word_of_the_one_before() {
        let first = "doze: T creating /data\nlog\ndoze: T leaving with exit status 0\n";
        let second = "log 2\ndoze: T ready\n";
        assert_eq!(last_boot(b""), 0);
        assert_eq!(last_boot(first.as_bytes()), 0);
        let both = format!("{first}{second}");
        assert_eq!(last_boot(both.as_bytes()), first.len());
        let over = format!("{both}doze: T leaving with exit status 1\n");
        assert_eq!(last_boot(over.as_bytes()), first.len());
        let said = "an engine leaving with exit status 3\nx\n";
        assert_eq!(last_boot(said.as_bytes()), 0);
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let last = |text: &str, count| {
            text.split_at(last_lines(text.as_bytes(), count))
                .1
                .to_owned()
        };
        assert_eq!(last("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc");
        assert_eq!(last("a\nb\nc", 9), "a\nb\nc");
        assert_eq!(last("a\nb\n", 0), "");
        assert_eq!(last("a\nb", 0), "");
        assert_eq!(last("", 3), "");
    }

    #[test]
    fn every_line_has_its_prefix_and_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("app.log")).unwrap();
        let wanted = Wanted {
            follow: true,
            since_boot: false,
            lines: None,
        };
        let add = |text: &str| {
            let mut file = File::options()
                .append(true)
                .create(true)
                .open(&path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        add("one\ntw");
        let (mut tail, mut said) = (Tail::new(path.clone(), "app | ".into()), Vec::new());
        tail.begin(wanted, &mut said).unwrap();
        assert_eq!(said, b"app | one\n");
        add("o\nold\n");
        fs::rename(&path, format!("{path}.1")).unwrap();
        add("new\nha");
        tail.go_on(&mut said).unwrap();
        let all = "app | one\napp | two\napp | old\napp | new\n";
        assert_eq!(String::from_utf8_lossy(&said), all);

        let (mut tail, mut said) = (Tail::new(path, "app | ".into()), Vec::new());
        let wanted = Wanted {
            follow: false,
            ..wanted
        };
        tail.begin(wanted, &mut said).unwrap();
        let all = format!("{all}app | ha\n");
        assert_eq!(String::from_utf8_lossy(&said), all);
    }
}
