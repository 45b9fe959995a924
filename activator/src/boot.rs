//! From nothing to a ready engine: lock, dependencies, folders, data, files, members, structure.
//!
//! Whatever it starts stands in the [`Engine`] at once, so that dropping a boot half-way leaves
//! everything where it can be stopped. Must not know clients.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    process::{Command, ExitStatus},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Plan,
    plan::{ConfigFile, Member},
};
use tokio::time::sleep;

use crate::{
    converge::{self, ConvergeError},
    depend::{self, DependError},
    engine::Engine,
    lock::{self, LockError},
    log::Log,
    message::{Message, Teller},
    pid_file,
    plan::Source,
    process::{Output, Process},
    provision::{self, ProvisionError},
    ready::{Seen, Watch},
    status::StatusSocket,
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
    #[error("the plan has no command line for {0}")]
    NoCommand(String),
    #[error("cannot watch for {name} to become ready")]
    Watch {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {program} for {name}")]
    Spawn {
        name: String,
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{name} ended before it was ready ({status}); it said: {words}")]
    Ended {
        name: String,
        status: ExitStatus,
        words: String,
    },
    #[error("{name} was not ready within {within:?}: {seen}; it said: {words}")]
    Late {
        name: String,
        within: Duration,
        seen: Seen,
        words: String,
    },
    #[error("cannot make the structure")]
    Converge(#[from] ConvergeError),
}

/// Boots the engine of `plan`.
pub(crate) async fn boot(
    plan: &Source,
    engine: &mut Engine,
    log: &Log,
    teller: &Teller,
) -> Result<(), BootError> {
    let paths = &plan.paths;
    let lock = engine.lock.insert(lock::take(&paths.lock).await?);
    let status = StatusSocket::bind(&paths.status_socket, teller);
    engine.status = Some(status.map_err(|source| BootError::Status {
        path: paths.status_socket.clone(),
        source,
    })?);
    depend::hold(plan, &mut engine.dependencies, log).await?;
    empty(&paths.run).map_err(file(&paths.run))?;
    provision::ensure(plan, lock, &mut engine.driver, log).await?;
    for config in &plan.body.files {
        write(config).map_err(file(&config.path))?;
    }
    for member in &plan.body.members {
        start(plan, member, engine, log, teller).await?;
    }
    if let Some(lock) = &engine.lock {
        converge::ensure(plan, lock, &mut engine.driver, log).await?;
    }
    Ok(())
}

/// Spawns one member and waits until it is ready.
async fn start(
    plan: &Plan,
    member: &Member,
    engine: &mut Engine,
    log: &Log,
    teller: &Teller,
) -> Result<(), BootError> {
    let name = || member.name.clone();
    let mut watch = Watch::new(
        &member.ready,
        plan.body.hello.as_ref(),
        plan.body.upstream.as_ref(),
    )
    .map_err(|source| BootError::Watch {
        name: name(),
        source,
    })?;

    if let (Some(path), Some(program)) = (&member.pid_file, member.argv.first())
        && pid_file::remove_stale(path, program.as_ref()).map_err(file(path))?
    {
        log.say(format_args!(
            "removed {path}: it was left by a server that is gone"
        ));
    }
    let mut words = plan.launcher.iter().chain(&member.argv);
    let program = words.next().ok_or_else(|| BootError::NoCommand(name()))?;
    let mut command = Command::new(program);
    command
        .args(words)
        .env_clear()
        .envs(&member.env)
        .current_dir(&member.cwd);
    let spawn = || Process::spawn(&member.name, command, Output::Log, log);
    let spawned = match &engine.lock {
        Some(lock) => lock.shared(spawn),
        None => spawn(),
    };
    let process = spawned.map_err(|source| BootError::Spawn {
        name: name(),
        program: program.clone(),
        source,
    })?;
    if engine.members.is_empty() {
        teller.tell(Message::Spawned(process.id()));
    }
    engine.members.push(process);

    let mut seen = Seen::default();
    let outcome = tokio::select! {
        biased;
        ready = watch.ready(&mut seen) => Ok(ready),
        ended = engine.first_end() => Err(Some(ended)),
        () = sleep(member.ready_within) => Err(None),
    };
    match outcome {
        Ok(Ok(())) => {
            watch.end();
            Ok(())
        }
        Ok(Err(source)) => Err(BootError::Watch {
            name: name(),
            source,
        }),
        Err(Some((name, status))) => Err(BootError::Ended {
            name,
            status,
            words: log.last_words(),
        }),
        Err(None) => Err(BootError::Late {
            name: name(),
            within: member.ready_within,
            seen,
            words: log.last_words(),
        }),
    }
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
