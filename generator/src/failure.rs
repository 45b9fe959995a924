//! Why a command did not do what it was asked, and what the user can do about it.

use std::io;

use doze_contract::{error::chain, exit::Exit};
use doze_registry::publish::PublishError;
use serde_json::json;

use crate::{
    cli::Form,
    compile::CompileError,
    config::ConfigError,
    dash::DashError,
    diagnostic::{render, to_json},
    dirs::DirsError,
    drivers::DriverError,
    file_lock::LockError,
    foreground::ForegroundError,
    manager::ManagerError,
    output::{Paint, complain, harmless},
    ports::BusyError,
    supply::SupplyError,
};

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Dirs(#[from] DirsError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Dash(#[from] DashError),
    #[error(transparent)]
    Foreground(#[from] ForegroundError),
    #[error(transparent)]
    Busy(#[from] BusyError),
    #[error(transparent)]
    Manager(#[from] ManagerError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Supply(Box<SupplyError>),
    #[error(transparent)]
    Publish(Box<PublishError>),
    /// A file or a stream that has to work does not.
    #[error("cannot {what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// There is no instance of this name.
    #[error("there is no instance `{name}` in {project}")]
    UnknownInstance {
        name: String,
        project: String,
        hint: String,
    },
    /// The engine cannot be made, or asked whether it is, as declared.
    #[error("the structure of `{instance}` cannot be compared with what is declared")]
    Structure {
        instance: String,
        #[source]
        source: DriverError,
    },
    /// Another project has the same name.
    #[error("the project name `{name}` is already used by {other}")]
    NameTaken { name: String, other: String },
    /// Said in full.
    #[error("{message}")]
    Plain {
        message: String,
        hint: Option<String>,
        exit: Exit,
    },
    /// Already told.
    #[error("")]
    Told(Exit),
}

impl From<SupplyError> for Failure {
    fn from(error: SupplyError) -> Self {
        Self::Supply(Box::new(error))
    }
}

impl Failure {
    /// For `map_err` on I/O: "cannot WHAT".
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// A failure that is only a sentence.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self::Plain {
            message: message.into(),
            hint: None,
            exit: Exit::Failed,
        }
    }

    /// A word of the command line that cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Plain {
            message: message.into(),
            hint: None,
            exit: Exit::Config,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownInstance { hint, .. } => Some(hint.clone()),
            Self::NameTaken { .. } => {
                Some("write another `name = \"…\"` at the top of doze.toml".into())
            }
            Self::Plain { hint, .. } => hint.clone(),
            Self::Manager(error) => error.hint(),
            Self::Config(_)
            | Self::Dirs(_)
            | Self::Driver(_)
            | Self::Compile(_)
            | Self::Dash(_)
            | Self::Foreground(_)
            | Self::Busy(_)
            | Self::Lock(_)
            | Self::Supply(_)
            | Self::Publish(_)
            | Self::Io { .. }
            | Self::Structure { .. }
            | Self::Told(_) => None,
        }
    }

    /// The exit status that says it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Config(ConfigError::Driver(_)) | Self::Driver(_) | Self::Io { .. } => {
                Exit::Failed
            }
            Self::Config(_)
            | Self::Dirs(_)
            | Self::UnknownInstance { .. }
            | Self::NameTaken { .. } => Exit::Config,
            Self::Compile(_)
            | Self::Dash(_)
            | Self::Foreground(_)
            | Self::Busy(_)
            | Self::Lock(_)
            | Self::Structure { .. }
            | Self::Publish(_) => Exit::Failed,
            Self::Supply(error) => error.exit(),
            Self::Manager(error) => error.exit(),
            Self::Plain { exit, .. } | Self::Told(exit) => *exit,
        }
    }

    /// For a program: an object with `error` and `hint`, and with `diagnostics` where it is the
    /// project that is wrong.
    fn to_json(&self) -> serde_json::Value {
        let diagnostics = if let Self::Config(ConfigError::Wrong { sources, problems }) = self {
            Some(to_json(sources, problems))
        } else {
            None
        };
        json!({ "error": chain(self), "hint": self.hint(), "diagnostics": diagnostics })
    }

    /// Whether the reader of standard output went away; nobody has to hear of that.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says it on standard error.
    pub(crate) fn report(&self, form: Form) {
        if matches!(self, Self::Told(_)) {
            return;
        }
        if form == Form::Json {
            complain(format_args!("{}\n", self.to_json()));
            return;
        }
        let paint = Paint::stderr();
        if let Self::Config(ConfigError::Wrong { sources, problems }) = self {
            complain(format_args!(
                "{}\n",
                render(sources, problems, paint.is_on())
            ));
            return;
        }
        complain(format_args!(
            "{}: {}\n",
            paint.red("error"),
            harmless(&chain(self))
        ));
        if let Some(hint) = self.hint() {
            complain(format_args!("{}: {hint}\n", paint.bold("help")));
        }
    }
}
