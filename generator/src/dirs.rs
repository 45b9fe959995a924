//! Where things are: DESIGN's table of folders as functions.
//!
//! Follows the XDG base directory specification. Must not know what stands in the files.

use std::{env, ffi::OsString, fs, io, path::PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{InstanceName, ProjectName, plan::Paths};
use etcetera::BaseStrategy;

/// The file beside the plans that tells whose they are: it holds the path of the `doze.toml`.
pub const SOURCE: &str = "SOURCE";

/// Why the folders cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// Neither `HOME` nor a passwd entry.
    #[error("cannot tell the home directory; set HOME")]
    Home(#[source] etcetera::HomeDirError),
    /// Paths stand in unit files and plans, which are text.
    #[error("{0:?} is not UTF-8; doze cannot write it into a unit")]
    NotUtf8(PathBuf),
    /// A folder that is configured by a relative path would move with the working directory.
    #[error("{name} is {path:?}, which is not an absolute path")]
    Relative {
        /// The environment variable.
        name: &'static str,
        /// What it says.
        path: OsString,
    },
    /// The path of doze's own program is unknown.
    #[error("cannot tell where the doze program is")]
    Program(#[source] io::Error),
    /// There is no such init system.
    #[error("DOZE_INIT is {0:?}; it can be systemd, launchd or foreground")]
    Init(OsString),
    /// The working directory is gone or unreadable.
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] io::Error),
}

/// What holds the sockets of a user's projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// The systemd user manager. Without one, the listener in the foreground.
    Systemd,
    /// The launchd of the user's session.
    Launchd,
    /// The listener in the foreground, whatever else there is.
    Foreground,
}

impl Init {
    /// The variable that chooses, where not the one of the operating system is meant.
    const VARIABLE: &str = "DOZE_INIT";

    /// Whether an engine may accept clients itself, at the path of a unix endpoint or on a socket
    /// of the init system, which takes a system that tells who is with it. launchd is held to what
    /// macOS can, wherever it runs.
    pub(crate) fn can_hand_over(self) -> bool {
        cfg!(target_os = "linux") && self != Self::Launchd
    }

    /// The name of the one that is looked for, for people.
    pub fn manager(self) -> &'static str {
        match self {
            Self::Launchd => "launchd of a user",
            Self::Systemd | Self::Foreground => "systemd user manager",
        }
    }

    fn from_environment() -> Result<Self, DirsError> {
        match env::var_os(Self::VARIABLE) {
            Some(word) if word == "systemd" => Ok(Self::Systemd),
            Some(word) if word == "launchd" => Ok(Self::Launchd),
            Some(word) if word == "foreground" => Ok(Self::Foreground),
            Some(word) if !word.is_empty() => Err(DirsError::Init(word)),
            _ if cfg!(target_os = "macos") => Ok(Self::Launchd),
            _ => Ok(Self::Systemd),
        }
    }
}

/// The folders of one user.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// Whose files are written.
    pub init: Init,
    /// `$DOZE_HOME`, else `$XDG_DATA_HOME/doze`.
    pub home: Utf8PathBuf,
    /// `$XDG_CONFIG_HOME/doze`, for what only this user may have.
    pub config: Utf8PathBuf,
    /// The user's own systemd units, or launchd agents.
    pub units: Utf8PathBuf,
    /// `$XDG_RUNTIME_DIR/doze`, for sockets.
    pub runtime: Utf8PathBuf,
    /// The folder of the programs that ship together: doze, its activator, its drivers.
    pub programs: Utf8PathBuf,
    /// The working directory.
    pub here: Utf8PathBuf,
}

impl Dirs {
    /// Reads the environment of this process.
    pub fn from_environment() -> Result<Self, DirsError> {
        let base = etcetera::base_strategy::Xdg::new().map_err(DirsError::Home)?;
        let home = match env::var_os("DOZE_HOME").filter(|path| !path.is_empty()) {
            Some(path) if PathBuf::from(&path).is_absolute() => utf8(path.into())?,
            Some(path) => {
                return Err(DirsError::Relative {
                    name: "DOZE_HOME",
                    path,
                });
            }
            None => utf8(base.data_dir())?.join("doze"),
        };
        let runtime = match base.runtime_dir() {
            Some(path) => utf8(path)?.join("doze"),
            None => default_runtime().unwrap_or_else(|| home.join("run")),
        };
        let program = env::current_exe().map_err(DirsError::Program)?;
        let program = utf8(program)?;
        let here = env::current_dir().map_err(DirsError::WorkingDirectory)?;
        let init = Init::from_environment()?;
        let units = match init {
            Init::Systemd | Init::Foreground => base.config_dir().join("systemd/user"),
            Init::Launchd => base.home_dir().join("Library/LaunchAgents"),
        };
        Ok(Self {
            init,
            config: utf8(base.config_dir())?.join("doze"),
            units: utf8(units)?,
            programs: program.parent().unwrap_or(Utf8Path::new("/")).to_owned(),
            here: utf8(here)?,
            home,
            runtime,
        })
    }

