//! Why a registry cannot be changed, in words that say what to do.
//!
//! Must not know how it is changed.

use std::io;

use camino::Utf8PathBuf;

use super::{AddError, ArchiveError};
use crate::{Package, PublicKey, index::IndexError, key::SecretKeyError};

/// Why a registry cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file of the registry cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The secret key cannot be used.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// Whoever serves the registry would serve the key.
    #[error("the secret key {key} would be in the registry {root}; keep it in another folder")]
    KeyInside {
        /// The file of the key.
        key: Utf8PathBuf,
        /// The registry.
        root: Utf8PathBuf,
    },
    /// The namespace was set up before.
    #[error("{0} exists; `doze registry publish` adds to it")]
    Exists(Utf8PathBuf),
    /// The namespace was not set up.
    #[error("there is no {0}; run `doze registry init`")]
    NoIndex(Utf8PathBuf),
    /// The registry was changed by something else.
    #[error("the registry is not as doze left it; restore it from a copy")]
    Index(#[source] IndexError),
    /// The secret key is not the one of the registry.
    #[error(
        "the registry is signed by key {signed}, and this is the file of {given}; name its file"
    )]
    OtherKey {
        /// The key of the index.
        signed: PublicKey,
        /// The key of the file.
        given: PublicKey,
    },
    /// Another process is at it.
    #[error("somebody else is changing {0} right now; try again when they are done")]
    Busy(Utf8PathBuf),
    /// The archive is none that can be published.
    #[error("cannot publish {path}")]
    Archive {
        /// The archive.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// What is published already forbids it.
    #[error(transparent)]
    Add(#[from] AddError),
    /// What was never published cannot be revoked.
    #[error("{0} is not published here")]
    Unknown(Package),
    /// The key that signs cannot be revoked by itself.
    #[error("key {0} is in use; run `doze registry rotate-key` first, then revoke it")]
    KeyInUse(PublicKey),
    /// The key never was the publisher's.
    #[error("key {0} never was a key of this registry")]
    UnknownKey(PublicKey),
}
