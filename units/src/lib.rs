//! The systemd units of a project, and the user manager that runs them.
//!
//! Owns the names of the units, the escaping of what stands in them and their whole text; with the
//! feature `manager` also the conversation with the user manager. It is told all that it writes,
//! as plain data, and the same data gives the same bytes. It must not know `doze.toml`, nor any
//! engine.
//!
//! Only settings that systemd 252 knows are written, so that no version has to be asked for.

pub mod escape;
mod harden;
mod instance;
mod limits;
#[cfg(feature = "manager")]
pub mod manager;
mod names;
mod project;
mod unit;

pub use harden::Profile;
pub use instance::InstanceUnits;
pub use limits::{Controller, Limits};
pub use names::Prefix;
pub use project::ProjectUnits;
pub use unit::{UnitError, UnitFile};
