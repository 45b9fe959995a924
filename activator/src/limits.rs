//! How many descriptors this process may have open, and so how many clients it can serve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sys;

/// Descriptors for everything but clients: listeners, pipes, the log, the status socket.
const OWN: u64 = 64;

/// Descriptors of one client: its connection and the one to the engine.
const PER_CLIENT: u64 = 2;

/// How many connections there is room for besides: of those who are being refused.
pub(crate) const SPARE: usize = 16;

/// Raises the soft limit as far as it goes. To be called when the engine is running: it keeps the
/// limit that it was started with, for which programs that use select(2) are grateful.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = [limit.maximum, sys::MOST_FILES];
    // Should it be refused, there are fewer clients at a time.
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most.into_iter().flatten().min(),
            maximum: limit.maximum,
        },
    )
    .unwrap_or_default();
}

/// How many clients the present limit has room for. Those beyond it are refused.
pub(crate) fn room() -> usize {
    match getrlimit(Resource::Nofile).current {
        Some(descriptors) => {
            let clients = descriptors.saturating_sub(OWN) / PER_CLIENT;
            usize::try_from(clients).unwrap_or(usize::MAX).max(1)
        }
        None => usize::MAX,
    }
}
