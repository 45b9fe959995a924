//! The user manager of systemd, over D-Bus.

use std::{pin::pin, time::Duration};

use doze_contract::{InstanceName, ProjectName};
use doze_units::{
    Controller, Prefix,
    manager::{JobResult, Manager as Bus, UnitState},
};
use tokio::{runtime::Runtime, time::timeout};

use crate::{
    dirs::Init,
    manager::{Manager, ManagerError, Unit, Units},
};

/// How long a start is waited for without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to the user manager.
pub(crate) struct Systemd {
    runtime: Runtime,
    manager: Bus,
}

impl Systemd {
    /// Connects; nothing if this user has no manager.
    pub(crate) fn connect() -> Result<Option<Self>, ManagerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ManagerError::Runtime)?;
        match runtime.block_on(Bus::connect()) {
            Ok(manager) => Ok(Some(Self { runtime, manager })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn states(&self, project: &ProjectName) -> Result<Vec<UnitState>, ManagerError> {
        let prefix = Prefix::of(project);
        let patterns = prefix.patterns();
        Ok(self.runtime.block_on(self.manager.units(&patterns))?)
    }

    /// The state of a unit that is loaded.
    fn state(&self, unit: &str) -> Result<Option<UnitState>, ManagerError> {
        let states = self.runtime.block_on(self.manager.units(&[unit]))?;
        Ok(states.into_iter().next())
    }

    fn stopped(&self, units: &[String]) -> Result<Vec<(String, JobResult)>, ManagerError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        Ok(self.runtime.block_on(self.manager.stop(&names))?)
    }
}

impl Manager for Systemd {
    fn init(&self) -> Init {
        Init::Systemd
    }

    fn version(&self) -> Result<String, ManagerError> {
        let version = self.runtime.block_on(self.manager.version())?;
        Ok(version)
    }

    fn units(&self, project: &ProjectName) -> Result<Units, ManagerError> {
        let states = self.states(project)?;
        let unit = |state: UnitState| (state.name.clone(), Unit::from(&state));
        Ok(states.into_iter().map(unit).collect())
    }

    fn result(&self, unit: &str) -> Result<String, ManagerError> {
        let Some(state) = self.state(unit)? else {
            return Ok("not loaded".into());
        };
        Ok(if unit.ends_with(".socket") {
            self.runtime.block_on(self.manager.socket(&state))?.result
        } else if unit.ends_with(".service") {
            self.runtime.block_on(self.manager.service(&state))?.result
        } else {
            state.sub
        })
    }

    fn reload(&self) -> Result<(), ManagerError> {
        Ok(self.runtime.block_on(self.manager.reload())?)
    }

    fn unread(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        let mut unread = Vec::new();
        for state in self.runtime.block_on(self.manager.units(units))? {
            if self.runtime.block_on(self.manager.needs_reload(&state))? {
                unread.push(state.name);
            }
        }
        Ok(unread)
    }

    fn start(
        &self,
        units: &[String],
        late: &mut dyn FnMut(&[String]),
    ) -> Result<Vec<ManagerError>, ManagerError> {
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

    fn start_alone(&self, unit: &str) -> Result<(), ManagerError> {
        let results = self.runtime.block_on(self.manager.start_alone(unit))?;
        first(failures("start", results))
    }

    fn stop(&self, units: &[String]) -> Result<(), ManagerError> {
        let results = self.stopped(units)?;
        first(failures("stop", results))
    }

    /// A client who has a service started again takes the place of the job that waits for its end,
    /// which canceled says; the process is gone by then.
    fn end(&self, services: &[String]) -> Result<(), ManagerError> {
        let mut results = self.stopped(services)?;
        results.retain(|(_, result)| *result != JobResult::Canceled);
        first(failures("stop", results))
    }

    fn forget(&self, units: &[String]) -> Result<(), ManagerError> {
        let names: Vec<&str> = units.iter().map(String::as_str).collect();
        Ok(self.runtime.block_on(self.manager.reset_failed(&names))?)
    }

    /// At the limit the wake socket is closed, and before it a start would wait until the next retry
    /// is due.
    fn rearm(
        &self,
        project: &ProjectName,
        instances: &[&InstanceName],
    ) -> Result<(), ManagerError> {
        let prefix = Prefix::of(project);
        let states = self.units(project)?;
        let target = states.get(&prefix.target());
        if !target.is_some_and(|target| target.is_active()) {
            return Ok(());
        }
        let named = instances.iter();
        let (services, sockets): (Vec<_>, Vec<_>) = named
            .map(|instance| (prefix.service(instance), prefix.socket(instance)))
            .unzip();
        let waiting = services.iter();
        let waiting = waiting.filter(|service| {
            states
                .get(*service)
                .is_some_and(|unit| *unit == Unit::Retries)
        });
        let waiting: Vec<_> = waiting.cloned().collect();
        self.stop(&waiting)?;
        self.forget(&services)?;
        // The call will tell of one that does not start.
        self.start(&sockets, &mut |_| ())?;
        Ok(())
    }

    /// The slice is the barrier: it is down when all of its members are.
    fn down(&self, project: &ProjectName) -> Result<(), ManagerError> {
        let prefix = Prefix::of(project);
        let units = self.units(project)?;
        let loaded = |name: &String| units.contains_key(name);
        let units: Vec<_> = [prefix.target(), prefix.slice()]
            .into_iter()
            .filter(loaded)
            .collect();
        self.stop(&units)
    }

    fn controllers(&self) -> Result<Vec<Controller>, ManagerError> {
        Ok(self.runtime.block_on(self.manager.controllers())?)
    }

    fn limited(&self, service: &str) -> Result<Option<Vec<Controller>>, ManagerError> {
        let Some(state) = self.state(service)? else {
            return Ok(None);
        };
        Ok(self.runtime.block_on(self.manager.limited(&state))?)
    }

    fn fragments(&self, units: &[String]) -> Result<Vec<(String, String)>, ManagerError> {
        let states = self.runtime.block_on(self.manager.units(units))?;
        let mut fragments = Vec::new();
        for unit in states {
            let path = self.runtime.block_on(self.manager.fragment(&unit))?;
            fragments.push((unit.name, path));
        }
        Ok(fragments)
    }

    fn strays(&self, project: &ProjectName) -> Result<Vec<String>, ManagerError> {
        let mut states = self.states(project)?;
        states.retain(|unit| unit.load == "not-found" && unit.is_running());
        Ok(states.into_iter().map(|unit| unit.name).collect())
    }
}

impl From<&UnitState> for Unit {
    fn from(state: &UnitState) -> Self {
        if state.is_active() {
            Self::Up
        } else if state.is_failed() {
            Self::Failed
        } else if state.sub == "auto-restart" {
            Self::Retries
        } else if state.is_running() {
            Self::Changes
        } else {
            Self::Down
        }
    }
}

fn failures(verb: &'static str, results: Vec<(String, JobResult)>) -> Vec<ManagerError> {
    let failed = results.into_iter().filter(|(_, result)| !result.is_done());
    failed
        .map(|(unit, result)| ManagerError::Job {
            is_service: unit.ends_with(".service"),
            hint: format!("systemctl --user status '{unit}'"),
            unit,
            verb,
            result: result.to_string(),
        })
        .collect()
}

fn first(failures: Vec<ManagerError>) -> Result<(), ManagerError> {
    failures.into_iter().next().map_or(Ok(()), Err)
}
