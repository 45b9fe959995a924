//! How an error reads in the log: with everything that caused it.

use std::{error::Error, fmt::Write};

/// The error and its causes on one line, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a String cannot fail.
        if write!(text, ": {cause}").is_err() {
            break;
        }
        next = cause.source();
    }
    text
}
