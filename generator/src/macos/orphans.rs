//! What a killed activator leaves behind, as far as this process can mend it: nothing.
//!
//! There is no child subreaper, so its engine is a child of launchd, and there is no filter on
//! sockets. The next activation finds the engine by the instance's file lock, which it holds.

use std::{io, os::fd::OwnedFd};

use doze_contract::Plan;
use rustix::process::{Pid, Signal, kill_process};

use super::Activators;

/// Would make this process the parent of every orphan below it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where there are subreapers it may not become one"
)]
pub(super) fn adopt() -> io::Result<()> {
    Ok(())
}

/// Would stop every orphan.
#[expect(
    clippy::unused_async,
    reason = "where there are any it takes until they are gone"
)]
pub(super) async fn stop(_activators: &Activators, _plan: &Plan) {}

/// Nobody is kept out of the sockets.
pub(super) fn open(_sockets: &[OwnedFd]) {}

/// Signals a child. One that is gone already needs no signal.
pub(super) fn signal(pid: Pid, signal: Signal) -> bool {
    kill_process(pid, signal).is_ok()
}
