//! What outlives its parent below this process.
//!
//! A server may leave the group that its activator kills: the children of a Postgres call
//! setsid(2). While one of them lives it has the data directory open. So this process is a child
//! subreaper (prctl(2)): whoever loses its parent becomes a child of it, and then its pid is
//! proof enough. Must not know what an engine is.

use std::{
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpgid, getpid, kill_process,
        set_child_subreaper, waitid, waitpid,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use crate::task;

/// How long what is killed may take to be gone. Only the kernel can hold it up.
const GONE: Duration = Duration::from_secs(2);

/// How often to look whether it is: a child that is killed may leave children of its own, and
/// nothing tells when they arrive.
const POLL: Duration = Duration::from_millis(1);

/// The children that are no orphans and were not reaped: a few at most. There is one list for the
/// whole program, as there is one of its children.
static OWNED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Makes this process the parent of every orphan below it. Those that end by themselves are
/// reaped as they do.
pub(crate) fn adopt() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let mut ended = signal(SignalKind::child())?;
    task::spawn(async move {
        while ended.recv().await.is_some() {
            reap();
        }
    });
    Ok(())
}

/// Says that a child was started here, and is reaped by whoever did.
pub(crate) fn own(child: Pid) {
    owned().push(child);
}

/// Says that it was reaped.
pub(crate) fn disown(child: Pid) {
    owned().retain(|pid| *pid != child);
}

/// Kills and reaps every orphan, until there is none; whether that was possible. Without any
/// child it is a single look.
pub(crate) async fn end() -> bool {
    let give_up = Instant::now() + GONE;
    while kill() {
        if Instant::now() >= give_up {
            return false;
        }
        sleep(POLL).await;
    }
    true
}

/// Waits until no orphan is left in a process group. The number of a group is nobody else's as long
/// as one is.
pub(crate) async fn group_gone(group: Pid) -> io::Result<()> {
    let mut ended = signal(SignalKind::child())?;
    loop {
        reap();
        let mut orphans = orphans().into_iter();
        if !orphans.any(|orphan| getpgid(Some(orphan)) == Ok(group)) {
            return Ok(());
        }
        ended.recv().await;
    }
}

/// Kills all orphans of this moment; whether there are any.
fn kill() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if matches!(waitid(WaitId::All, options), Err(Errno::CHILD)) {
        return false;
    }
    let orphans = orphans();
    for orphan in &orphans {
        // One that has ended already needs no signal; a later look shows whether it is gone.
        kill_process(*orphan, Signal::KILL).ok();
        waitpid(Some(*orphan), WaitOptions::NOHANG).ok();
    }
    !orphans.is_empty()
}

/// Reaps the orphans that have ended.
fn reap() {
    for orphan in orphans() {
        // One that has not is left alone.
        waitpid(Some(orphan), WaitOptions::NOHANG).ok();
    }
}

/// The children of this process that nobody owns, by proc(5): all belong
/// to the main thread, on which everything here runs. The list is exact, for nobody else reaps
/// while it is read.
fn orphans() -> Vec<Pid> {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let pids = children.split_whitespace();
    let pids = pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    pids.filter(|pid| !owned().contains(pid)).collect()
}

fn owned() -> MutexGuard<'static, Vec<Pid>> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}
