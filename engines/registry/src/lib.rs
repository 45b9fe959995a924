//! The way of an engine or a driver from its publisher to this machine: the signed index of a
//! registry, what `doze.lock` pins of it, the download, and the store of what was unpacked.
//!
//! Must not know any engine, nor what a project is.

pub mod artefact;
pub mod envelope;
pub mod fetch;
pub mod files;
pub mod index;
pub mod key;
pub mod lock;
pub mod manifest;
pub mod mirror;
pub mod namespace;
pub mod pack;
pub mod pins;
mod pipe;
pub mod progress;
pub mod publish;
mod replace;
pub mod select;
pub mod store;
pub mod stream;
pub mod unpack;

pub use artefact::{Artefact, Digest, Kind, Package, Triple};
pub use index::Index;
pub use key::{PublicKey, SecretKey};
pub use manifest::Manifest;
pub use mirror::Mirror;
pub use namespace::Namespace;
pub use pins::Pins;
pub use progress::Progress;
pub use store::Store;
