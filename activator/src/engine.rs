//! The life of the engine: boot, wait, stop.
//!
//! One task runs through it from top to bottom; the loop hears of each step by a [`Message`] and
//! has a single say: when to stop. Must not know clients.

use std::{
    future::{pending, poll_fn},
    process::ExitStatus,
    sync::Arc,
    task::Poll,
};

use doze_contract::{
    Plan,
    error::chain,
    plan::{Member, Start},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Init, boot,
    environment::Surroundings,
    handover::Handover,
    helper::{Allowance, Bench, Hook},
    lock::Lock,
    log::Log,
    machine::Event,
    message::{Message, Teller},
    orphans,
    plan::Source,
    process::Process,
    provision,
    status::StatusSocket,
    stop::{STOP_HELPER, Whom, stop},
    survivors,
    task::AbortOnDrop,
    upstream::Upstream,
};

/// What there is of a running engine. It is dropped in this order: the lock is let go last.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// A driver, a hook or a check at work.
    pub(crate) helper: Option<Process>,
    /// The members that were spawned, in the plan's order.
    pub(crate) members: Vec<Running>,
    /// Where the last one listens.
    pub(crate) upstream: Upstream,
    /// How it gets sockets, if it does.
    pub(crate) handover: Option<Arc<Handover>>,
    /// What keeps the dependencies awake.
    pub(crate) dependencies: Vec<AbortOnDrop>,
    pub(crate) status: Option<StatusSocket>,
    pub(crate) lock: Option<Lock>,
}

/// A member that was spawned.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) was_ready: bool,
}

/// The end of a member.
#[derive(Debug)]
pub(crate) struct End {
    /// Which one it is in the plan.
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
}

impl End {
    /// Whether it is that of a program that may end by itself, and has done its work.
    pub(crate) fn is_well(&self, plan: &Plan) -> bool {
        let may_end = plan.body.start != Start::OnDemand && self.at + 1 == plan.body.members.len();
        may_end && self.status.success()
    }
}

/// Boots the engine, waits for its end or for `stop`, and stops it. When it returns, nothing of
/// the engine is left: the status socket is removed and the lock let go.
pub(crate) async fn live(
    plan: Arc<Source>,
    by: Init,
    handover: Option<Arc<Handover>>,
    log: Log,
    mut stop: oneshot::Receiver<()>,
    teller: Teller,
) {
    let mut engine = Engine {
        handover,
        ..Engine::default()
    };
    log.forget_words();
    let booted = tokio::select! {
        biased;
        _ = &mut stop => None,
        booted = async {
            if by.leaves_survivors() {
                survivors::end(&plan, &log).await;
            }
            boot::boot(&plan, &mut engine, &log, &teller).await
        } => Some(booted),
    };
    match booted {
        Some(Err(error)) => {
            if error.leaves_members_well() {
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
        Some(Ok(is_new)) => {
            teller.tell(Message::Event(Event::Ready));
            let Engine {
                helper,
                members,
                lock,
                ..
            } = &mut engine;
            let replenish = async {
                let wanted = is_new && plan.body.provision.replenishes;
                if let Some(lock) = lock.as_ref().filter(|_| wanted) {
                    provision::replenish(&plan, lock, helper, &log).await;
                }
                pending::<()>().await;
            };
            let ended = tokio::select! {
                biased;
                _ = &mut stop => None,
                end = first_end(members) => Some(end),
                () = replenish => None,
            };
            if let Some(end) = ended {
                teller.tell(told(&plan, &end, &log));
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

/// What the loop is told of a member that ended unasked.
fn told(plan: &Plan, end: &End, log: &Log) -> Message {
    let End { name, status, .. } = end;
    let well = end.is_well(plan);
    let reason = if well {
        format!("{name} ended by itself ({status})")
    } else {
        let words = log.last_words();
        format!("{name} ended unasked ({status}){words}")
    };
    Message::EngineExit { reason, well }
}

/// Waits for the end of any member. Without a member it waits for ever.
pub(crate) async fn first_end(members: &mut [Running]) -> End {
    let at = poll_fn(|cx| {
        let ended = |member: &mut Running| member.process.poll_ended(cx).is_ready();
        match members.iter_mut().position(ended) {
            Some(at) => Poll::Ready(at),
            None => Poll::Pending,
        }
    })
    .await;
    if members.iter().all(|member| member.process.has_ended()) {
        // They may have the pipe of its output, and the data directory.
        orphans::end().await;
    }
    match members.get_mut(at) {
        Some(member) => End {
            at,
            status: member.process.ended().await,
            name: String::from(member.process.name()),
        },
        None => pending().await,
    }
}

impl Engine {
    /// Stops whatever runs, the member that was spawned last first, each in its own dialect.
    async fn stop(&mut self, plan: &Plan, log: &Log) {
        if let Some(helper) = &mut self.helper {
            let begun = Instant::now();
            stop(helper, &STOP_HELPER, begun, Whom::Group, None, log).await;
        }
        let last = plan.body.members.len();
        let members = self.members.iter_mut().zip(&plan.body.members).enumerate();
        let mut members: Vec<_> = members.collect();
        while let Some((at, (running, member))) = members.pop() {
            let begun = Instant::now();
            let bench = Bench {
                surroundings: &running.surroundings.clone(),
                lock: self.lock.as_ref(),
                log,
                place: &mut self.helper,
            };
            say_goodbye(bench, running, member).await;
            let upstream = self.upstream.places.engine.as_ref();
            let upstream = upstream.filter(|_| at + 1 == last);
            let whom = match member.own {
                Some(_) => Whom::Group,
                None => Whom::Process,
            };
            let process = &mut running.process;
            stop(process, &member.stop, begun, whom, upstream, log).await;
        }
        self.end(log).await;
    }

    /// Ends whatever runs at once.
    async fn kill(&mut self, log: &Log) {
        for process in self.processes() {
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
        for process in self.processes() {
            process.ended().await;
        }
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let members = self.members.iter_mut().map(|member| &mut member.process);
        self.helper.iter_mut().chain(members)
    }
}

/// Runs what a member wants done before its stop, in half of the time for it. If it ends meanwhile
/// it need not be stopped.
async fn say_goodbye(mut bench: Bench<'_>, running: &Running, member: &Member) {
    let hooks = member.own.iter().flat_map(|own| &own.pre_stop);
    let hooks: Vec<_> = hooks.cloned().collect();
    if hooks.is_empty() || !running.was_ready || running.process.has_ended() {
        return;
    }
    let mut half = Allowance::of(member.stop.within / 2);
    let done = bench.hooks(Hook::PreStop, &hooks, &mut half).await;
    if let Err(error) = done {
        bench.log.say(format_args!("{}", chain(&error)));
    }
}
