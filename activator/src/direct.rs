//! Clients who are with the engine itself: their way there, and how many they are.
//!
//! Over a unix endpoint they find its own socket at the public path; over TCP it accepts on the
//! init system's sockets, where it was handed those. Must not know when there is an engine.

use std::{io, mem, net::SocketAddr, os::fd::OwnedFd, sync::Arc};

use doze_contract::error::chain;

use crate::{diag, gate, handover::Handover, log::Log, plan::Source, swap};

/// The ways of an instance that lead to the engine itself.
#[derive(Debug)]
pub(crate) struct Direct {
    plan: Arc<Source>,
    handover: Option<Arc<Handover>>,
    log: Log,
    /// That unix endpoints do not lead to the engine was logged.
    said_detour: bool,
}

impl Direct {
    pub(crate) fn new(plan: Arc<Source>, handover: Option<Arc<Handover>>, log: Log) -> Self {
        Self {
            plan,
            handover,
            log,
            said_detour: false,
        }
    }

    /// Whether there is any.
    pub(crate) fn is_possible(&self) -> bool {
        swap::engine(&self.plan).is_some() || !self.sockets().is_empty()
    }

    /// Lets clients come to the engine, which is ready.
    pub(crate) fn let_in(&mut self) {
        self.open_gates();
        if let Err(error) = swap::swap_in(&self.plan)
            && !mem::replace(&mut self.said_detour, true)
        {
            self.log.say(format_args!(
                "clients of the unix endpoint take the detour through the activator: {}",
                chain(&error)
            ));
        }
    }

    /// Lets nobody come to the engine any more. Those of a unix endpoint come to us again; those of
    /// TCP wait.
    pub(crate) fn keep_out(&self) {
        self.close_gates();
        if let Err(error) = swap::swap_out(&self.plan) {
            self.log.say(format_args!("{}", chain(&error)));
        }
    }

    /// Has whoever comes over TCP wait until the gates are open.
    pub(crate) fn close_gates(&self) {
        for (socket, address) in self.sockets() {
            if let Err(error) = gate::close(socket) {
                self.log.say(format_args!(
                    "clients of {address} may be lost while the engine stops: {error}"
                ));
            }
        }
    }

    /// Lets whoever comes over TCP into the queue again.
    pub(crate) fn open_gates(&self) {
        for (socket, _) in self.sockets() {
            gate::open(socket);
        }
    }

    /// How many connections there are with the engine besides the `carried` ones, which are ours.
    pub(crate) fn count(&self, carried: usize) -> usize {
        let mut count = 0;
        if let Some(engine) = swap::engine(&self.plan) {
            let all = known(diag::unix_connections(engine.as_std_path()));
            count += all.saturating_sub(carried);
        }
        for (_, address) in self.sockets() {
            count += known(diag::tcp_connections(*address));
        }
        count
    }

    fn sockets(&self) -> &[(OwnedFd, SocketAddr)] {
        match &self.handover {
            Some(handover) => handover.given(),
            None => &[],
        }
    }
}

/// A number even if nobody can tell: better awake for nothing than asleep under somebody.
fn known(counted: io::Result<usize>) -> usize {
    match counted {
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(_) => 1,
    }
}
