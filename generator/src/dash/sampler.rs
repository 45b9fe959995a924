//! Looks at the project again and again, in a thread of its own. It starts no driver and wakes
//! nobody. Must not know how it is shown.

use std::{
    collections::BTreeMap,
    fs,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime},
};

use camino::Utf8PathBuf;
use doze_contract::{InstanceName, Plan, ProjectName, error::chain, status::Status};
use doze_units::{Prefix, manager::UnitState};

use super::{
    log::{self, Mark},
    model::Event,
    sample::{HeldBy, Instance, Manager, Sample, State},
    usage::Meter,
};
use crate::{
    awake,
    compile::plan_name,
    config::{File, Inputs, block::Block},
    dirs::Dirs,
    foreground, fsx,
    systemd::Systemd,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// The manager is asked at every second look.
const MANAGER_EVERY: u32 = 2;

/// What the sampler may read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The project's `doze.toml`.
    pub(crate) path: Utf8PathBuf,
    /// What else the project is told.
    pub(crate) inputs: Inputs,
    /// The folders of the user.
    pub(crate) dirs: Dirs,
    /// The control socket of a listener in the foreground.
    pub(crate) control: Utf8PathBuf,
}

/// How much is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// The activators.
    Instances,
    /// And the init system.
    Manager,
    /// And the project, even if its file is the same: others belong to it.
    Project,
}

/// What the sampler is told.
#[derive(Debug)]
pub(super) enum Ask {
    /// Look now, at everything.
    Look,
    /// Follow the log of this instance.
    Watch(InstanceName),
}

/// The state between two looks.
pub(super) struct Sampler {
    source: Source,
    file: Option<File>,
    /// When the file that was read last was written.
    written: Option<SystemTime>,
    trouble: Option<String>,
    systemd: Option<Systemd>,
    manager: Manager,
    units: BTreeMap<String, UnitState>,
    plans: BTreeMap<InstanceName, (SystemTime, Plan)>,
    meter: Meter,
    watched: Option<(InstanceName, Mark)>,
}

impl Sampler {
    /// Starts to look; each look is an [`Event::Sample`], and a change of the log that it follows an
    /// [`Event::Log`]. It ends when nobody wants to hear of it any more.
    pub(super) fn start(source: Source, events: Sender<Event>) -> Sender<Ask> {
        let (asks, asked) = mpsc::channel();
        thread::spawn(move || {
            let sampler = Self {
                source,
                file: None,
                written: None,
                trouble: None,
                systemd: None,
                manager: Manager::Fine,
                units: BTreeMap::new(),
                plans: BTreeMap::new(),
                meter: Meter::default(),
                watched: None,
            };
            // An error here is that nobody listens.
            drop(sampler.run(&asked, &events));
        });
        asks
    }

