//! The signals to a command which has the terminal. Must not know what is put in order after them.

use std::{io, thread};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// From now on SIGINT, SIGTERM and SIGHUP do not kill this process: the first of them does `stop`.
/// SIGCONT, which comes after whatever stopped it, does `resume` each time.
pub(crate) fn watch(
    stop: impl FnOnce() + Send + 'static,
    resume: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut int, mut term, mut hup, mut cont) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::from_raw(Signal::CONT.as_raw()))?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = cont.recv() => resume(),
                    _ = int.recv() => break,
                    _ = term.recv() => break,
                    _ = hup.recv() => break,
                }
            }
        });
        stop();
    });
    Ok(())
}
