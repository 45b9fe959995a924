//! Refusing clients: telling each why it cannot be served, in its own protocol.
//!
//! The driver says it, as a child process that is given the client's socket. Owns the bounds of
//! that: how many at a time, how long for one. Must not know any protocol, nor decide who is
//! refused.

use std::{
    collections::BTreeSet,
    io,
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use camino::Utf8PathBuf;
use doze_contract::{
    error::chain,
    protocol::{REFUSAL, REFUSAL_HINT, REFUSAL_MAX, REFUSE},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    driver,
    log::Log,
    plan::Source,
    process::{Output, Process},
    stream::Stream,
};

/// How many drivers refuse at the same time. Whoever comes besides waits for one of them to
/// leave: a thousand clients must not become a thousand processes.
const AT_ONCE: usize = 8;

/// How many clients may wait for that before there is no point in being polite to strangers.
const CROWD: usize = 16;

/// How long a driver may take for one client.
const BOUND: Duration = Duration::from_secs(10);

/// What refuses the clients of one instance.
#[derive(Debug)]
pub(crate) struct Refuser {
    plan: Arc<Source>,
    log: Log,
    drivers: Semaphore,
    /// Clients that are being refused or wait for it.
    clients: AtomicUsize,
    bound: Duration,
    /// What went wrong before, and is in the log.
    told: Mutex<BTreeSet<String>>,
}

/// Why a client was not told anything.
#[derive(Debug, thiserror::Error)]
enum RefuseError {
    #[error("cannot pass the connection on")]
    Socket(#[source] io::Error),
    #[error("cannot start the driver {driver}")]
    Spawn {
        driver: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the driver ended with {0}")]
    Failed(ExitStatus),
    #[error("the driver took longer than {0:?}")]
    Late(Duration),
}

impl Refuser {
    pub(crate) fn new(plan: Arc<Source>, log: Log) -> Self {
        Self {
            plan,
            log,
            drivers: Semaphore::new(AT_ONCE),
            clients: AtomicUsize::new(0),
            bound: BOUND,
            told: Mutex::default(),
        }
    }

    /// Whether so many clients are being refused that a stranger among them could keep others
    /// waiting.
    pub(crate) fn is_crowded(&self) -> bool {
        self.clients.load(Ordering::Relaxed) >= CROWD
    }

    /// Tells `client` the reason and ends its connection. What goes wrong is in the log, once
    /// for each cause, and costs the client the reason.
    ///
    /// To be awaited to its end: a driver outlives the future that is dropped.
    pub(crate) fn refuse(
        self: &Arc<Self>,
        client: Stream,
        reason: String,
    ) -> impl Future<Output = ()> + use<> {
        // From now on, and not from when the future is polled first.
        self.clients.fetch_add(1, Ordering::Relaxed);
        let refuser = Arc::clone(self);
        async move {
            refuser.tell(client, &reason).await;
            refuser.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn tell(&self, client: Stream, reason: &str) {
        // The semaphore is never closed.
        let _driver = self.drivers.acquire().await.ok();
        if let Err(error) = self.call(client, reason).await {
            let cause = chain(&error);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if !told.contains(&cause) {
                self.log
                    .say(format_args!("a client was not told the reason: {cause}"));
                told.insert(cause);
            }
        }
    }

    async fn call(&self, client: Stream, reason: &str) -> Result<(), RefuseError> {
        let socket = client.into_blocking().map_err(RefuseError::Socket)?;
        let mut command = driver::command(&self.plan);
        command
            .arg(REFUSE)
            .env(REFUSAL, passable(reason))
            .env(REFUSAL_HINT, hint(self.plan.instance.as_str()));
        let spawned = Process::spawn("driver", command, Output::LogFrom(socket), &self.log);
        let mut driver = spawned.map_err(|source| RefuseError::Spawn {
            driver: self.plan.driver.clone(),
            source,
        })?;
        if let Ok(status) = timeout(self.bound, driver.ended()).await {
            return if status.success() {
                Ok(())
            } else {
                Err(RefuseError::Failed(status))
            };
        }
        driver.kill_group();
        driver.ended().await;
        Err(RefuseError::Late(self.bound))
    }
}

/// As much of the reason as the driver protocol passes on. An environment holds no NUL.
fn passable(reason: &str) -> String {
    let cut = reason.floor_char_boundary(REFUSAL_MAX);
    let (reason, _) = reason.split_at_checked(cut).unwrap_or((reason, ""));
    reason.replace('\0', " ")
}

/// The command that shows more, as a shell takes it.
fn hint(instance: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if instance.chars().all(plain) {
        format!("doze logs {instance}")
    } else {
        format!("doze logs '{}'", instance.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
