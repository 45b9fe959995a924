//! What is known of the project at one moment: plain data.

use std::time::Duration;

use doze_contract::{InstanceName, status::Phase};

use super::usage::Usage;

/// The project at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Who holds the sockets.
    pub(super) held_by: HeldBy,
    /// What the init system of the machine is to us.
    pub(super) manager: Manager,
    /// Why what is shown may not be what `doze.toml` says.
    pub(super) trouble: Option<String>,
    /// By engine, then by name.
    pub(super) instances: Vec<Instance>,
}

/// Who holds the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldBy {
    Systemd,
    Foreground,
    Nobody,
}

/// The user manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manager {
    /// It answers, or need not be asked.
    Fine,
    /// This user has none now.
    Absent,
    /// It does not do its part; why.
    Broken(String),
}

/// An instance at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instance {
    pub(super) name: InstanceName,
    pub(super) engine: String,
    /// As the file asks for it.
    pub(super) version: Option<String>,
    pub(super) state: State,
    pub(super) clients: usize,
    pub(super) holds: usize,
    /// From the activation until the engine was ready.
    pub(super) boot: Option<Duration>,
    /// Until the idle exit, while it is armed.
    pub(super) sleeps_in: Option<Duration>,
    pub(super) usage: Option<Usage>,
    pub(super) endpoints: Vec<String>,
    /// With its password.
    pub(super) url: Option<String>,
    pub(super) data: String,
    pub(super) error: Option<String>,
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Awake(Phase),
    Asleep,
    /// Its service ended badly; the next client wakes it all the same.
    AsleepFailed,
    /// Nobody holds its address.
    NotUp,
    /// The init system has given up its address.
    SocketFailed,
    /// The file turns it off.
    Disabled,
    /// Its activator is there, and does not answer.
    Silent,
}

impl State {
    /// As `doze status` calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Awake(phase) => phase.word(),
            Self::Asleep => "asleep",
            Self::AsleepFailed => "asleep, failed",
            Self::NotUp => "not up",
            Self::SocketFailed => "socket failed",
            Self::Disabled => "disabled",
            Self::Silent => "no answer",
        }
    }

    /// One column wide.
    pub(super) fn glyph(self) -> &'static str {
        match self {
            Self::Awake(Phase::Serving) => "●",
            Self::Awake(Phase::Idling) => "◐",
            Self::Awake(Phase::Booting | Phase::Draining) => "◌",
            Self::Awake(Phase::Failed) | Self::AsleepFailed | Self::SocketFailed => "✗",
            Self::Asleep => "○",
            Self::NotUp | Self::Disabled => "·",
            Self::Silent => "?",
        }
    }

    /// Whether there is an activator.
    pub(super) fn is_awake(self) -> bool {
        matches!(self, Self::Awake(_) | Self::Silent)
    }
}

/// A URL without its password.
pub(super) fn without_password(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        let path = rest.strip_prefix(authority)?;
        Some(format!("{scheme}://{name}:•••@{host}{path}"))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            (
                "postgres://app:s%40e:c@127.0.0.1:5432/app?a=b:c@d",
                "postgres://app:•••@127.0.0.1:5432/app?a=b:c@d",
            ),
            (
                "redis://:secret@127.0.0.1:6379/0",
                "redis://:•••@127.0.0.1:6379/0",
            ),
            (
                "postgres://app:pw@/app?host=/run/x",
                "postgres://app:•••@/app?host=/run/x",
            ),
            (
                "postgres://app@127.0.0.1/app",
                "postgres://app@127.0.0.1/app",
            ),
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
