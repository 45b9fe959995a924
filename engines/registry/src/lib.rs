//! The way of an engine or a driver from its publisher to this machine: the signed index of a
//!
//! Must not know any engine, nor what a project is.

pub mod artefact;
pub mod envelope;
pub mod index;
pub mod key;
pub mod manifest;
pub mod namespace;
pub mod pack;
pub mod select;

pub use artefact::{Artefact, Digest, Kind, Package, Triple};
pub use index::Index;
pub use key::{PublicKey, SecretKey};
pub use manifest::Manifest;
pub use namespace::Namespace;
