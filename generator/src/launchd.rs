//! The user's launchd, by `launchctl`.
//!
//! It knows no readiness, so whether a service is ready is asked of its activator. Must not know
//! what any command is for.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileTypeExt,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use doze_contract::{
    Endpoint, InstanceName, Plan, ProjectName,
    error::chain,
    launchd::{GIVEN_UP, TRIES},
};
use doze_launchd::{Domain, Job, Labels, Launchctl, State, Step};
use doze_units::Controller;

use crate::{
    awake::{self, Wake},
    compile::dependencies_first,
    dirs::{Dirs, Init},
    fsx,
    look::installed,
    manager::{Manager, ManagerError, Unit, Units},
};

/// How long a start is waited for without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an end is waited for at all. Each agent says how long its own may take, after which
/// launchd kills it.
const END: Duration = Duration::from_mins(10);

/// The launchd of this user.
pub(crate) struct Launchd {
    launchctl: Launchctl,
    dirs: Dirs,
}

impl Launchd {
    /// Looks for it; nothing if this user has none.
    pub(crate) fn connect(dirs: &Dirs) -> Result<Option<Self>, ManagerError> {
        let uid = rustix::process::getuid().as_raw();
        let launchctl = Launchctl::find(uid)?;
        Ok(launchctl.map(|launchctl| Self {
            launchctl,
            dirs: dirs.clone(),
        }))
    }

    /// The plan of the instance whose agent has this label, if it is installed.
    fn plan(&self, label: &str) -> Option<Plan> {
        let project = Labels::project(label)?;
        let instance = Labels::of(&project).instance(label)?;
        installed(&self.dirs, &project, &instance).ok()?
    }

    /// The jobs of a project.
    fn jobs(&self, project: &ProjectName) -> Result<Vec<Job>, ManagerError> {
        let labels = Labels::of(project);
        let mut jobs = self.launchctl.look()?.jobs;
        jobs.retain(|job| labels.is_label(&job.label));
        Ok(jobs)
    }

    /// Has launchd hold the addresses that an installed agent says.
    fn load(&self, file: &str, domain: &Domain) -> Result<(), ManagerError> {
        let label = Labels::label_in(file).unwrap_or(file);
        let path = self.dirs.units.join(file);
        let text = fsx::read(&path).ok().flatten();
        let is_loaded = domain.jobs.iter().any(|job| job.label == label);
        let loaded = is_loaded
            .then(|| self.launchctl.loaded_from(label))
            .transpose()?;
        let loaded = loaded.flatten().map(|from| from == path);
        // What is installed is what is declared: it was written a moment ago.
        let wanted = text.clone().unwrap_or_default();
        let state = State::of(&wanted, text.as_deref(), loaded);
        let is_disabled = domain.disabled.contains(label);
        let steps = state.steps(label, path.as_str(), is_loaded, is_disabled);
        if let (Some(plan), false) = (self.plan(label), steps.is_empty()) {
            prepare(&plan);
            unlink(&plan);
        }
        for step in steps {
            self.launchctl.take(&step, END)?;
        }
        Ok(())
    }

    fn unload(&self, label: &str) -> Result<(), ManagerError> {
        self.launchctl.take(&Step::Bootout(label.into()), END)?;
        if let Some(plan) = self.plan(label) {
            unlink(&plan);
        }
        Ok(())
    }