    /// The same folders with another home.
    #[must_use]
    pub fn with_home(&self, home: Utf8PathBuf) -> Self {
        let below = self.runtime.strip_prefix(&self.home);
        let runtime = below.map_or_else(|_| self.runtime.clone(), |below| home.join(below));
        Self {
            home,
            runtime,
            ..self.clone()
        }
    }

    /// Unpacked engines and modules, shared by all projects.
    pub fn store(&self) -> Utf8PathBuf {
        self.home.join("store")
    }

    /// What drivers clone new data directories from, shared by all projects.
    pub fn templates(&self) -> Utf8PathBuf {
        self.home.join("templates")
    }

    /// The folder of everything that belongs to a project.
    pub fn project(&self, project: &ProjectName) -> Utf8PathBuf {
        self.home.join("projects").join(project.as_str())
    }

    /// The project that was last generated from this `doze.toml`.
    pub fn project_of(&self, source: &Utf8Path) -> Option<ProjectName> {
        let projects = self.home.join("projects").read_dir_utf8().ok()?;
        let names = projects
            .flatten()
            .filter_map(|p| ProjectName::new(p.file_name()).ok());
        let is_source = |name: &ProjectName| {
            fs::read_to_string(self.plans(name).join(SOURCE))
                .is_ok_and(|text| text.trim_end() == source)
        };
        names.into_iter().find(is_source)
    }

    /// The environment of a project's own programs under systemd.
    pub fn environment(&self, project: &ProjectName) -> Utf8PathBuf {
        self.project(project).join("environment")
    }

    /// The folder of a project's plans.
    pub fn plans(&self, project: &ProjectName) -> Utf8PathBuf {
        self.project(project).join("plans")
    }

    /// What the drivers of a project have answered.
    pub fn answers(&self, project: &ProjectName) -> Utf8PathBuf {
        self.project(project).join("answers")
    }

    /// The folder in which each instance of a project has its data directory.
    pub fn data(&self, project: &ProjectName) -> Utf8PathBuf {
        self.project(project).join("data")
    }

    /// The folder of a project's sockets.
    pub fn sockets(&self, project: &ProjectName) -> Utf8PathBuf {
        self.runtime.join(project.as_str())
    }

    /// The socket that the init system binds for an instance's unix endpoint, which is known by
    /// its place among them, counted from 0.
    pub fn init_socket(
        &self,
        project: &ProjectName,
        instance: &InstanceName,
        at: usize,
    ) -> Utf8PathBuf {
        let name = match at {
            0 => "init.sock".into(),
            _ => format!("init-{}.sock", at + 1),
        };
        self.sockets(project).join(instance.as_str()).join(name)
    }

    /// The files and folders of one instance.
    pub fn instance(&self, project: &ProjectName, instance: &InstanceName) -> Paths {
        let sockets = self.sockets(project).join(instance.as_str());
        Paths {
            wake_socket: sockets.join("wake.sock"),
            status_socket: sockets.join("status.sock"),
            run: sockets.join("engine"),
            lock: self.project(project).join("locks").join(instance.as_str()),
            data: self.data(project).join(instance.as_str()),
            log: self
                .project(project)
                .join("logs")
                .join(format!("{instance}.log")),
            templates: self.templates(),
        }
    }
}

/// The runtime folder that `pam_systemd(8)` makes, for shells that were not told of it.
fn default_runtime() -> Option<Utf8PathBuf> {
    let path = Utf8PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()));
    fs::metadata(&path)
        .is_ok_and(|found| found.is_dir())
        .then(|| path.join("doze"))
}

fn utf8(path: PathBuf) -> Result<Utf8PathBuf, DirsError> {
    Utf8PathBuf::from_path_buf(path).map_err(DirsError::NotUtf8)
}
