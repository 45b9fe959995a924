//! Listening sockets that the engine accepts on itself, as `sd_listen_fds(3)` describes.
//!
//! Owns the way there: the descriptors from 3 on that such a program expects, and the state in
//! which the sockets change hands. This process keeps copies of them, and accepts nobody on them as
//! long as there may be an engine. Must not know who connects.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use doze_contract::{
    Endpoint, Plan,
    plan::{Chosen, OpenTo},
};
use rustix::{
    io::{dup2, fcntl_dupfd_cloexec, ioctl_fionbio},
    net::listen,
};

use crate::{
    gate,
    log::Log,
    sockets::{BACKLOG, Inherited},
    stream, sys,
};

/// What the sockets of an instance are handed over with.
#[derive(Debug)]
pub(crate) struct Handover {
    /// The TCP sockets that the engine may get, each with its address.
    sockets: Vec<(OwnedFd, SocketAddr)>,
    /// The engine of this boot gets them.
    given: AtomicBool,
    /// The descriptors from 3 on. The init system put its own sockets there; there is one at least
    /// for each that the engine gets, for nobody hands on the wake socket.
    seats: Mutex<Vec<OwnedFd>>,
    /// What is put there while nobody is being started.
    empty: File,
}

impl Handover {
    /// For a plan whose last member is handed sockets. Those that were inherited move away from
    /// their places.
    pub(crate) fn new(
        plan: &Plan,
        inherited: &mut [Inherited],
        log: &Log,
    ) -> io::Result<Option<Self>> {
        let body = &plan.body;
        if !body.takes_sockets && body.chosen != Some(Chosen::Socket) {
            return Ok(None);
        }
        if are_wanted(plan) && !are_handed(plan) {
            log.say(format_args!(
                "every client is carried: nobody could be kept out of a TCP socket while the engine \
                 stops, for which this kernel asks CAP_NET_ADMIN"
            ));
        }
        let (mut sockets, mut seats) = (Vec::new(), Vec::new());
        for one in &mut *inherited {
            let copy = fcntl_dupfd_cloexec(&one.socket, 0)?;
            seats.push(std::mem::replace(&mut one.socket, copy));
        }
        for endpoint in plan.endpoints.iter().filter(|_| are_handed(plan)) {
            let one = inherited.iter().find(|one| one.is_at(endpoint));
            if let (Some(one), Endpoint::Tcp(address)) = (one, endpoint) {
                sockets.push((one.socket.try_clone()?, *address));
            }
        }
        Ok(Some(Self {
            sockets,
            given: AtomicBool::new(true),
            seats: Mutex::new(seats),
            empty: File::open("/dev/null")?,
        }))
    }

    /// The TCP sockets that an engine may get, each with its address.
    pub(crate) fn sockets(&self) -> &[(OwnedFd, SocketAddr)] {
        &self.sockets
    }

    /// Those that the engine of this boot gets.
    pub(crate) fn given(&self) -> &[(OwnedFd, SocketAddr)] {
        if self.given.load(Ordering::Relaxed) {
            &self.sockets
        } else {
            &[]
        }
    }

    /// Says whether the engine of this boot gets those of TCP. Nobody meets one that is not as
    /// declared, and who accepts by itself cannot be told to wait.
    pub(crate) fn decide(&self, is_made: bool) {
        self.given.store(is_made, Ordering::Relaxed);
    }

    /// Adds copies for the engine, in the state in which the init system would pass them. As it is
    /// with clients that are accepted here, one that vanishes without a word does not stay for ever.
    pub(crate) fn give(&self, to: &mut Vec<OwnedFd>) -> io::Result<()> {
        for (socket, _) in self.given() {
            ioctl_fionbio(socket, false)?;
            stream::keep_alive(socket)?;
            to.push(socket.try_clone()?);
        }
        Ok(())
    }

    /// Runs `spawn`, whose process finds these sockets from descriptor 3 on.
    pub(crate) fn share<T>(
        &self,
        sockets: &[OwnedFd],
        spawn: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.len() < sockets.len() {
            return Err(io::Error::other("the init system passed too few sockets"));
        }
        for (seat, socket) in seats.iter_mut().zip(sockets) {
            dup2(socket, seat)?;
        }
        let spawned = spawn();
        for seat in &mut *seats {
            sys::put(&self.empty, seat)?;
        }
        spawned
    }
}

/// A socket as this process accepts on it, whatever the engine, which is gone, did to it: it may have
/// listened with a backlog of its own.
pub(crate) fn take_back((socket, address): &(OwnedFd, SocketAddr)) -> io::Result<Inherited> {
    listen(socket, BACKLOG)?;
    let address = Some(Endpoint::Tcp(*address));
    Inherited::new(socket.try_clone()?, address, true)
}

/// Whether the engine accepts the TCP clients of an instance itself, once its structure is made, if
/// they can be kept out while it stops. Somebody has to look at them who serves not everybody.
fn are_wanted(plan: &Plan) -> bool {
    plan.body.takes_sockets && plan.hands_over && plan.open_to == OpenTo::All
}

/// Whether it does.
pub(crate) fn are_handed(plan: &Plan) -> bool {
    are_wanted(plan) && gate::is_there()
}