    fn run(
        mut self,
        asked: &Receiver<Ask>,
        events: &Sender<Event>,
    ) -> Result<(), mpsc::SendError<Event>> {
        let mut depth = Depth::Project;
        let mut looks = 0_u32;
        loop {
            if let Some(sample) = self.look(depth) {
                events.send(Event::Sample(sample))?;
            }
            self.send_log(events)?;
            depth = loop {
                match asked.recv_timeout(PAUSE) {
                    Ok(Ask::Look) => break Depth::Project,
                    Ok(Ask::Watch(name)) => {
                        self.watched = Some((name, Mark::default()));
                        self.send_log(events)?;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        looks = looks.wrapping_add(1);
                        break if looks.is_multiple_of(MANAGER_EVERY) {
                            Depth::Manager
                        } else {
                            Depth::Instances
                        };
                    }
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            };
        }
    }

    /// The project as it is now; nothing as long as its file was never read.
    fn look(&mut self, depth: Depth) -> Option<Sample> {
        self.read_file(depth == Depth::Project);
        let project = self.file.as_ref()?.name.clone();
        let listens = foreground::is_running(&self.source.control);
        if listens {
            self.systemd = None;
            self.units.clear();
            self.manager = Manager::Fine;
        } else if depth >= Depth::Manager {
            self.ask_manager(&project);
        }
        let file = self.file.take()?;
        let prefix = Prefix::of(&project);
        let is_held = |name: &InstanceName| {
            let socket = self.units.get(&prefix.socket(name));
            socket.is_some_and(UnitState::is_active)
        };
        let held = file.blocks.iter().any(|block| is_held(&block.name));
        let held_by = match (listens, held) {
            (true, _) => HeldBy::Foreground,
            (false, true) => HeldBy::Systemd,
            (false, false) => HeldBy::Nobody,
        };
        let mut pids = Vec::new();
        let mut instances: Vec<Instance> = Vec::new();
        for block in &file.blocks {
            instances.push(self.instance(&project, block, held_by, &mut pids));
        }
        instances.sort_by(|a, b| (&a.engine, &a.name).cmp(&(&b.engine, &b.name)));
        self.meter.keep(&pids);
        self.file = Some(file);
        Some(Sample {
            held_by,
            manager: self.manager.clone(),
            trouble: self.trouble.clone(),
            instances,
        })
    }

    /// Reads the project again if its file is another now, or `anyway`.
    fn read_file(&mut self, anyway: bool) {
        let written = fs::metadata(&self.source.path).and_then(|found| found.modified());
        let written = written.ok();
        if self.file.is_some() && !anyway && written == self.written {
            return;
        }
        self.written = written;
        match File::read(&self.source.path, &self.source.inputs) {
            Ok(file) => {
                self.file = Some(file);
                self.trouble = None;
            }
            // What was there is still up.
            Err(error) => {
                self.trouble = Some(format!("doze.toml is not read again: {}", chain(&error)));
            }
        }
    }

    fn ask_manager(&mut self, project: &ProjectName) {
        self.units.clear();
        let connected = match self.systemd.take() {
            Some(systemd) => Ok(Some(systemd)),
            None => Systemd::connect(),
        };
        self.manager = match connected {
            Ok(None) => Manager::Absent,
            Err(error) => Manager::Broken(chain(&error)),
            Ok(Some(systemd)) => match systemd.states(project) {
                Ok(units) => {
                    self.units = units;
                    self.systemd = Some(systemd);
                    Manager::Fine
                }
                // It is asked over a new connection the next time.
                Err(error) => Manager::Broken(chain(&error)),
            },
        };
    }

    fn instance(
        &mut self,
        project: &ProjectName,
        block: &Block,
        held_by: HeldBy,
        pids: &mut Vec<u32>,
    ) -> Instance {
        let paths = self.source.dirs.instance(project, &block.name);
        let asked = awake::status(&paths.status_socket);
        let prefix = Prefix::of(project);
        let unit = |name: String| self.units.get(&name);
        let socket = unit(prefix.socket(&block.name));
        let service = unit(prefix.service(&block.name));
        let held = held_by == HeldBy::Foreground || socket.is_some_and(UnitState::is_active);
        let socket_failed = socket.is_some_and(UnitState::is_failed);
        let service_failed = service.is_some_and(UnitState::is_failed);
        let plan = self.plan(project, &block.name);
        let state = match &asked {
            Err(_) => State::Silent,
            Ok(Some(status)) => State::Awake(status.phase),
            Ok(None) if !block.enabled => State::Disabled,
            Ok(None) if plan.is_none() => State::NotUp,
            Ok(None) if socket_failed => State::SocketFailed,
            Ok(None) if !held => State::NotUp,
            Ok(None) if service_failed => State::AsleepFailed,
            Ok(None) => State::Asleep,
        };
        let endpoints = plan.iter().flat_map(|plan| &plan.endpoints);
        let endpoints = endpoints.map(ToString::to_string).collect();
        let url = plan.and_then(|plan| plan.body.connection.url.clone());
        let (status, silence) = match asked {
            Ok(status) => (status, None),
            Err(error) => (None, Some(chain(&error))),
        };
        let usage = status.as_ref().and_then(|status| {
            pids.push(status.activator_pid);
            self.meter.look(status.activator_pid)
        });
        let millis = Duration::from_millis;
        Instance {
            name: block.name.clone(),
            engine: block.engine.to_string(),
            version: block.declared().map(ToString::to_string),
            state,
            clients: status.as_ref().map_or(0, |status| status.connections),
            holds: status.as_ref().map_or(0, |status| status.holds),
            boot: status
                .as_ref()
                .and_then(|status| status.boot_ms)
                .map(millis),
            sleeps_in: status.as_ref().and_then(Status::sleeps_in),
            usage,
            endpoints,
            url,
            data: paths.data.into_string(),
            error: silence.or_else(|| status.and_then(|status| status.error)),
        }
    }

    /// The plan that is installed, read again when it was replaced. One that cannot be read is as
    /// good as none: `doze up` writes it.
    fn plan(&mut self, project: &ProjectName, instance: &InstanceName) -> Option<&Plan> {
        let path = self.source.dirs.plans(project).join(plan_name(instance));
        let Ok(written) = fs::metadata(&path).and_then(|found| found.modified()) else {
            self.plans.remove(instance);
            return None;
        };
        let known = self.plans.get(instance).map(|(written, _)| *written);
        if known != Some(written) {
            self.plans.remove(instance);
            let text = fsx::read(&path).ok().flatten()?;
            let plan = serde_json::from_str(&text).ok()?;
            self.plans.insert(instance.clone(), (written, plan));
        }
        self.plans.get(instance).map(|(_, plan)| plan)
    }

    fn send_log(&mut self, events: &Sender<Event>) -> Result<(), mpsc::SendError<Event>> {
        let (Some(file), Some((name, mark))) = (&self.file, &mut self.watched) else {
            return Ok(());
        };
        let path = self.source.dirs.instance(&file.name, name).log;
        let lines = match log::tail(&path, *mark) {
            Ok(None) => return Ok(()),
            Ok(Some((changed, lines))) => {
                *mark = changed;
                lines
            }
            Err(error) => vec![format!("cannot read {path}: {}", chain(&error))],
        };
        events.send(Event::Log(name.clone(), lines))
    }
}
