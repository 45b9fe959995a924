//! The orderly stop of one process, and the end of one that does not heed it.

use std::io;

use doze_contract::{
    Endpoint,
    plan::{self, Stop},
};
use rustix::process::Signal;
use tokio::{
    io::AsyncWriteExt,
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{log::Log, process::Process, stream::Stream};

/// How long the engine may take to hear that it shall stop.
const HEARING: Duration = Duration::from_secs(1);

/// How to stop a driver or a hook that is in the middle of something.
pub(crate) const STOP_HELPER: Stop = Stop {
    say: None,
    signal: plan::Signal::Term,
    within: Duration::from_secs(2),
};

/// Who gets the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The process alone: an engine stops its own children.
    Process,
    /// The whole process group, as a terminal does it.
    Group,
}

/// Stops one process: says it, signals it when that was not possible or did not help in half of
/// the time, and kills its group when the time is over.
pub(crate) async fn stop(
    process: &mut Process,
    rule: &Stop,
    begun: Instant,
    whom: Whom,
    upstream: Option<&Endpoint>,
    log: &Log,
) {
    if process.has_ended() {
        return;
    }
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
    let signal = raw(rule.signal);
    match whom {
        Whom::Process => process.signal(signal),
        Whom::Group => process.signal_group(signal),
    }
    let gone = async {
        match whom {
            Whom::Process => drop(process.gone().await),
            // Without signals of the kernel there is nothing to wait for.
            Whom::Group => drop(process.group_gone().await),
        }
    };
    if timeout_at(begun + rule.within, gone).await.is_err() {
        log.say(format_args!(
            "{} did not stop within {:?}; killing it",
            process.name(),
            rule.within
        ));
        // Without a leader what is left of the group is killed with all orphans.
        process.kill_group();
        process.gone().await;
    }
}

/// A signal of a plan as the kernel has it.
pub(crate) fn raw(signal: plan::Signal) -> Signal {
    match signal {
        plan::Signal::Int => Signal::INT,
        plan::Signal::Kill => Signal::KILL,
        plan::Signal::Quit => Signal::QUIT,
        plan::Signal::Term => Signal::TERM,
    }
}

async fn said(words: &[u8], upstream: &Endpoint) -> io::Result<Stream> {
    let mut stream = Stream::connect(upstream).await?;
    stream.write_all(words).await?;
    Ok(stream)
}
