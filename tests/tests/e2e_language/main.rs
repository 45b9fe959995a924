//! The language of `doze.toml`, a line of `docs/reference/acceptance.md` a test.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise fails the test, and says what it was"
)]

mod blocks;
mod files;
mod folder;
mod references;
mod secrets;
mod stamps;
mod values;
