//! Tests that cannot run here: said loudly, never silently.
//!
//! Must not know: what is missing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;

/// Names the file to which every skipped test adds a line; `tests/run` prints it at the end.
pub const SKIPPED: &str = "DOZE_TESTS_SKIPPED";

/// Says that the running test does not run here, and why.
pub fn skip(reason: &str) {
    say("SKIPPED", reason);
}

/// Says what the running test cannot show on this machine. No setup could help, so it
/// is listed like the others, and fails nothing.
pub fn unshown(reason: &str) {
    say("NOT SHOWN", reason);
}

fn say(word: &str, reason: &str) {
    let thread = thread::current();
    let line = format!("{word}: {}: {reason}\n", thread.name().unwrap_or("a test"));
    // Not `eprint!`, which the test harness would keep to itself.
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error takes a line");
    if let Some(path) = std::env::var_os(SKIPPED) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.write_all(line.as_bytes())
            .expect("the list of skipped tests takes a line");
    }
}

/// What a test cannot do without, or `None` after saying that it is skipped.
///
/// ```
/// # use doze_tests::{engines, needed};
/// let Some(postgres) = needed("the server programs of PostgreSQL", engines::postgres()) else {
///     return;
/// };
/// # drop(postgres);
/// ```
pub fn needed<T>(what: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        skip(&format!(
            "no {what} on this machine (tests/setup installs it)"
        ));
    }
    found
}
