//! From nothing to a ready engine: lock, dependencies, folders, data, files, members, structure.
//!
//! Whatever it starts stands in the [`Engine`] at once, so that dropping a boot half-way leaves
//! everything where it can be stopped. Must not know clients.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::plan::ConfigFile;

use crate::{
    converge::{self, ConvergeError},
    depend::{self, DependError},
    engine::Engine,
    lock::{self, LockError},
    log::Log,
    message::{Message, Teller},
    plan::Source,
    provision::{self, ProvisionError},
    start::{self, StartError},
    status::StatusSocket,
    upstream::Upstream,
};

/// Why there is no ready engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("cannot own the instance")]
    Lock(#[from] LockError),
    #[error("cannot listen on the status socket {path}")]
    Status {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot prepare where the engine listens")]
    Upstream(#[source] io::Error),
    #[error(transparent)]
    Depend(#[from] DependError),
    #[error("cannot prepare {path}")]
    File {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot provision")]
    Provision(#[from] ProvisionError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot make the structure")]
    Converge(#[from] ConvergeError),
}

impl BootError {
    /// Whether the members that run are well, so that they can be stopped and need not be killed.
    pub(crate) fn leaves_members_well(&self) -> bool {
        matches!(self, Self::Converge(_) | Self::Start(StartError::Hook(_)))
    }
}

/// Boots the engine of `plan`; whether its data directory is a new one.
pub(crate) async fn boot(
    plan: &Source,
    engine: &mut Engine,
    log: &Log,
    teller: &Teller,
) -> Result<bool, BootError> {
    let paths = &plan.paths;
    let lock = engine.lock.insert(lock::take(&paths.lock).await?);
    let status = StatusSocket::bind(&paths.status_socket, teller);
    engine.status = Some(status.map_err(|source| BootError::Status {
        path: paths.status_socket.clone(),
        source,
    })?);
    depend::hold(plan, &mut engine.dependencies, log).await?;
    empty(&paths.run).map_err(file(&paths.run))?;
    let is_new = provision::ensure(plan, lock, &mut engine.helper, log).await?;
    for config in &plan.body.files {
        write(config).map_err(file(&config.path))?;
    }
    if let Some(handover) = &engine.handover {
        // Whoever had the lock before may have taken the data away.
        handover.decide(converge::is_made(plan));
    }
    engine.upstream =
        Upstream::choose(&plan.body, engine.handover.as_deref()).map_err(BootError::Upstream)?;
    teller.tell(Message::Listens(engine.upstream.places.clone()));
    for member in &plan.body.members {
        start::start(plan, member, engine, log, teller).await?;
    }
    if let Some(lock) = &engine.lock {
        let upstream = engine.upstream.places.engine.as_ref();
        converge::ensure(plan, lock, upstream, &mut engine.helper, log).await?;
    }
    Ok(is_new)
}

/// Makes the private folder anew: what a killed engine left there must not meet its successor.
fn empty(folder: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file into the folder that [`empty`] just made. Nobody reads it before it is whole, so
/// it needs no replacing.
fn write(config: &ConfigFile) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&config.path)?
        .write_all(config.text.as_bytes())
}

fn file(path: &Utf8Path) -> impl FnOnce(io::Error) -> BootError {
    |source| BootError::File {
        path: path.to_owned(),
        source,
    }
}
