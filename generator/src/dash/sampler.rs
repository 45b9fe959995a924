//! Looks at the project again and again, in a thread of its own. It starts no driver and wakes
//! nobody. Must not know how it is shown.

use std::{
    fs,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime},
};

use camino::Utf8PathBuf;
use doze_contract::{InstanceName, ProjectName, error::chain};

use super::{
    log::{self, Mark},
    model::Event,
    sample::{Manager, Sample},
};
use crate::{
    config::{File, Inputs},
    dirs::Dirs,
    foreground,
    look::{HeldBy, Row, look},
    manager::{self, Units},
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
    connection: Option<Box<dyn manager::Manager>>,
    manager: Manager,
    units: Units,
    held_by: HeldBy,
    instances: Vec<Row>,
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
                connection: None,
                manager: Manager::Fine,
                units: Units::new(),
                held_by: HeldBy::Nobody,
                instances: Vec::new(),
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
            self.connection = None;
            self.units.clear();
            self.manager = Manager::Fine;
        } else if depth >= Depth::Manager {
            self.ask_manager(&project);
        }
        let file = self.file.as_ref()?;
        let units = (!listens).then_some(&self.units);
        let trouble = match look(&self.source.dirs, file, units, &self.instances) {
            Ok((held_by, instances)) => {
                (self.held_by, self.instances) = (held_by, instances);
                let order = |row: &Row| (row.engine.clone(), row.name.clone());
                self.instances.sort_by_cached_key(order);
                None
            }
            Err(error) => Some(chain(&error)),
        };
        Some(Sample {
            held_by: self.held_by,
            manager: self.manager.clone(),
            trouble: trouble.or_else(|| self.trouble.clone()),
            instances: self.instances.clone(),
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
        let connected = match self.connection.take() {
            Some(connection) => Ok(Some(connection)),
            None => manager::connect(&self.source.dirs),
        };
        self.manager = match connected {
            Ok(None) => Manager::Absent,
            Err(error) => Manager::Broken(chain(&error)),
            Ok(Some(connection)) => match connection.units(project) {
                Ok(units) => {
                    self.units = units;
                    self.connection = Some(connection);
                    Manager::Fine
                }
                // It is asked over a new connection the next time.
                Err(error) => Manager::Broken(chain(&error)),
            },
        };
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
