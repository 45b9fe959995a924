//! The user manager of systemd, as the commands need it: by project and instance.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    pin::pin,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{ProjectName, exit::Exit};
use doze_units::{
    Controller, Prefix,
    manager::{JobResult, Manager, ManagerError, UnitState},
};
use tokio::{runtime::Runtime, time::timeout};

use crate::{changes::Unit, fsx};

/// How long a start is waited for without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the manager did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemdError {
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
    #[error("the systemd user manager does not do its part")]
    Manager(#[from] ManagerError),
    #[error("{unit} did not {verb}: {result}")]
    Job {
        unit: String,
        verb: &'static str,
        result: String,
    },
}

impl SystemdError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Job { unit, .. } => Some(format!("systemctl --user status '{unit}'")),
            Self::Runtime(_) | Self::Manager(_) => None,
        }
    }

    /// Whether it is about a service.
    pub(crate) fn is_of_service(&self) -> bool {
        matches!(self, Self::Job { unit, .. } if unit.ends_with(".service"))
    }

    /// Whether it is about this unit.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        matches!(self, Self::Job { unit, .. } if unit == name)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Manager(_) => Exit::NoManager,
            Self::Runtime(_) | Self::Job { .. } => Exit::Failed,
        }
    }
}

/// A connection to the user manager.
pub(crate) struct Systemd {
    runtime: Runtime,
    manager: Manager,
}

impl Systemd {
    /// Connects; nothing if this user has no manager.
    pub(crate) fn connect() -> Result<Option<Self>, SystemdError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SystemdError::Runtime)?;
        match runtime.block_on(Manager::connect()) {
            Ok(manager) => Ok(Some(Self { runtime, manager })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The state of every unit of a project that the manager has loaded.
    pub(crate) fn states(
        &self,
        project: &ProjectName,
    ) -> Result<BTreeMap<String, UnitState>, SystemdError> {
        let prefix = Prefix::of(project);
        let states = self
            .runtime
            .block_on(self.manager.units(&prefix.patterns()))?;
        Ok(states
            .into_iter()
            .map(|state| (state.name.clone(), state))
            .collect())
    }

    /// The files that units were read from; nothing of one that has none.
    pub(crate) fn fragments(
        &self,
        units: &[String],
    ) -> Result<Vec<(String, String)>, SystemdError> {
        let states = self.runtime.block_on(self.manager.units(units))?;
        let mut fragments = Vec::new();
        for unit in states {
            let path = self.runtime.block_on(self.manager.fragment(&unit))?;
            fragments.push((unit.name, path));
        }
        Ok(fragments)
    }

    /// The version of systemd.
    pub(crate) fn version(&self) -> Result<String, SystemdError> {
        Ok(self.runtime.block_on(self.manager.version())?)
    }

    /// The units whose files changed since the manager read them.
    pub(crate) fn unread<'a>(
        &self,
        units: impl IntoIterator<Item = &'a UnitState>,
    ) -> Result<Vec<&'a str>, SystemdError> {
        let mut unread = Vec::new();
        for unit in units {
            if self.runtime.block_on(self.manager.needs_reload(unit))? {
                unread.push(unit.name.as_str());
            }
        }
        Ok(unread)
    }

    /// Whether a file that a unit comes from changed since the manager read it; not so if it has none
    /// of this name.
    pub(crate) fn is_unread(&self, unit: &str) -> Result<bool, SystemdError> {
        let states = self.runtime.block_on(self.manager.units(&[unit]))?;
        Ok(!self.unread(&states)?.is_empty())
    }

    /// How a service or a socket ended last.
    pub(crate) fn result(&self, unit: &UnitState) -> Result<String, SystemdError> {
        Ok(if unit.name.ends_with(".socket") {
            self.runtime.block_on(self.manager.socket(unit))?.result
        } else if unit.name.ends_with(".service") {
            self.runtime.block_on(self.manager.service(unit))?.result
        } else {
            unit.sub.clone()
        })
    }

    /// The controllers with which the manager can hold a service to its limits.
    pub(crate) fn controllers(&self) -> Result<Vec<Controller>, SystemdError> {
        Ok(self.runtime.block_on(self.manager.controllers())?)
    }

    /// Those that hold a service that runs to a limit; nothing if it does not run.
    pub(crate) fn limited(
        &self,
        service: &UnitState,
    ) -> Result<Option<Vec<Controller>>, SystemdError> {
        Ok(self.runtime.block_on(self.manager.limited(service))?)
    }

    /// Likewise, as far as it matters for what has to change.
    pub(crate) fn units(
        &self,
        project: &ProjectName,
    ) -> Result<BTreeMap<String, Unit>, SystemdError> {
        let states = self.states(project)?;
        let unit = |(name, state): (String, UnitState)| (name, Unit::from(&state));
        Ok(states.into_iter().map(unit).collect())
    }

    pub(crate) fn reload(&self) -> Result<(), SystemdError> {
        Ok(self.runtime.block_on(self.manager.reload())?)
    }

    /// Starts units; the results of those that did not start. If that takes longer than one likes
    /// to wait without a word, `late` is told the services that are not ready yet.
    pub(crate) fn start(
        &self,
        units: &[String],
        late: impl FnOnce(&[String]),
    ) -> Result<Vec<SystemdError>, SystemdError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        // A unit that failed before is not told from one that fails now, and keeps its limits.
        self.runtime.block_on(self.manager.reset_failed(&names))?;
        let results = self.runtime.block_on(async {
            let mut started = pin!(self.manager.start(&names));
            if let Ok(results) = timeout(PATIENCE, &mut started).await {
                return results;
            }
            let mut states = self.manager.units(&names).await?;
            states.retain(|state| state.name.ends_with(".service") && !state.is_active());
            let waited: Vec<_> = states.into_iter().map(|state| state.name).collect();
            late(&waited);
            started.await
        })?;
        Ok(failures("start", results))
    }

    /// Starts a unit, and nothing that it wants: each of those is started by itself, and one that
    /// is done by then would be started once more.
    pub(crate) fn start_alone(&self, unit: &str) -> Result<(), SystemdError> {
        let results = self.runtime.block_on(self.manager.start_alone(unit))?;
        first(failures("start", results))
    }

    /// Stops units that are loaded, and waits until they are.
    pub(crate) fn stop(&self, units: &[String]) -> Result<(), SystemdError> {
        let results = self.stopped(units)?;
        first(failures("stop", results))
    }

    /// Ends what services run now, while their sockets go on listening. A client who has a service
    /// started again takes the place of the job that waits for its end, which canceled says; the
    /// process is gone by then.
    pub(crate) fn end(&self, services: &[String]) -> Result<(), SystemdError> {
        let mut results = self.stopped(services)?;
        results.retain(|(_, result)| *result != JobResult::Canceled);
        first(failures("stop", results))
    }

    fn stopped(&self, units: &[String]) -> Result<Vec<(String, JobResult)>, SystemdError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        Ok(self.runtime.block_on(self.manager.stop(&names))?)
    }

    /// Forgets that units failed, so that nothing of them is left when their files are gone.
    pub(crate) fn forget(&self, units: &[String]) -> Result<(), SystemdError> {
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        Ok(self.runtime.block_on(self.manager.reset_failed(&names))?)
    }

    /// Stops the whole project. The slice is the barrier: it is down when all of its members are.
    pub(crate) fn down(&self, project: &ProjectName) -> Result<(), SystemdError> {
        let prefix = Prefix::of(project);
        let states = self.states(project)?;
        let loaded = |name: &String| states.contains_key(name);
        let units: Vec<_> = [prefix.target(), prefix.slice()]
            .into_iter()
            .filter(loaded)
            .collect();
        self.stop(&units)
    }
}

