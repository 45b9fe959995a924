//! What outlives its parent below this process.
//!
//! There is no child subreaper, and no list of children: whoever loses its parent is launchd's. What
//! stays in the group of its parent is killed with that; what has left it, such as the children of a
//! Postgres, keeps the instance's file lock that it inherited, so that nobody opens the data while
//! it lives. Must not know what an engine is.

use std::{io, time::Duration};

use rustix::process::{Pid, test_kill_process_group};
use tokio::time::sleep;

/// How often to look whether a group is gone. Nothing tells.
const POLL: Duration = Duration::from_millis(1);

/// Would make this process the parent of every orphan below it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where there are subreapers it may not become one"
)]
pub(crate) fn adopt() -> io::Result<()> {
    Ok(())
}

/// Who reaps a child matters only where orphans become children.
pub(crate) fn own(_child: Pid) {}

/// The same for one that was reaped.
pub(crate) fn disown(_child: Pid) {}

/// Would kill every orphan; whether that was possible.
#[expect(
    clippy::unused_async,
    reason = "where there are any it takes until they are gone"
)]
pub(crate) async fn end() -> bool {
    true
}

/// Waits until nobody is left in a process group. The number of a group is nobody else's as long as
/// somebody is.
pub(crate) async fn group_gone(group: Pid) -> io::Result<()> {
    while test_kill_process_group(group).is_ok() {
        sleep(POLL).await;
    }
    Ok(())
}
