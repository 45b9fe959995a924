//! What an activator says on the two sockets of its own.
//!
//! On the status socket it answers every line of a client: a [`Question`] as JSON. On the wake
//! socket it listens to nothing; it sends each client one line, [`WAKE_READY`] or
//! [`WAKE_FAILED`] followed by the reason, as soon as that is known, and holds the instance awake
//! until the client is gone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The line on the wake socket when the engine is ready.
pub const WAKE_READY: &str = "ready";

/// The start of the line on the wake socket when the engine could not boot.
pub const WAKE_FAILED: &str = "failed: ";

/// A line that a client sends on the status socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Answered by one line with a [`Status`].
    Status,
    /// Stop the engine now, whoever is connected, and leave. Not answered; the connection ends
    /// when the engine is gone.
    Sleep,
}

/// The phases of an awake instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The engine is not ready yet; clients wait.
    Booting,
    /// Clients are served.
    Serving,
    /// The engine is ready and nobody needs it.
    Idling,
    /// The engine is being stopped.
    Draining,
    /// The engine could not boot; whoever comes waits a while for the next try.
    Failed,
}

impl Phase {
    /// The word for it, as in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Serving => "serving",
            Self::Idling => "idling",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

/// The state of an awake instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Client connections, waiting ones included.
    pub connections: usize,
    /// Connections to the wake socket.
    pub holds: usize,
    /// The activator's process.
    pub activator_pid: u32,
    /// The engine's first process, while it lives.
    pub engine_pid: Option<u32>,
    /// Milliseconds from the activator's start until the engine was ready.
    pub boot_ms: Option<u64>,
    /// Milliseconds until the idle exit, while it is armed.
    pub sleeps_in_ms: Option<u64>,
    /// The revision of the plan that it runs.
    pub revision: String,
    /// Why the last boot failed.
    pub error: Option<String>,
}

impl Status {
    /// The time until the idle exit, while it is armed.
    pub fn sleeps_in(&self) -> Option<Duration> {
        self.sleeps_in_ms.map(Duration::from_millis)
    }
}
