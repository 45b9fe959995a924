//! Making a fresh data directory: the server's own one, and beside it what the driver needs to know
//! of it. It must not know what the server makes it from.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    process::ExitStatus,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Facts, MAJOR, PASSWORD, bootstrap};
use crate::password;

/// Why there is no fresh data directory.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The statements are not where they are with every server.
    #[error("{name} is missing below {basedir}/share; it belongs to MariaDB's server package")]
    Statements {
        /// The file.
        name: String,
        /// The folder that the server was installed into.
        basedir: Utf8PathBuf,
    },
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// There is no randomness.
    #[error("cannot make a password")]
    Password(#[from] getrandom::Error),
    /// The server cannot be run.
    #[error("cannot run {0}")]
    Start(Utf8PathBuf, #[source] io::Error),
    /// The server failed.
    #[error("{server} could not make a data directory, {status}: {output}")]
    Failed {
        /// The server.
        server: Utf8PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
}

pub(super) fn make(data: &Utf8Path, server: &Utf8Path, facts: &Facts) -> Result<(), MakeError> {
    fs::set_permissions(data, Permissions::from_mode(0o700))
        .map_err(|error| MakeError::File(data.to_owned(), error))?;
    let password = password::random()?;
    bootstrap::run(server, data, &password)?;
    write(&data.join(PASSWORD), &password)?;
    write(&data.join(MAJOR), &facts.major())
}

/// Writes a file for its owner alone.
pub(super) fn write(path: &Utf8Path, text: &str) -> Result<(), MakeError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| MakeError::File(path.to_owned(), error))
}
