//! Ctrl-C, and a polite kill, while something is half done: that goes first, then this process.
//!
//! A signal that is caught once is caught until the process ends (signal(7)), so from the first
//! watch on it is this that ends it. Must not know what is done.

use std::{
    io,
    process::exit,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    select,
    signal::unix::{Signal, SignalKind, signal},
};

/// What a shell makes of a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// What has to be done first.
type CleanUp = Box<dyn FnOnce() + Send>;

static STARTED: Once = Once::new();
static CLEAN_UP: Mutex<Option<CleanUp>> = Mutex::new(None);
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// As long as it lives, this is done when a signal comes.
#[derive(Debug)]
pub(crate) struct Watch(());

impl Watch {
    /// Without a thread to watch, a signal ends the process at once, as it would anyway.
    pub(crate) fn new(clean_up: impl FnOnce() + Send + 'static) -> Self {
        *locked() = Some(Box::new(clean_up));
        STARTED.call_once(|| drop(start()));
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(locked().take());
    }
}

/// From now on somebody else in this process acts on the signals.
pub(crate) fn leave_to_others() {
    IS_TAKEN.store(true, Ordering::SeqCst);
}

fn start() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before this returns, so that none is missed.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let caught = |kind| -> io::Result<Signal> { signal(kind) };
        (
            caught(SignalKind::interrupt())?,
            caught(SignalKind::terminate())?,
        )
    };
    let watch = move || {
        runtime.block_on(async {
            loop {
                select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if !IS_TAKEN.load(Ordering::SeqCst) {
                    end();
                }
            }
        });
    };
    thread::Builder::new().spawn(watch).map(drop)
}

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "as the signal would, had it not been caught"
)]
fn end() {
    let clean_up = locked().take();
    if let Some(clean_up) = clean_up {
        clean_up();
    }
    exit(INTERRUPTED);
}

fn locked() -> MutexGuard<'static, Option<CleanUp>> {
    CLEAN_UP.lock().unwrap_or_else(PoisonError::into_inner)
}
