//! The launchd agents of a project, and the way to the launchd that runs them.
//!
//! With the feature `agents`: the names of the agents, their whole text, and `launchctl`. It is told
//! all that it writes, as plain data, and the same data gives the same bytes. With the feature
//! `check-in`: how the activator gets its sockets. It must not know `doze.toml`, nor any engine.
//!
//! No Mac runs the tests of this: what is said here of launchd is from launchd.plist(5), launchctl(1)
//! and launch(3), and `docs/reference/platforms.md` tells what was tried, and where.

#[cfg(feature = "agents")]
mod agent;
#[cfg(feature = "check-in")]
mod check_in;
#[cfg(feature = "agents")]
mod instance;
#[cfg(feature = "agents")]
mod launchctl;
#[cfg(feature = "agents")]
mod names;
#[cfg(feature = "agents")]
mod printed;
#[cfg(feature = "agents")]
mod state;

#[cfg(feature = "check-in")]
pub use self::check_in::{CheckInError, check_in};
#[cfg(feature = "agents")]
pub use self::{
    agent::{AgentError, AgentFile},
    instance::InstanceAgent,
    launchctl::{Domain, Launchctl, LaunchctlError, Step},
    names::Labels,
    printed::Job,
    state::State,
};
