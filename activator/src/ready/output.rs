//! A line of a member's output, heard while it is on its way to the log.

use regex_lite::Regex;
use tokio::sync::oneshot;

/// The most of a line that is looked at, in bytes.
const LINE: usize = 4096;

/// The end that hears of the line.
#[derive(Debug)]
pub(crate) struct OutputWatch {
    heard: oneshot::Receiver<()>,
    ear: Option<Ear>,
}

impl OutputWatch {
    pub(super) fn new(pattern: &str) -> Result<Self, regex_lite::Error> {
        let (tell, heard) = oneshot::channel();
        let ear = Ear {
            pattern: Regex::new(pattern)?,
            line: Vec::new(),
            tell,
        };
        Ok(Self {
            heard,
            ear: Some(ear),
        })
    }

    /// What has to be shown the output; once.
    pub(super) fn ear(&mut self) -> Option<Ear> {
        self.ear.take()
    }

    /// Waits for the line. Output that is over does not say it any more.
    pub(super) async fn ready(&mut self) {
        if (&mut self.heard).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The end that is shown the output.
#[derive(Debug)]
pub(crate) struct Ear {
    pattern: Regex,
    line: Vec<u8>,
    tell: oneshot::Sender<()>,
}

impl Ear {
    /// Listens to the next bytes; gives itself back as long as there is something to listen for.
    /// A line is looked at before its end too: a program may wait there.
    pub(crate) fn hear(mut self, bytes: &[u8]) -> Option<Self> {
        if self.tell.is_closed() {
            return None;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend(text.unwrap_or(part).iter().take(room));
            let line = String::from_utf8_lossy(&self.line);
            if self.pattern.is_match(line.trim_end_matches('\r')) {
                // Whoever waits may have given up.
                self.tell.send(()).unwrap_or_default();
                return None;
            }
            if text.is_some() {
                self.line.clear();
            }
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many parts the pattern was heard.
    fn heard(pattern: &str, parts: &[&str]) -> Option<usize> {
        let mut watch = OutputWatch::new(pattern).unwrap();
        let mut ear = watch.ear();
        for (at, part) in parts.iter().enumerate() {
            ear = ear.and_then(|ear| ear.hear(part.as_bytes()));
            if watch.heard.try_recv().is_ok() {
                return Some(at + 1);
            }
        }
        None
    }

    #[test]
    fn a_line_is_heard_whole_in_parts_and_before_its_end() {
        assert_eq!(heard("ready", &["a\nnot yet\nready now\nb\n"]), Some(1));
        assert_eq!(heard("^ready$", &["rea", "d", "y\r\n"]), Some(3));
        assert_eq!(heard(r"port \d+>", &["port 80", "80> "]), Some(2));
        assert_eq!(heard("^ready$", &["al", "ready\n", "is ready\n"]), None);
    }

    #[test]
    fn nothing_is_heard_across_lines_or_beyond_the_bound() {
        assert_eq!(heard("one.*two", &["one\ntwo\n", "one\n", "two"]), None);
        let long = "x".repeat(LINE);
        assert_eq!(heard("ready", &[&long, "ready", "\nready\n"]), Some(3));
    }

    #[test]
    fn an_ear_that_nobody_waits_for_is_closed() {
        let mut watch = OutputWatch::new("ready").unwrap();
        let ear = watch.ear().unwrap();
        drop(watch);
        assert!(ear.hear(b"steady\n").is_none());
    }
}
