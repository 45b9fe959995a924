//! What the init system hears, by `sd_notify(3)`. Without one that listens it is all a no-op.

use std::{
    env,
    time::{Duration, Instant},
};

use doze_contract::status::Phase;
use sd_notify::NotifyState;

/// How much longer a boot asks for, and how often.
const MORE_MICROSECONDS: u32 = 15_000_000;
const AGAIN: Duration = Duration::from_secs(5);

/// The shortest time between two status texts that differ only in the number of connections: the
/// init system tells every one of them to whoever listens.
const PAUSE: Duration = Duration::from_secs(1);

/// Says one thing. That the init system does not hear it must not hurt the clients.
pub(crate) fn say(state: NotifyState<'_>) {
    sd_notify::notify(&[state]).unwrap_or_default();
}

/// Asks for more time again and again, for as long as it is polled.
pub(crate) async fn ask_for_patience() {
    loop {
        say(NotifyState::ExtendTimeoutUsec(MORE_MICROSECONDS));
        tokio::time::sleep(AGAIN).await;
    }
}

/// The status text, said when it changed and not too often.
#[derive(Debug)]
pub(crate) struct StatusText {
    heard: bool,
    said: Option<(Phase, usize, Instant)>,
}

impl StatusText {
    pub(crate) fn new() -> Self {
        Self {
            heard: env::var_os("NOTIFY_SOCKET").is_some(),
            said: None,
        }
    }

    /// Says the state if it is time to, else returns when it will be.
    pub(crate) fn update(&mut self, phase: Phase, connections: usize) -> Option<Instant> {
        if !self.heard {
            return None;
        }
        let now = Instant::now();
        if let Some((said, count, at)) = self.said
            && said == phase
        {
            if count == connections {
                return None;
            }
            if now < at + PAUSE {
                return Some(at + PAUSE);
            }
        }
        self.said = Some((phase, connections, now));
        say(NotifyState::Status(&match connections {
            1 => format!("{}, 1 connection", phase.word()),
            count => format!("{}, {count} connections", phase.word()),
        }));
        None
    }
}
