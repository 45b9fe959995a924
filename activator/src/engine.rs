//! The life of the engine: boot, wait, stop.
//!
//! One task runs through it from top to bottom; the loop hears of each step by a [`Message`] and
//! has a single say: when to stop. Must not know clients.

use std::{future::poll_fn, io, process::ExitStatus, sync::Arc, task::Poll};

use doze_contract::{
    Endpoint, Plan,
    error::chain,
    plan::{self, Stop},
};
use rustix::process::Signal;
use tokio::{
    io::AsyncWriteExt,
    sync::oneshot,
    task::JoinSet,
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{
    boot::{self, BootError},
    lock::Lock,
    log::Log,
    machine::Event,
    message::{Message, Teller},
    orphans,
    plan::Source,
    process::Process,
    status::StatusSocket,
    stream::Stream,
};

/// How long the engine may take to hear that it shall stop.
const HEARING: Duration = Duration::from_secs(1);

/// How to stop a driver that is in the middle of something.
const STOP_DRIVER: Stop = Stop {
    say: None,
    signal: plan::Signal::Term,
    within: Duration::from_secs(2),
};

/// What there is of a running engine. It is dropped in this order: the lock is let go last.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// A driver at work on the data directory.
    pub(crate) driver: Option<Process>,
    /// The members that were spawned, in the plan's order.
    pub(crate) members: Vec<Process>,
    /// What keeps the dependencies awake.
    pub(crate) dependencies: JoinSet<()>,
    pub(crate) status: Option<StatusSocket>,
    pub(crate) lock: Option<Lock>,
}

/// Boots the engine, waits for its end or for `stop`, and stops it. When it returns, nothing of
/// the engine is left: the status socket is removed and the lock let go.
pub(crate) async fn live(
    plan: Arc<Source>,
    log: Log,
    mut stop: oneshot::Receiver<()>,
    teller: Teller,
) {
    let mut engine = Engine::default();
    log.forget_words();
    let booted = tokio::select! {
        biased;
        _ = &mut stop => None,
        booted = boot::boot(&plan, &mut engine, &log, &teller) => Some(booted),
    };
    match booted {
        Some(Err(error)) => {
            if matches!(error, BootError::Converge(_)) {
                // The engine itself is well.
                engine.stop(&plan, &log).await;
            } else {
                engine.kill(&log).await;
            }
            teller.tell(Message::BootFailed(chain(&error)));
            // The status socket tells the reason until then. The failure and a request to stop may
            // have crossed.
            if stop.await.is_ok() {
                teller.tell(Message::Event(Event::Stopped));
            }
        }
        Some(Ok(())) => {
            teller.tell(Message::Event(Event::Ready));
            let ended = tokio::select! {
                biased;
                _ = &mut stop => None,
                ended = engine.first_end() => Some(ended),
            };
            if let Some((name, status)) = ended {
                let words = log.last_words();
                teller.tell(Message::EngineExit(format!(
                    "{name} ended unasked ({status}); it said: {words}"
                )));
                // Only dropping the other end could make this an error, and that is a stop too.
                stop.await.ok();
            }
            engine.stop(&plan, &log).await;
            teller.tell(Message::Event(Event::Stopped));
        }
        None => {
            engine.stop(&plan, &log).await;
            teller.tell(Message::Event(Event::Stopped));
        }
    }
}

impl Engine {
    /// Waits for the end of any member. Without a member it waits for ever.
    pub(crate) async fn first_end(&mut self) -> (String, ExitStatus) {
        let at = poll_fn(|cx| {
            let ended = |member: &mut Process| member.poll_ended(cx).is_ready();
            match self.members.iter_mut().position(ended) {
                Some(at) => Poll::Ready(at),
                None => Poll::Pending,
            }
        })
        .await;
        if self.members.iter().all(Process::has_ended) {
            // They may have the pipe of its output, and the data directory.
            orphans::end().await;
        }
        match self.members.get_mut(at) {
            Some(member) => {
                let status = member.ended().await;
                (String::from(member.name()), status)
            }
            None => std::future::pending().await,
        }
    }

    /// Stops whatever runs, the member that was spawned last first, each in its own dialect.
    async fn stop(&mut self, plan: &Plan, log: &Log) {
        if let Some(driver) = &mut self.driver {
            stop(driver, &STOP_DRIVER, None, log).await;
        }
        let last = plan.body.members.len();
        let rules = plan.body.members.iter().map(|member| &member.stop);
        let members = self.members.iter_mut().zip(rules).enumerate();
        let mut members: Vec<_> = members.collect();
        while let Some((at, (member, rule))) = members.pop() {
            let upstream = plan.body.upstream.as_ref().filter(|_| at + 1 == last);
            stop(member, rule, upstream, log).await;
        }
        self.end(log).await;
    }

    /// Ends whatever runs at once.
    async fn kill(&mut self, log: &Log) {
        for process in self.driver.iter_mut().chain(&mut self.members) {
            process.kill_group();
            process.gone().await;
        }
        self.end(log).await;
    }

    /// Ends what outlived the processes, all of which are gone. Only then their output is over.
    async fn end(&mut self, log: &Log) {
        if !orphans::end().await {
            log.say(format_args!(
                "something that the engine left behind cannot be killed"
            ));
        }
        for process in self.driver.iter_mut().chain(&mut self.members) {
            process.ended().await;
        }
    }
}

/// Stops one process: says it, signals it when that was not possible or did not help in half of
/// the time, and kills its group when the time is over.
async fn stop(process: &mut Process, rule: &Stop, upstream: Option<&Endpoint>, log: &Log) {
    if process.has_ended() {
        return;
    }
    let begun = Instant::now();
    if let (Some(say), Some(upstream)) = (&rule.say, upstream) {
        // The connection stays open: an engine may drop what it has not read of a closed one.
        if let Ok(Ok(_connection)) = timeout(HEARING, said(&say.0, upstream)).await {
            let half = begun + rule.within / 2;
            if timeout_at(half, process.gone()).await.is_ok() {
                return;
            }
            log.say(format_args!(
                "{} does not stop when told; sending {}",
                process.name(),
                rule.signal.name()
            ));
        }
    }
    process.signal(match rule.signal {
        plan::Signal::Int => Signal::INT,
        plan::Signal::Quit => Signal::QUIT,
        plan::Signal::Term => Signal::TERM,
    });
    if timeout_at(begun + rule.within, process.gone())
        .await
        .is_err()
    {
        log.say(format_args!(
            "{} did not stop within {:?}; killing it",
            process.name(),
            rule.within
        ));
        process.kill_group();
        process.gone().await;
    }
}

async fn said(words: &[u8], upstream: &Endpoint) -> io::Result<Stream> {
    let mut stream = Stream::connect(upstream).await?;
    stream.write_all(words).await?;
    Ok(stream)
}
