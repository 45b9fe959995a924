//! What the instance depends on: held awake from before its boot until its engine is gone.
//!
//! A hold is an open connection to the dependency's wake socket. It is the kernel that ends it,
//! with this process at the latest, so nothing is counted here and nothing has to be undone. Must
//! not know what a dependency is needed for.

use std::{io, time::Duration};

use doze_contract::{
    Endpoint, InstanceName, Plan,
    plan::{Condition, Dependency},
    status::{WAKE_FAILED, WAKE_READY},
};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep, timeout},
};

use crate::{
    log::Log,
    stream::Stream,
    task::{self, AbortOnDrop},
};

/// How long to wait before a dependency that went away is woken again: at first, and at most when
/// that fails, or does not last, again and again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const ANSWER: usize = 64 * 1024;

/// Why a dependency is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DependError {
    #[error("{dependency}, which {instance} depends on, is not up")]
    NotUp {
        dependency: InstanceName,
        instance: InstanceName,
        #[source]
        source: io::Error,
    },
    #[error("{dependency}, which {instance} depends on, cannot boot: {reason}")]
    Failed {
        dependency: InstanceName,
        instance: InstanceName,
        reason: String,
    },
    #[error("{dependency}, which {instance} depends on, was not ready within {within:?}")]
    Late {
        dependency: InstanceName,
        instance: InstanceName,
        within: Duration,
    },
}

/// Wakes all that `plan` depends on and returns when what has to be healthy is ready. From then on
/// all is held, and woken again whenever it went away, unless it runs by itself, as long as there is
/// `held`.
pub(crate) async fn hold(
    plan: &Plan,
    held: &mut Vec<AbortOnDrop>,
    log: &Log,
) -> Result<(), DependError> {
    // All are called before any is waited for, so that they boot at the same time.
    let mut called = Vec::new();
    for dependency in &plan.holds {
        called.push((dependency, call(dependency).await));
    }
    for (dependency, called) in called {
        let called = match dependency.condition {
            Condition::Healthy => Ok(healthy(plan, dependency, called).await?),
            // Whether it is up, and how its boot ends, is its own affair.
            Condition::Started => called,
        };
        let keep = keep(dependency.clone(), called, log.clone());
        held.push(AbortOnDrop(task::spawn(keep)));
    }
    Ok(())
}

async fn call(dependency: &Dependency) -> io::Result<Stream> {
    Stream::connect(&Endpoint::Unix(dependency.wake_socket.clone())).await
}

/// Waits until a dependency is ready, but not for ever.
async fn healthy(
    plan: &Plan,
    dependency: &Dependency,
    called: io::Result<Stream>,
) -> Result<Stream, DependError> {
    let within = dependency.ready_within;
    let ready = timeout(within, ready(plan, dependency, called)).await;
    ready.unwrap_or_else(|_| {
        Err(DependError::Late {
            dependency: dependency.instance.clone(),
            instance: plan.instance.clone(),
            within,
        })
    })
}

/// Waits for the answer to a call. Where there is none, because the activator was killed, another
/// one is asked.
async fn ready(
    plan: &Plan,
    dependency: &Dependency,
    mut called: io::Result<Stream>,
) -> Result<Stream, DependError> {
    loop {
        let mut stream = called.map_err(|source| DependError::NotUp {
            dependency: dependency.instance.clone(),
            instance: plan.instance.clone(),
            source,
        })?;
        match answer(&mut stream).await {
            Some(Ok(())) => return Ok(stream),
            Some(Err(reason)) => {
                return Err(DependError::Failed {
                    dependency: dependency.instance.clone(),
                    instance: plan.instance.clone(),
                    reason,
                });
            }
            None => sleep(SHORTEST_PAUSE).await,
        }
        called = call(dependency).await;
    }
}

/// What the other activator says: ready, or the reason why not; nothing if it left without a word.
async fn answer(stream: &mut Stream) -> Option<Result<(), String>> {
    let (mut said, mut part) = (Vec::new(), [0; 256]);
    while !said.ends_with(b"\n") && said.len() < ANSWER {
        let Ok(length @ 1..) = stream.read(&mut part).await else {
            return None;
        };
        said.extend_from_slice(part.get(..length)?);
    }
    let line = String::from_utf8_lossy(&said);
    let line = line.trim_end();
    match line.strip_prefix(WAKE_FAILED) {
        Some(reason) => Some(Err(String::from(reason))),
        None => (line == WAKE_READY).then_some(Ok(())),
    }
}

/// Holds a dependency for ever. Its answer may be still to come.
async fn keep(dependency: Dependency, mut called: io::Result<Stream>, log: Log) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let held = Instant::now();
        if let Ok(stream) = &mut called {
            // What is said does not matter; the read ends with the connection.
            let mut ignored = [0; 64];
            while let Ok(1..) = stream.read(&mut ignored).await {}
        }
        if dependency.runs_by_itself {
            return;
        }
        if held.elapsed() > LONGEST_PAUSE {
            pause = SHORTEST_PAUSE;
        }
        log.say(format_args!(
            "{}, which this instance depends on, went away; waking it again",
            dependency.instance
        ));
        called = loop {
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            // It will boot or be up again one day, or this process will have ended.
            if let Ok(mut stream) = call(&dependency).await
                && let Some(Ok(())) = answer(&mut stream).await
            {
                break Ok(stream);
            }
        };
    }
}
