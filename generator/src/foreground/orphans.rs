//! What a killed activator leaves behind.
//!
//! Its engine becomes a child of this process. A child that was not waited for yet cannot have
//! passed its pid on to anybody, so signalling it is safe.

use std::{fs, io, os::fd::OwnedFd, time::Duration};

use doze_contract::{Plan, plan};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpgid, getpid, kill_process, kill_process_group,
    pidfd_open, set_child_subreaper, waitpid,
};
use socket2::SockRef;
use tokio::time::timeout;

use super::{Activators, watch};

/// How long an engine that was killed with its group may take to be gone.
const KILLED: Duration = Duration::from_secs(5);

/// Makes this process the parent of every orphan below it.
pub(super) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Stops every child that is not one of the activators, in the way the plan says, until there is
/// none: a dying engine may pass its own children on.
pub(super) async fn stop(activators: &Activators, plan: &Plan) {
    let stop = plan.body.members.last().map(|member| &member.stop);
    let (signal, within) = stop.map_or((Signal::TERM, KILLED), |stop| {
        (raw(stop.signal), stop.within)
    });
    let orphan = || {
        children()
            .into_iter()
            .find(|pid| !activators.borrow().contains(pid))
    };
    while let Some(pid) = orphan().and_then(Pid::from_raw) {
        self::signal(pid, signal);
        if timeout(within, exit(pid)).await.is_err() {
            kill_group(pid);
            drop(timeout(KILLED, exit(pid)).await);
        }
        if !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
            // It cannot even be killed; the instance lock keeps others off its data.
            return;
        }
    }
}

/// Lets clients in again whom a killed activator kept out of the sockets that its engine had.
pub(super) fn open(sockets: &[OwnedFd]) {
    for socket in sockets {
        // It has no filter, unless that activator closed it.
        drop(SockRef::from(socket).detach_filter());
    }
}

fn raw(signal: plan::Signal) -> Signal {
    match signal {
        plan::Signal::Int => Signal::INT,
        plan::Signal::Kill => Signal::KILL,
        plan::Signal::Quit => Signal::QUIT,
        plan::Signal::Term => Signal::TERM,
    }
}

/// Signals a child. One that is gone already needs no signal.
pub(super) fn signal(pid: Pid, signal: Signal) -> bool {
    kill_process(pid, signal).is_ok()
}

/// Kills the process, with its group if it has one apart from ours.
fn kill_group(pid: Pid) {
    match (getpgid(Some(pid)), getpgid(None)) {
        (Ok(group), Ok(ours)) if group != ours => kill_process_group(group, Signal::KILL).is_ok(),
        _ => signal(pid, Signal::KILL),
    };
}

async fn exit(pid: Pid) -> io::Result<()> {
    let fd: OwnedFd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    watch(fd)?.readable().await.map(drop)
}

/// The children of this process by proc(5).
fn children() -> Vec<i32> {
    let me = getpid().as_raw_nonzero().get().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| parent(*pid).as_deref() == Some(me.as_str()))
        .collect()
}

fn parent(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold anything, a parenthesis included.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1).map(ToOwned::to_owned)
}
