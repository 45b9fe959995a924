//! The user manager of systemd: `org.freedesktop.systemd1` on the session bus.
//!
//! Owns the conversation: finding the bus, jobs and their ends, the state of units. It must not
//! know whose units they are or what stands in them.

mod bus;
mod cgroup;
mod job;
mod proxy;
mod state;

use std::{env, ffi::OsString, path::Path};

use zbus::{Connection, proxy::CacheProperties};

pub use self::{
    bus::ConnectError,
    job::JobResult,
    state::{ServiceState, SocketState, UnitState},
};
use self::{
    job::Verb,
    proxy::{ServiceProxy, SocketProxy, SystemdProxy, UnitProxy},
};
use crate::Controller;

/// A connection to the user manager.
///
/// It lives on the tokio runtime that it was made on, which may be a `current_thread` one.
#[derive(Debug)]
pub struct Manager {
    bus: Connection,
    systemd: SystemdProxy<'static>,
}

/// Why the user manager cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The connection could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call failed.
    #[error("cannot {what}")]
    Call {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: zbus::Error,
    },
    /// The connection ended while jobs were running.
    #[error("the session bus closed the connection while jobs were running")]
    Closed,
}

impl ManagerError {
    /// Whether this user simply has no manager, as in a container.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_absent(),
            Self::Call { .. } | Self::Closed => false,
        }
    }

    fn call(what: &'static str) -> impl FnOnce(zbus::Error) -> Self {
        move |source| Self::Call { what, source }
    }
}

impl Manager {
    /// Connects to the manager of this process's environment: `DBUS_SESSION_BUS_ADDRESS`, else
    /// `$XDG_RUNTIME_DIR/bus`. Without either there is no manager; none is guessed from the uid.
    pub async fn connect() -> Result<Self, ManagerError> {
        Self::connect_in(|name| env::var_os(name)).await
    }

    /// As [`Manager::connect`], in the environment that `var` gives.
    pub async fn connect_in(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, ManagerError> {
        let (bus, systemd) = bus::connect(var).await?;
        Ok(Self { bus, systemd })
    }

    /// The version of systemd, such as `252.38-1~deb12u1`.
    pub async fn version(&self) -> Result<String, ManagerError> {
        let call = self.systemd.version().await;
        call.map_err(ManagerError::call("ask systemd for its version"))
    }

    /// Reads all unit files again. Returns when that is done.
    pub async fn reload(&self) -> Result<(), ManagerError> {
        let call = self.systemd.reload().await;
        call.map_err(ManagerError::call("reload the unit files"))
    }

    /// Starts units, all at once, and waits for all; the result of each, in the given order.
    pub async fn start<U: AsRef<str>>(
        &self,
        units: &[U],
    ) -> Result<Vec<(String, JobResult)>, ManagerError> {
        job::run(&self.systemd, Verb::Start, units).await
    }

    /// Starts a unit, and nothing that it wants or needs.
    pub async fn start_alone<U: AsRef<str>>(
        &self,
        unit: U,
    ) -> Result<Vec<(String, JobResult)>, ManagerError> {
        job::run(&self.systemd, Verb::StartAlone, &[unit]).await
    }

    /// Stops units, all at once, and waits for all. One that is not loaded is stopped.
    pub async fn stop<U: AsRef<str>>(
        &self,
        units: &[U],
    ) -> Result<Vec<(String, JobResult)>, ManagerError> {
        job::run(&self.systemd, Verb::Stop, units).await
    }

    /// Restarts units, all at once, and waits for all; starts those that were not running.
    pub async fn restart<U: AsRef<str>>(
        &self,
        units: &[U],
    ) -> Result<Vec<(String, JobResult)>, ManagerError> {
        job::run(&self.systemd, Verb::Restart, units).await
    }

    /// Restarts those units that are running, all at once, and waits for all.
    pub async fn try_restart<U: AsRef<str>>(
        &self,
        units: &[U],
    ) -> Result<Vec<(String, JobResult)>, ManagerError> {
        job::run(&self.systemd, Verb::TryRestart, units).await
    }

    /// Forgets the failures of units; one that is not loaded has none.
    pub async fn reset_failed<U: AsRef<str>>(&self, units: &[U]) -> Result<(), ManagerError> {
        for unit in units {
            match self.systemd.reset_failed_unit(unit.as_ref()).await {
                Err(error) if !proxy::is_no_such_unit(&error) => {
                    return Err(ManagerError::call("reset failed units")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The loaded units whose names match any of these patterns of glob(7); one call.
    pub async fn units<P: AsRef<str>>(
        &self,
        patterns: &[P],
    ) -> Result<Vec<UnitState>, ManagerError> {
        let patterns: Vec<&str> = patterns.iter().map(AsRef::as_ref).collect();
        let call = self.systemd.list_units_by_patterns(&[], &patterns).await;
        let listed = call.map_err(ManagerError::call("list the units"))?;
        Ok(listed.into_iter().map(UnitState::from).collect())
    }

    /// Whether the files of a unit changed since they were read. Also true after a change of the
    /// file in `SourcePath=`.
    pub async fn needs_reload(&self, unit: &UnitState) -> Result<bool, ManagerError> {
        let ask = async {
            let builder = UnitProxy::builder(&self.bus).path(&unit.path);
            let proxy = builder
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            proxy.need_daemon_reload().await
        };
        ask.await
            .map_err(ManagerError::call("ask for the state of a unit"))
    }

    /// The file that a unit was read from; empty if it has none.
    pub async fn fragment(&self, unit: &UnitState) -> Result<String, ManagerError> {
        let ask = async {
            let builder = UnitProxy::builder(&self.bus).path(&unit.path);
            let proxy = builder
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            proxy.fragment_path().await
        };
        ask.await
            .map_err(ManagerError::call("ask for the file of a unit"))
    }

    /// More about a service.
    pub async fn service(&self, unit: &UnitState) -> Result<ServiceState, ManagerError> {
        let ask = async {
            let builder = ServiceProxy::builder(&self.bus).path(&unit.path);
            let proxy = builder
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            ServiceState::ask(&proxy).await
        };
        ask.await
            .map_err(ManagerError::call("ask for the state of a service"))
    }

    /// The controllers with which the manager can hold its services to a limit.
    pub async fn controllers(&self) -> Result<Vec<Controller>, ManagerError> {
        let call = self.systemd.control_group().await;
        let group = call.map_err(ManagerError::call("ask systemd for its cgroup"))?;
        Ok(cgroup::available(Path::new(cgroup::ROOT), &group))
    }

    /// The controllers that hold the processes of a service to a limit; nothing if it has none.
    pub async fn limited(&self, unit: &UnitState) -> Result<Option<Vec<Controller>>, ManagerError> {
        let ask = async {
            let builder = ServiceProxy::builder(&self.bus).path(&unit.path);
            let proxy = builder
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            proxy.control_group().await
        };
        let group = ask
            .await
            .map_err(ManagerError::call("ask for the cgroup of a service"))?;
        let group = Some(group).filter(|group| !group.is_empty());
        Ok(group.map(|group| cgroup::in_force(Path::new(cgroup::ROOT), &group)))
    }

    /// More about a socket unit.
    pub async fn socket(&self, unit: &UnitState) -> Result<SocketState, ManagerError> {
        let ask = async {
            let builder = SocketProxy::builder(&self.bus).path(&unit.path);
            let proxy = builder
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            SocketState::ask(&proxy).await
        };
        ask.await
            .map_err(ManagerError::call("ask for the state of a socket unit"))
    }
}
