//! The text of the units, judged by systemd.
//!
//! No test here needs a running manager.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod golden;
mod parsed;
mod sample;
