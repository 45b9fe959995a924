//! The lines that a process prints, looked through for one that says it is ready. It must not know
//! whose they are.

use std::io::{ErrorKind, Read};

use doze_contract::error::chain;
use regex_lite::Regex;

/// The word of the command line that a pattern follows.
pub const MATCH: &str = "match";

/// The most of a line that is looked at, in bytes.
const LINE: usize = 4096;

/// Reads `input` until a line of it matches the regular expression `pattern`, or to its end; whether
/// one did. A line is looked at before its end too: a program may wait there.
///
/// # Errors
///
/// Why nothing can be told: the pattern is none, or the input cannot be read.
pub fn matches(pattern: &str, mut input: impl Read) -> Result<bool, String> {
    let pattern = Regex::new(pattern)
        .map_err(|error| format!("`{pattern}` is no regular expression: {}", chain(&error)))?;
    let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("cannot read the output: {error}")),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            let room = LINE.saturating_sub(line.len());
            line.extend(text.unwrap_or(part).iter().take(room));
            let read = String::from_utf8_lossy(&line);
            if pattern.is_match(read.trim_end_matches('\r')) {
                return Ok(true);
            }
            if text.is_some() {
                line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, io};

    use super::*;

    /// An input that comes in these parts, one at each read.
    struct Parts<'a>(VecDeque<&'a str>);

    impl Read for Parts<'_> {
        fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
            let part = self.0.pop_front().unwrap_or_default();
            io::Write::write(&mut buffer, part.as_bytes())
        }
    }

    /// How many parts are left when the pattern has matched.
    fn left(pattern: &str, parts: &[&str]) -> Option<usize> {
        let mut input = Parts(parts.iter().copied().collect());
        let matched = matches(pattern, &mut input).unwrap();
        matched.then_some(input.0.len())
    }

    #[test]
    fn a_line_is_found_whole_in_parts_and_before_its_end() {
        assert_eq!(left("ready", &["a\nnot yet\nready now\nb\n", "c"]), Some(1));
        assert_eq!(left("^ready$", &["rea", "d", "y\r\n"]), Some(0));
        assert_eq!(left(r"port \d+>", &["port 80", "80> ", "x"]), Some(1));
        assert_eq!(left("^ready$", &["al", "ready\n", "is ready\n"]), None);
    }

    #[test]
    fn nothing_is_found_across_lines_or_beyond_the_bound() {
        assert_eq!(left("one.*two", &["one\ntwo\n", "one\n", "two"]), None);
        let long = "x".repeat(LINE);
        assert_eq!(left("ready", &[&long, "ready", "\nready\n", "a"]), Some(1));
    }

    #[test]
    fn a_pattern_that_is_none_is_said() {
        let said = matches("(", io::empty()).unwrap_err();
        assert!(said.starts_with("`(` is no regular expression: "), "{said}");
    }
}
