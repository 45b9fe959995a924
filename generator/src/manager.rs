//! The user's init system, as the commands need it: by project and instance.
//!
//! systemd and launchd do the same by different means. The listener in the foreground is the third,
//! for where there is neither; it lives as long as the command that it is. Must not know what any
//! command is for.

use std::collections::BTreeMap;

use doze_contract::{InstanceName, ProjectName, exit::Exit};
use doze_launchd::LaunchctlError;
use doze_units::Controller;

use crate::{
    dirs::{Dirs, Init},
    launchd::Launchd,
};

/// Why the init system did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagerError {
    #[cfg(target_os = "linux")]
    #[error("cannot start the event loop")]
    Runtime(#[source] std::io::Error),
    #[cfg(target_os = "linux")]
    #[error("the systemd user manager does not do its part")]
    Systemd(#[from] doze_units::manager::ManagerError),
    #[error("launchd does not do its part")]
    Launchd(#[from] LaunchctlError),
    #[error("{unit} did not {verb}: {result}")]
    Job {
        unit: String,
        verb: &'static str,
        result: String,
        /// Whether it runs something, and does not hold addresses.
        is_service: bool,
        hint: String,
    },
}

impl ManagerError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Job { hint, .. } => Some(hint.clone()),
            #[cfg(target_os = "linux")]
            Self::Runtime(_) | Self::Systemd(_) => None,
            Self::Launchd(_) => None,
        }
    }

    /// Whether it is about a service.
    pub(crate) fn is_of_service(&self) -> bool {
        matches!(self, Self::Job { is_service, .. } if *is_service)
    }

    /// Whether it is about this unit.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        matches!(self, Self::Job { unit, .. } if unit == name)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            #[cfg(target_os = "linux")]
            Self::Runtime(_) => Exit::Failed,
            #[cfg(target_os = "linux")]
            Self::Systemd(_) => Exit::NoManager,
            Self::Launchd(LaunchctlError::Run(_)) => Exit::NoManager,
            Self::Launchd(LaunchctlError::Refused { .. } | LaunchctlError::Stays { .. }) => {
                Exit::Failed
            }
            Self::Job { .. } => Exit::Failed,
        }
    }
}

/// The state of a part of a project that the init system knows: of one that holds addresses or one
/// that runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// It is not up, and nobody minds.
    #[default]
    Down,
    /// It is not up, for it failed.
    Failed,
    /// It failed, and is about to be started again.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only systemd tells")
    )]
    Retries,
    /// It is on the way up or down.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only systemd tells")
    )]
    Changes,
    /// It is up.
    Up,
}

impl Unit {
    pub(crate) fn is_active(self) -> bool {
        self == Self::Up
    }

    /// There may be processes of it.
    pub(crate) fn is_running(self) -> bool {
        !matches!(self, Self::Down | Self::Failed)
    }

    pub(crate) fn is_failed(self) -> bool {
        self == Self::Failed
    }
}

/// Units by name.
pub(crate) type Units = BTreeMap<String, Unit>;

/// A user's init system.
pub(crate) trait Manager {
    /// Which.
    fn init(&self) -> Init;

    /// Its version, for people.
    fn version(&self) -> Result<String, ManagerError>;

    /// Every unit of a project that it has loaded.
    fn units(&self, project: &ProjectName) -> Result<Units, ManagerError>;

    /// How a unit ended last.
    fn result(&self, unit: &str) -> Result<String, ManagerError>;

    /// Has it read the files again, where it does not by itself.
    fn reload(&self) -> Result<(), ManagerError>;

    /// The units among these whose files changed since it read them.
    fn unread(&self, units: &[String]) -> Result<Vec<String>, ManagerError>;

    /// Starts units; the results of those that did not start. If that takes longer than one likes
    /// to wait without a word, `late` is told the services that are not ready yet.
    fn start(
        &self,
        units: &[String],
        late: &mut dyn FnMut(&[String]),
    ) -> Result<Vec<ManagerError>, ManagerError>;

    /// Starts a unit, and nothing that it wants: each of those is started by itself, and one that
    /// is done by then would be started once more.
    fn start_alone(&self, unit: &str) -> Result<(), ManagerError>;

    /// Stops units that are loaded, and waits until they are.
    fn stop(&self, units: &[String]) -> Result<(), ManagerError>;

    /// Ends what services run now, while their sockets go on listening.
    fn end(&self, services: &[String]) -> Result<(), ManagerError>;

    /// Forgets that units failed, so that nothing of them is left when their files are gone.
    fn forget(&self, units: &[String]) -> Result<(), ManagerError>;

    /// Forgets how often instances of a project that is up were started, for what comes is no retry.
    fn rearm(&self, project: &ProjectName, instances: &[&InstanceName])
    -> Result<(), ManagerError>;

    /// Stops the whole project.
    fn down(&self, project: &ProjectName) -> Result<(), ManagerError>;

    /// The controllers with which it can hold a service to its limits.
    fn controllers(&self) -> Result<Vec<Controller>, ManagerError>;

    /// Those that hold a service that runs to a limit; nothing if it does not run.
    fn limited(&self, service: &str) -> Result<Option<Vec<Controller>>, ManagerError>;

    /// The files that units were read from; nothing of one that has none.
    fn fragments(&self, units: &[String]) -> Result<Vec<(String, String)>, ManagerError>;

    /// Units of a project that run and have lost their files.
    fn strays(&self, project: &ProjectName) -> Result<Vec<String>, ManagerError>;
}

/// The init system of this user; nothing if there is none that could hold anything.
pub(crate) fn connect(dirs: &Dirs) -> Result<Option<Box<dyn Manager>>, ManagerError> {
    match dirs.init {
        #[cfg(target_os = "linux")]
        Init::Systemd => {
            let systemd = crate::systemd::Systemd::connect()?;
            Ok(systemd.map(|systemd| Box::new(systemd) as Box<dyn Manager>))
        }
        Init::Launchd => {
            let launchd = Launchd::connect(dirs)?;
            Ok(launchd.map(|launchd| Box::new(launchd) as Box<dyn Manager>))
        }
        #[cfg(not(target_os = "linux"))]
        Init::Systemd => Ok(None),
        Init::Foreground => Ok(None),
    }
}
