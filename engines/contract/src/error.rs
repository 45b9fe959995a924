//! How an error is told wherever a person reads it: with everything that caused it.

use std::error::Error;

/// The error and its causes on one line, outermost first.
///
/// A `Display` of ours never repeats its source. Those of libraries do, at their end: so a cause
/// that has just been told is left out, and this is the whole story, told once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Of {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let of = |text| {
            let source = io::Error::other("no such file");
            chain(&Of { text, source })
        };
        assert_eq!(of("cannot read it"), "cannot read it: no such file");
        assert_eq!(of("not read: no such file"), "not read: no such file");
    }
}
