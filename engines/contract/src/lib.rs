//! The contract between the rooms of doze.
//!
//! Owns the words that cross a process boundary: names, endpoints, the [`plan::Plan`] that an
//! activator reads, the messages of the driver protocol, the messages on an activator's sockets,
//! the exit codes, and what follows from them. Everything here is plain data, validated when it is
//! constructed. It must not know any engine, and does no I/O.

pub mod bytes;
pub mod duration;
pub mod endpoint;
pub mod error;
pub mod exit;
pub mod launchd;
pub mod name;
pub mod opaque;
pub mod plan;
pub mod protocol;
pub mod restarts;
pub mod status;
pub mod version;

pub use bytes::Bytes;
pub use endpoint::Endpoint;
pub use name::{EngineName, InstanceName, ProjectName};
pub use opaque::Opaque;
pub use plan::Plan;
pub use version::Version;
