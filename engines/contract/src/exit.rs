//! Exit codes. `docs/reference/exit-codes.md` is the same table for people.

/// What `doze` says with its exit status. `doze run` passes on the status of its command instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for is done.
    Done = 0,
    /// Something could not be done; the message says what.
    Failed = 1,
    /// The command line or `doze.toml` has to be edited.
    Config = 2,
    /// A signature, digest or key is not what was pinned.
    Trust = 3,
    /// There is no user manager to talk to.
    NoManager = 4,
    /// `--check` found a difference.
    Drift = 5,
}

/// What the activator says with its exit status; the generated units act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ActivatorExit {
    /// Idle exit, or stopped on request.
    Done = 0,
    /// The engine could not boot, or died, and everybody was told; or its log cannot be opened. Not
    /// restarted: the next client causes the next try.
    EngineFailed = 1,
    /// An instance that starts with the project ended by itself, and well.
    Ended = 2,
    /// Trying again cannot help: a bad command line, or a plan of another format.
    Permanent = 100,
    /// Trying again may help.
    Temporary = 111,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ActivatorExit> for std::process::ExitCode {
    fn from(exit: ActivatorExit) -> Self {
        Self::from(exit as u8)
    }
}