fn failures(verb: &'static str, results: Vec<(String, JobResult)>) -> Vec<SystemdError> {
    let failed = results.into_iter().filter(|(_, result)| !result.is_done());
    failed
        .map(|(unit, result)| SystemdError::Job {
            unit,
            verb,
            result: result.to_string(),
        })
        .collect()
}

fn first(failures: Vec<SystemdError>) -> Result<(), SystemdError> {
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Makes the target start with the user's manager, as `systemctl enable` would, but without one
/// having to run. Whether that is new.
pub(crate) fn enable(units: &Utf8Path, project: &ProjectName) -> io::Result<bool> {
    let link = wants(units, project);
    if let Some(folder) = link.parent() {
        fsx::make_folder(folder)?;
    }
    match symlink(
        Utf8Path::new("..").join(Prefix::of(project).target()),
        &link,
    ) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the target starts with the user's manager.
pub(crate) fn is_enabled(units: &Utf8Path, project: &ProjectName) -> io::Result<bool> {
    let link = fsx::missing_is_none(fs::symlink_metadata(wants(units, project)))?;
    Ok(link.is_some())
}

/// Undoes [`enable`].
pub(crate) fn disable(units: &Utf8Path, project: &ProjectName) -> io::Result<()> {
    fsx::missing_is_none(fs::remove_file(wants(units, project))).map(drop)
}

fn wants(units: &Utf8Path, project: &ProjectName) -> Utf8PathBuf {
    units
        .join("default.target.wants")
        .join(Prefix::of(project).target())
}
