//! How an error is told wherever a person reads it: with everything that caused it.

use std::error::Error;

/// The error and its causes on one line, outermost first.
///
/// A `Display` never repeats its source, so this is the whole story, told once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
