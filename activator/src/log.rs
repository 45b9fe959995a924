//! The log of an instance: the activator's own lines and whatever the engine prints.
//!
//! Owns the log file and keeps it bounded. The same bytes go to the activator's standard error
//! (the journal, or a terminal), as far as that takes them without waiting: a log that nobody
//! reads must not stop an engine.

use std::{
    collections::VecDeque,
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A file that grew past this becomes the old one, in bytes.
const FULL: u64 = 4 * 1024 * 1024;

/// How much of the engine's output is remembered for the message about a failed boot, in bytes.
const TAIL: usize = 2048;

/// How many lines of it such a message shows.
const TAIL_LINES: usize = 5;

/// `PIPE_BUF` of pipe(7): poll(2) promises that a writable pipe takes this much.
const AT_ONCE: usize = 4096;

/// A handle to the log; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: Utf8PathBuf,
    file: File,
    size: u64,
    full: u64,
    echoes: bool,
    line_begun: bool,
    tail: VecDeque<u8>,
}

impl Log {
    /// Opens the log for appending, with its folder. Unless standard error leads there anyway, it
    /// `echoes`.
    pub(crate) fn open(path: &Utf8Path, echoes: bool) -> io::Result<Self> {
        Self::with_bound(path, FULL, echoes)
    }

    fn with_bound(path: &Utf8Path, full: u64, echoes: bool) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Inner {
            path: path.to_owned(),
            file,
            size,
            full,
            echoes,
            line_begun: false,
            tail: VecDeque::new(),
        }))))
    }

    /// Writes a line of the activator itself.
    pub(crate) fn say(&self, text: fmt::Arguments<'_>) {
        self.with(|inner| {
            let begun = if inner.line_begun { "\n" } else { "" };
            let now = Timestamp(SystemTime::now());
            inner.write(format!("{begun}doze: {now} {text}\n").as_bytes());
        });
    }

    /// Writes what a process of the engine printed.
    pub(crate) fn pass(&self, bytes: &[u8]) {
        self.with(|inner| {
            inner.tail.extend(bytes);
            let excess = inner.tail.len().saturating_sub(TAIL);
            inner.tail.drain(..excess);
            inner.write(bytes);
        });
    }

    /// Forgets what the engine has printed: another one comes.
    pub(crate) fn forget_words(&self) {
        self.with(|inner| inner.tail.clear());
    }

    /// The last lines that the engine printed, as one line that goes on from a reason; empty if it
    /// printed nothing.
    pub(crate) fn last_words(&self) -> String {
        self.with(|inner| {
            let text = String::from_utf8_lossy(inner.tail.make_contiguous()).into_owned();
            let lines: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .collect();
            let from = lines.len().saturating_sub(TAIL_LINES);
            match lines.get(from..) {
                None | Some([]) => String::new(),
                Some(last) => format!("; it said: {}", last.join(" | ")),
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn write(&mut self, bytes: &[u8]) {
        self.line_begun = bytes.last().is_some_and(|byte| *byte != b'\n');
        if self.echoes {
            echo(bytes);
        }
        // A full disk costs the log, not the service: there is nobody left to tell.
        if self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
        if self.size > self.full && self.turn().is_err() {
            // Try again one bound later rather than at every line.
            self.size = 0;
        }
    }

    /// Makes the file the old one and begins a new one.
    fn turn(&mut self) -> io::Result<()> {
        fs::rename(&self.path, format!("{}.1", self.path))?;
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn append(path: &Utf8Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Repeats `bytes` on standard error, and drops what it does not take at once.
fn echo(bytes: &[u8]) {
    let mut stderr = io::stderr().lock();
    for part in bytes.chunks(AT_ONCE) {
        let ready = {
            let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
            poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready == 1)
                && fds.iter().all(|fd| fd.revents() == PollFlags::OUT)
        };
        if !ready || stderr.write_all(part).is_err() {
            return;
        }
    }
}

/// A time as RFC 3339 writes it, in UTC with milliseconds.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (year, month, day) = date(since.as_secs() / 86_400);
        let second = since.as_secs() % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            since.subsec_millis()
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Counted from
/// a first of March, so that the leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (next, month) = if month < 10 {
        (0, month + 3)
    } else {
        (1, month - 9)
    };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use super::*;

    fn world() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("logs/app.log")).unwrap();
        (folder, path)
    }

    #[test]
    fn a_full_log_becomes_the_old_one_and_both_are_bounded() {
        let (_folder, path) = world();
        let log = Log::with_bound(&path, 100, false).unwrap();
        for round in 0..50 {
            log.pass(format!("line {round} of the engine\n").as_bytes());
        }
        let old = fs::read_to_string(format!("{path}.1")).unwrap();
        let new = fs::read_to_string(&path).unwrap();
        assert!(old.len() <= 130 && new.len() <= 130, "{old}---\n{new}");
        assert!(format!("{old}{new}").ends_with("line 49 of the engine\n"));
    }

    #[test]
    fn own_lines_begin_at_the_start_of_a_line() {
        let (_folder, path) = world();
        let log = Log::with_bound(&path, FULL, false).unwrap();
        log.pass(b"half a line");
        log.say(format_args!("ready"));
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "half a line");
        assert!(
            lines[1].starts_with("doze: 2") && lines[1].ends_with("Z ready"),
            "{text}"
        );
    }

    #[test]
    fn only_the_user_reads_it() {
        let (_folder, path) = world();
        let _log = Log::open(&path, true).unwrap();
        let mode = |path: &Utf8Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn the_last_words_are_the_last_lines() {
        let (_folder, path) = world();
        let log = Log::with_bound(&path, FULL, false).unwrap();
        assert_eq!(log.last_words(), "");
        log.pass(&[b'x'; 3 * TAIL]);
        log.pass(b"\na\nb\n\nc\nd\n");
        log.pass(b"bad directive\n");
        assert_eq!(log.last_words(), "; it said: a | b | c | d | bad directive");
        log.forget_words();
        assert_eq!(log.last_words(), "");
    }

    #[test]
    fn timestamps_know_the_calendar() {
        let text = |seconds| Timestamp(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_399), "2000-02-28T23:59:59.000Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_798_761_599), "2026-12-31T23:59:59.000Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.000Z");
    }
}
