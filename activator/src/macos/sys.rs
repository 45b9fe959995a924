//! What macOS does in another way than Linux, each in a call or two.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
};

use kqueue::{EventFilter, FilterFlag, Watcher};
use rustix::{
    io::{FdFlags, dup2, fcntl_setfd, ioctl_fionbio},
    process::{Signal, getpid, getppid, kill_process},
};

/// The most descriptors that a process may ask for, whatever its hard limit says: `OPEN_MAX` of
/// setrlimit(2), which refuses more, and so what is unlimited by default.
pub(crate) const MOST_FILES: Option<u64> = Some(10240);

/// Whether a unix socket whose backlog is full refuses a client as if nobody listened there
/// (connect(2), ECONNREFUSED).
pub(crate) const REFUSES_WHEN_FULL: bool = true;

/// Accepts a connection, non-blocking and closed on exec. There is one thread, so nothing is started
/// in between.
pub(crate) fn accept(listener: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::accept(listener)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Puts a copy of a descriptor in the place of another one, closed on exec.
pub(crate) fn put(fd: impl AsFd, place: &mut OwnedFd) -> io::Result<()> {
    dup2(fd, place)?;
    Ok(fcntl_setfd(place, FdFlags::CLOEXEC)?)
}

/// Has this process be asked to leave (SIGTERM) when its parent has ended, by a thread that waits for
/// that with kqueue(2) and reads nothing else.
pub(crate) fn follow_parent() -> io::Result<()> {
    let mut parent = Watcher::new()?;
    let pid = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    parent.add_pid(pid, EventFilter::EVFILT_PROC, FilterFlag::NOTE_EXIT)?;
    // Fails if it has ended by now.
    parent.watch()?;
    thread::spawn(move || {
        if parent.poll_forever(None).is_some() {
            kill_process(getpid(), Signal::TERM).ok();
        }
    });
    Ok(())
}