    /// Waits until services are ready that were started; the results of those that are not.
    fn ready(&self, labels: &[&String], late: &mut dyn FnMut(&[String])) -> Vec<ManagerError> {
        let (said, answers) = mpsc::channel();
        let mut waited = BTreeSet::new();
        let mut failed = Vec::new();
        for label in labels {
            let call = self
                .plan(label)
                .map(|plan| awake::call(&plan.paths.wake_socket));
            match call {
                Some(Ok(Some(call))) => {
                    let (said, label) = (said.clone(), (*label).clone());
                    waited.insert(label.clone());
                    // The channel is open as long as somebody is waited for.
                    thread::spawn(move || said.send((label, call.answer())).ok());
                }
                _ => failed.push(self.failure(label, "nobody listens at its wake socket".into())),
            }
        }
        let late_at = Instant::now() + PATIENCE;
        let mut is_late = false;
        while !waited.is_empty() {
            let left = late_at.saturating_duration_since(Instant::now());
            let answer = if is_late {
                answers.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                answers.recv_timeout(left)
            };
            match answer {
                Ok((label, answer)) => {
                    waited.remove(&label);
                    match answer {
                        Ok(Wake::Ready(_)) => {}
                        Ok(Wake::Failed(reason)) => failed.push(self.failure(&label, reason)),
                        Err(error) => failed.push(self.failure(&label, error.to_string())),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    is_late = true;
                    late(&waited.iter().cloned().collect::<Vec<_>>());
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        failed
    }

    fn unit(&self, project: &ProjectName, job: &Job) -> Unit {
        let ended_badly = job.status.is_some_and(|status| status != 0);
        match job.pid {
            Some(_) => Unit::Up,
            None if ended_badly || self.has_given_up(project, &job.label) => Unit::Failed,
            None => Unit::Down,
        }
    }

    /// The failure of a unit to start.
    fn failure(&self, unit: &str, result: String) -> ManagerError {
        let label = Labels::label_in(unit);
        ManagerError::Job {
            is_service: label.is_none(),
            hint: format!(
                "launchctl print '{}/{}'",
                self.launchctl.domain(),
                label.unwrap_or(unit)
            ),
            unit: unit.to_owned(),
            verb: "start",
            result,
        }
    }

    fn has_given_up(&self, project: &ProjectName, label: &str) -> bool {
        let Some(instance) = Labels::of(project).instance(label) else {
            return false;
        };
        let wake = self.dirs.instance(project, &instance).wake_socket;
        fs::read_to_string(wake.with_file_name(TRIES)).is_ok_and(|text| text == GIVEN_UP)
    }
}

impl Manager for Launchd {
    fn init(&self) -> Init {
        Init::Launchd
    }

    fn version(&self) -> Result<String, ManagerError> {
        Ok(self.launchctl.domain().to_owned())
    }

    fn units(&self, project: &ProjectName) -> Result<Units, ManagerError> {
        let mut units = Units::new();
        for job in self.jobs(project)? {
            units.insert(Labels::file_of(&job.label), Unit::Up);
            let runs = self.unit(project, &job);
            units.insert(job.label, runs);
        }
        Ok(units)
    }

    fn result(&self, unit: &str) -> Result<String, ManagerError> {
        let mut jobs = self.launchctl.look()?.jobs.into_iter();
        let status = jobs
            .find(|job| job.label == unit)
            .and_then(|job| job.status);
        Ok(match status {
            Some(status @ ..0) => format!("signal {}", status.unsigned_abs()),
            Some(0) => "given up".into(),
            Some(status) => format!("exit status {status}"),
            None => "not loaded".into(),
        })
    }

    /// It has loaded what a file said, and reads none again.
    fn reload(&self) -> Result<(), ManagerError> {
        Ok(())
    }

    fn unread(&self, _units: &[String]) -> Result<Vec<String>, ManagerError> {
        Ok(Vec::new())
    }

    fn start(
        &self,
        units: &[String],
        late: &mut dyn FnMut(&[String]),
    ) -> Result<Vec<ManagerError>, ManagerError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let domain = self.launchctl.look()?;
        let (files, labels): (Vec<_>, Vec<_>) = units
            .iter()
            .partition(|unit| Labels::label_in(unit).is_some());
        let mut failed = Vec::new();
        for file in files {
            if let Err(error) = self.load(file, &domain) {
                failed.push(self.failure(file, chain(&error)));
            }
        }
        for label in &labels {
            let is_there = |job: &Job| job.label == **label;
            let was_idle = domain
                .jobs
                .iter()
                .any(|job| is_there(job) && job.pid.is_none());
            if was_idle {
                // One that was loaded just now starts by itself.
                self.launchctl
                    .take(&Step::Kickstart((*label).clone()), END)?;
            }
        }
        failed.extend(self.ready(&labels, late));
        Ok(failed)
    }

    /// Of a whole project there is nothing.
    fn start_alone(&self, _unit: &str) -> Result<(), ManagerError> {
        Ok(())
    }

    fn stop(&self, units: &[String]) -> Result<(), ManagerError> {
        for unit in units {
            match Labels::label_in(unit) {
                Some(label) => self.unload(label)?,
                None => self.launchctl.end(unit, END)?,
            }
        }
        Ok(())
    }

    fn end(&self, services: &[String]) -> Result<(), ManagerError> {
        self.stop(services)
    }

    fn forget(&self, _units: &[String]) -> Result<(), ManagerError> {
        Ok(())
    }

    /// Who connects is no retry, as the activator sees.
    fn rearm(
        &self,
        _project: &ProjectName,
        _instances: &[&InstanceName],
    ) -> Result<(), ManagerError> {
        Ok(())
    }

    /// Each before what it depends on, so that none wakes another on its way down.
    fn down(&self, project: &ProjectName) -> Result<(), ManagerError> {
        let (labels, jobs) = (Labels::of(project), self.jobs(project)?);
        let plans = jobs.iter().filter_map(|job| self.plan(&job.label));
        let plans = dependencies_first(plans.collect(), |plan| plan);
        let known = plans.iter().rev().map(|plan| labels.label(&plan.instance));
        let known: Vec<String> = known.collect();
        let unknown = jobs.into_iter().map(|job| job.label);
        let unknown: Vec<String> = unknown.filter(|label| !known.contains(label)).collect();
        for label in unknown.iter().chain(&known) {
            self.unload(label)?;
        }
        Ok(())
    }

    fn controllers(&self) -> Result<Vec<Controller>, ManagerError> {
        Ok(Vec::new())
    }

    fn limited(&self, _service: &str) -> Result<Option<Vec<Controller>>, ManagerError> {
        Ok(None)
    }

    fn fragments(&self, _units: &[String]) -> Result<Vec<(String, String)>, ManagerError> {
        Ok(Vec::new())
    }

    fn strays(&self, _project: &ProjectName) -> Result<Vec<String>, ManagerError> {
        Ok(Vec::new())
    }
}

/// Makes the folders that launchd binds and writes in, for it makes none. What cannot be had is told
/// when they are used.
pub(crate) fn prepare(plan: &Plan) {
    let folders = sockets(plan).chain([plan.paths.log.as_path()]);
    for folder in folders.filter_map(Utf8Path::parent) {
        drop(fsx::make_folder(folder));
    }
}

/// Removes what is left of the unix sockets of an instance that nobody holds.
fn unlink(plan: &Plan) {
    let is_socket = |path: &&Utf8Path| {
        let found = fs::symlink_metadata(path);
        found.is_ok_and(|found| found.file_type().is_socket())
    };
    for socket in sockets(plan).filter(is_socket) {
        drop(fs::remove_file(socket));
    }
}

fn sockets(plan: &Plan) -> impl Iterator<Item = &Utf8Path> {
    let clients = plan.endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Tcp(_) => None,
        Endpoint::Unix(path) => Some(path.as_path()),
    });
    clients.chain([plan.paths.wake_socket.as_path()])
}
