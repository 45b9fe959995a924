//! The state of units, as the manager tells it.
//!
//! Must not know what the state means to doze.

use zbus::OwnedObjectPath;

use super::proxy::{Row, ServiceProxy, SocketProxy};

/// What a number reads that is not there (`MemoryCurrent=` without a memory controller).
const NOT_SET: u64 = u64::MAX;

/// The state of a loaded unit, in the words of `systemctl list-units`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    /// The name.
    pub name: String,
    /// `loaded`, `not-found`, `bad-setting`, `error`, `masked`.
    pub load: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`, `reloading`.
    pub active: String,
    /// The same in the words of its kind of unit, such as `listening` or `auto-restart`.
    pub sub: String,
    pub(super) path: OwnedObjectPath,
}

/// More about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Its main process, while there is one.
    pub main_pid: Option<u32>,
    /// How it ended last: `success`, `exit-code`, `signal`, `timeout`, …
    pub result: String,
    /// The text of its last `STATUS=` of `sd_notify(3)`.
    pub status: String,
    /// How often it was restarted by `Restart=`.
    pub restarts: u32,
    /// The memory of all its processes in bytes, where the kernel counts it.
    pub memory: Option<u64>,
}

/// More about a socket unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketState {
    /// How it ended last: `success`, `resources` (such as a port in use), …
    pub result: String,
}

impl UnitState {
    /// Whether it is up.
    pub fn is_active(&self) -> bool {
        self.active == "active" || self.active == "reloading"
    }

    /// Whether there may be anything of it: it is up, or on the way there or back.
    pub fn is_running(&self) -> bool {
        !matches!(self.active.as_str(), "inactive" | "failed")
    }

    /// Whether it failed.
    pub fn is_failed(&self) -> bool {
        self.active == "failed"
    }
}

impl From<Row> for UnitState {
    fn from((name, _, load, active, sub, _, path, ..): Row) -> Self {
        Self {
            name,
            load,
            active,
            sub,
            path,
        }
    }
}

impl ServiceState {
    pub(super) async fn ask(service: &ServiceProxy<'_>) -> zbus::Result<Self> {
        let pid = service.main_pid().await?;
        let memory = service.memory_current().await?;
        Ok(Self {
            main_pid: Some(pid).filter(|pid| *pid != 0),
            result: service.result().await?,
            status: service.status_text().await?,
            restarts: service.n_restarts().await?,
            memory: Some(memory).filter(|bytes| *bytes != NOT_SET),
        })
    }
}

impl SocketState {
    pub(super) async fn ask(socket: &SocketProxy<'_>) -> zbus::Result<Self> {
        let result = socket.result().await?;
        Ok(Self { result })
    }
}
