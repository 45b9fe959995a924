//! What the init system calls the parts of a project: by the words of systemd, whose units they
//! are.
//!
//! launchd has one agent for an instance: its file stands for the socket that it holds, and its label
//! for the service that it runs. Must not know what state any of them is in.

use doze_contract::{InstanceName, ProjectName};
use doze_launchd::Labels;
use doze_units::Prefix;

use crate::dirs::Init;

/// The names of one project.
#[derive(Debug)]
pub(crate) enum Names {
    Systemd(Prefix),
    Launchd(Labels),
}

impl Names {
    pub(crate) fn of(init: Init, project: &ProjectName) -> Self {
        match init {
            Init::Systemd | Init::Foreground => Self::Systemd(Prefix::of(project)),
            Init::Launchd => Self::Launchd(Labels::of(project)),
        }
    }

    /// What holds the addresses of an instance. There is a file of this name.
    pub(crate) fn socket(&self, instance: &InstanceName) -> String {
        match self {
            Self::Systemd(prefix) => prefix.socket(instance),
            Self::Launchd(labels) => labels.file(instance),
        }
    }

    /// What runs while it is awake.
    pub(crate) fn service(&self, instance: &InstanceName) -> String {
        match self {
            Self::Systemd(prefix) => prefix.service(instance),
            Self::Launchd(labels) => labels.label(instance),
        }
    }

    /// The file that says how.
    pub(crate) fn service_file(&self, instance: &InstanceName) -> String {
        match self {
            Self::Systemd(prefix) => prefix.service(instance),
            Self::Launchd(labels) => labels.file(instance),
        }
    }

    /// What stands for the whole project. launchd has nothing of the kind.
    pub(crate) fn target(&self) -> Option<String> {
        match self {
            Self::Systemd(prefix) => Some(prefix.target()),
            Self::Launchd(_) => None,
        }
    }

    /// A pattern of glob(7) for the files of what the init system has instead of a target.
    pub(crate) fn pattern(&self) -> Option<String> {
        match self {
            Self::Systemd(_) => None,
            Self::Launchd(labels) => Some(labels.pattern()),
        }
    }

    /// Whether a file of this name is one of the project's.
    pub(crate) fn owns(&self, file: &str) -> bool {
        match self {
            Self::Systemd(prefix) => prefix.owns(file),
            Self::Launchd(labels) => labels.owns(file),
        }
    }

    /// The name without what only tells its kind, if it is one of a socket.
    pub(crate) fn stem<'a>(&self, socket: &'a str) -> Option<&'a str> {
        match self {
            Self::Systemd(_) => socket.strip_suffix(".socket"),
            Self::Launchd(_) => Labels::label_in(socket),
        }
    }
}
