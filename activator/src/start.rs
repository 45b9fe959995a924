//! One member, from its files to being ready: what runs before it, itself, what runs after.
//!
//! Whatever is spawned stands in the [`Engine`] at once. Must not know the other members.

use std::{
    future::Future,
    io, mem,
    os::fd::OwnedFd,
    pin::pin,
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use camino::Utf8PathBuf;
use doze_contract::{
    Plan,
    plan::{Member, Own},
};
use tokio::{net::unix::pipe, time::sleep};

use crate::{
    engine::{End, Engine, Running, first_end},
    env_file::EnvFileError,
    environment::Surroundings,
    handover::Handover,
    helper::{Allowance, Bench, Hook, HookError},
    log::Log,
    message::{Message, Teller},
    pid_file,
    process::{Output, Process},
    ready::{Seen, Watch, WatchError},
    upstream::Upstream,
};

/// Says how many sockets there are and what they are called, as `sd_listen_fds(3)` has it, and
/// becomes the words that follow. Only the process itself knows its pid.
const HAND_OVER: &str =
    r#"export LISTEN_FDS="$1" LISTEN_FDNAMES="$2" LISTEN_PID=$$; shift 2; exec "$@""#;

/// Why a member is not ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the plan has no command line for {0}")]
    NoCommand(String),
    #[error("cannot make the environment of {name}")]
    Environment {
        name: String,
        #[source]
        source: EnvFileError,
    },
    #[error("the folder that {name} runs in, {cwd}, is not there")]
    NoFolder { name: String, cwd: Utf8PathBuf },
    #[error("cannot remove {path}")]
    PidFile {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error("cannot watch for {name} to become ready")]
    Watch {
        name: String,
        #[source]
        source: WatchError,
    },
    #[error("cannot start {program} for {name}")]
    Spawn {
        name: String,
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{name} ended before it was ready ({status}){words}")]
    Ended {
        name: String,
        status: ExitStatus,
        words: String,
    },
    #[error("{name} was not ready within {within:?}: {seen}{words}")]
    Late {
        name: String,
        within: Duration,
        seen: Seen,
        words: String,
    },
}

/// Spawns one member and waits until it is ready.
pub(crate) async fn start(
    plan: &Plan,
    member: &Member,
    engine: &mut Engine,
    log: &Log,
    teller: &Teller,
) -> Result<(), StartError> {
    let Engine {
        upstream,
        helper,
        members,
        handover,
        lock,
        ..
    } = engine;
    let surroundings = Arc::new(surroundings(plan, member, upstream)?);
    let no_hooks = Own::default();
    let own = member.own.as_ref().unwrap_or(&no_hooks);
    let mut bench = Bench {
        surroundings: &surroundings,
        lock: lock.as_ref(),
        log,
        place: helper,
    };
    let mut time = Allowance::of(member.ready_within);
    let hooks = bench.hooks(Hook::PreStart, &own.pre_start, &mut time);
    beside(plan, members, log, hooks).await??;

    let watched = |source| StartError::Watch {
        name: member.name.clone(),
        source,
    };
    let (hello, at) = (plan.body.hello.as_ref(), upstream.places.engine.as_ref());
    let mut watch = Watch::new(&member.ready, hello, at).map_err(watched)?;
    let is_last = members.len() + 1 == plan.body.members.len();
    let listener = watch.listener(&mut bench).map_err(watched)?;
    let handover = handover.as_deref().filter(|_| is_last);
    let handed = handover.map(|handover| (handover, mem::take(&mut upstream.sockets)));
    let process = spawn(member, &bench, handed, listener)?;
    if members.is_empty() {
        teller.tell(Message::Spawned(process.id()));
    }
    members.push(Running {
        process,
        surroundings: surroundings.clone(),
        was_ready: false,
    });

    let mut seen = Seen::default();
    let ready = tokio::select! {
        biased;
        ready = watch.ready(&mut seen, &mut bench) => Some(ready),
        end = first_end(members) => {
            if !end.is_well(plan) || !watch.holds_at_the_end(&mut bench).await {
                return Err(ended_early(end, log));
            }
            Some(Ok(()))
        }
        () = sleep(member.ready_within) => None,
    };
    let late = || StartError::Late {
        name: member.name.clone(),
        within: member.ready_within,
        seen,
        words: log.last_words(),
    };
    let ready = ready.ok_or_else(late)?;
    ready.map_err(|source| watched(source.into()))?;
    watch.end();
    if let Some(running) = members.last_mut() {
        running.was_ready = true;
    }
    let hooks = bench.hooks(Hook::PostStart, &own.post_start, &mut time);
    beside(plan, members, log, hooks).await??;
    Ok(())
}

/// What the member is run in; its folder has to be there before its first hook.
fn surroundings(
    plan: &Plan,
    member: &Member,
    upstream: &Upstream,
) -> Result<Surroundings, StartError> {
    if member.own.is_some() && !member.cwd.is_dir() {
        return Err(StartError::NoFolder {
            name: member.name.clone(),
            cwd: member.cwd.clone(),
        });
    }
    Surroundings::of(plan, member, &upstream.variables).map_err(|source| StartError::Environment {
        name: member.name.clone(),
        source,
    })
}

/// Starts the process of a member, which may be handed sockets.
fn spawn(
    member: &Member,
    bench: &Bench<'_>,
    handed: Option<(&Handover, Vec<OwnedFd>)>,
    listener: Option<pipe::Sender>,
) -> Result<Process, StartError> {
    let name = || member.name.clone();
    if let (Some(path), Some(program)) = (&member.pid_file, member.argv.first()) {
        let removed = pid_file::remove_stale(path, program.as_ref());
        let removed = removed.map_err(|source| StartError::PidFile {
            path: path.clone(),
            source,
        })?;
        if removed {
            bench.log.say(format_args!(
                "removed {path}: it was left by a server that is gone"
            ));
        }
    }
    let handed_count = handed.as_ref().map_or(0, |(_, sockets)| sockets.len());
    let command = command(bench.surroundings, member, handed_count);
    let command = command.ok_or_else(|| StartError::NoCommand(name()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let spawn = || {
        bench.spawn(|log| Process::spawn_heard(&member.name, command, Output::Log, listener, log))
    };
    let spawned = match handed {
        Some((handover, sockets)) => handover.share(&sockets, spawn),
        None => spawn(),
    };
    spawned.map_err(|source| StartError::Spawn {
        name: name(),
        program,
        source,
    })
}

/// Does something as long as every member lives that has not done its work.
async fn beside<T>(
    plan: &Plan,
    mut members: &mut [Running],
    log: &Log,
    work: impl Future<Output = T>,
) -> Result<T, StartError> {
    let mut work = pin!(work);
    loop {
        let end = tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            end = first_end(members) => end,
        };
        members = match members.split_last_mut() {
            Some((_, others)) if end.is_well(plan) => others,
            _ => return Err(ended_early(end, log)),
        };
    }
}

fn ended_early(end: End, log: &Log) -> StartError {
    StartError::Ended {
        name: end.name,
        status: end.status,
        words: log.last_words(),
    }
}

/// The command line of a member, which is handed so many sockets: the upstream, and then endpoints.
fn command(surroundings: &Surroundings, member: &Member, sockets: usize) -> Option<Command> {
    let Some(endpoints) = sockets.checked_sub(1) else {
        return surroundings.command(&member.argv);
    };
    let names = String::from("upstream") + &":endpoint".repeat(endpoints);
    let shell = ["/bin/sh", "-c", HAND_OVER, "sh"].map(String::from);
    let told = [sockets.to_string(), names];
    surroundings.command(&[&shell[..], &told, &member.argv].concat())
}
