//! The conversation with one driver process: a line there, a line back.
//!
//! Must not know what is said.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use camino::Utf8Path;
use doze_contract::protocol::{Answer, Call, PROTOCOL, Request, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::DriverError;

/// What is said to ask this.
pub(super) fn line(path: &Utf8Path, call: Call) -> Result<String, DriverError> {
    let request = Request {
        protocol: PROTOCOL,
        call,
    };
    serde_json::to_string(&request).map_err(|error| DriverError::Silent {
        path: path.to_owned(),
        source: error.into(),
    })
}

/// What is meant by a line that came back.
pub(super) fn understand(path: &Utf8Path, said: &[u8]) -> Result<Answer, DriverError> {
    match serde_json::from_slice(said) {
        Ok(Response::Answer(answer)) => Ok(answer),
        Ok(Response::Error(message)) => Err(DriverError::Refused {
            path: path.to_owned(),
            message,
        }),
        Err(source) => Err(DriverError::Garbled {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The conversation with a driver process. Ending it ends the process.
#[derive(Debug)]
pub(super) struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talk {
    pub(super) fn start(path: &Utf8Path) -> Result<Self, DriverError> {
        Self::start_behind(&[], path)
    }

    /// Starts it with these words in front of its command line.
    pub(super) fn start_behind(launcher: &[String], path: &Utf8Path) -> Result<Self, DriverError> {
        let spawn = |source| DriverError::Spawn {
            path: path.to_owned(),
            source,
        };
        let mut words = launcher.iter().map(String::as_str).chain([path.as_str()]);
        let mut child = Command::new(words.next().unwrap_or_default())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(spawn)?;
        let input = child.stdin.take();
        let output = child
            .stdout
            .take()
            .ok_or_else(|| spawn(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, path: &Utf8Path, call: Call) -> Result<Answer, DriverError> {
        self.ask_within(path, call, None)
    }

    /// Likewise; a driver that takes longer than `within` is ended.
    pub(super) fn ask_within(
        &mut self,
        path: &Utf8Path,
        call: Call,
        within: Option<Duration>,
    ) -> Result<Answer, DriverError> {
        understand(path, &self.exchange(path, &line(path, call)?, within)?)
    }

    /// Says one line, and hears the one that comes back.
    pub(super) fn exchange(
        &mut self,
        path: &Utf8Path,
        line: &str,
        within: Option<Duration>,
    ) -> Result<Vec<u8>, DriverError> {
        let silent = |source| DriverError::Silent {
            path: path.to_owned(),
            source,
        };
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| silent(io::ErrorKind::BrokenPipe.into()))?;
        // One write(2), so that the driver wakes up once.
        input
            .write_all(format!("{line}\n").as_bytes())
            .map_err(silent)?;
        let said = match within {
            Some(within) => self.line_within(within),
            None => self.line(),
        };
        let mut said = said.map_err(silent)?;
        if said.last() == Some(&b'\n') {
            said.pop();
        }
        Ok(said)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        match self.output.read_until(b'\n', &mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    fn line_within(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        let give_up = Instant::now() + within;
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let left = give_up.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let output = self.output.get_ref();
            if poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&left))? == 0 {
                self.child.kill()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            let part = self.output.fill_buf()?;
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(part.len(), |end| end + 1);
            line.extend(part.iter().take(length));
            self.output.consume(length);
        }
        Ok(line)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.input.take());
        // A driver ends at the end of its input; its status has nothing to say any more.
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_driver_that_takes_too_long_is_ended() {
        let path = Utf8Path::new("1000");
        let mut talk = Talk::start_behind(&words(&["sleep"]), path).unwrap();
        let within = Some(Duration::from_millis(20));
        let error = talk.ask_within(path, Call::Describe, within).unwrap_err();
        let timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        assert!(
            matches!(&error, DriverError::Silent { source, .. } if timed_out(source)),
            "{error}"
        );
    }

    #[test]
    fn a_driver_is_heard_to_the_end_of_its_line_behind_its_launcher() {
        let path = Utf8Path::new("the driver");
        let script = r#"read -r line; printf '{"error":'; printf '"%s"}\nmore' "$0""#;
        let mut talk = Talk::start_behind(&words(&["sh", "-c", script]), path).unwrap();
        let within = Some(Duration::from_mins(1));
        let error = talk.ask_within(path, Call::Describe, within).unwrap_err();
        assert!(
            matches!(&error, DriverError::Refused { message, .. } if message == "the driver"),
            "{error}"
        );
    }
}
