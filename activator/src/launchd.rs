//! What differs under launchd: the sockets are asked for by name, nobody counts the starts, and the
//! next start is not before its time.
//!
//! Must not know what the agent says besides.

use std::{
    env,
    fs::{self, File},
    future::poll_fn,
    io,
    os::fd::OwnedFd,
    task::Poll,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Plan,
    exit::ActivatorExit,
    launchd::{CLIENTS, ENVIRONMENT, GIVEN_UP, TRIES, WAKE},
    restarts::Restarts,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    sockets::{Inherited, SocketError, has_client},
    sys,
    watched::watched,
};

/// How many sockets find a place from descriptor 3 on, and one at least, which is what an engine that
/// is handed its upstream needs.
const PLACES: usize = 8;

/// Takes the sockets that launchd holds for this process, and puts them where another init system
/// would have. Nothing else was opened before.
pub(crate) fn sockets() -> Result<Vec<Inherited>, SocketError> {
    let unusable = |at| move |source| SocketError::Unusable { at, source };
    let places = (0..PLACES).map(|at| File::open("/dev/null").map_err(unusable(at)));
    let mut places = places.collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut sockets = Vec::new();
    for (at, socket) in check_in(CLIENTS)?
        .into_iter()
        .chain(check_in(WAKE)?)
        .enumerate()
    {
        let socket = match places.next().map(OwnedFd::from) {
            Some(mut place) => sys::put(&socket, &mut place).map(|()| place),
            None => Ok(socket),
        };
        let known = socket.and_then(Inherited::known);
        sockets.push(known.map_err(unusable(at))?);
    }
    if sockets.is_empty() {
        return Err(SocketError::None);
    }
    Ok(sockets)
}

#[cfg(any(target_os = "macos", feature = "launchd"))]
fn check_in(name: &str) -> Result<Vec<OwnedFd>, SocketError> {
    use doze_launchd::{CheckInError, check_in};

    let text = std::ffi::CString::new(name).unwrap_or_default();
    match check_in(&text) {
        // An instance that binds its endpoints itself has none of them here.
        Err(CheckInError::NoSuchName(_)) if name == CLIENTS => Ok(Vec::new()),
        other => Ok(other?),
    }
}

#[cfg(not(any(target_os = "macos", feature = "launchd")))]
fn check_in(_name: &str) -> Result<Vec<OwnedFd>, SocketError> {
    Err(SocketError::NoLaunchd)
}

/// The starts of an instance that starts with its project, and the file that has their number from
/// one to the next: launchd counts none, and waits between two for its throttle alone.
#[derive(Debug)]
pub(crate) struct Starts {
    path: Utf8PathBuf,
    /// There are ends after which it is started again.
    is_kept_alive: bool,
    restarts: Restarts,
    sockets: Vec<OwnedFd>,
    terminate: Signal,
}

impl Starts {
    /// Begins one, within a runtime; nothing for one that its clients start. If somebody waits who
    /// wants it, it is no retry.
    pub(crate) fn begin(plan: &Plan, sockets: &[Inherited]) -> io::Result<Option<Self>> {
        let restarts = Restarts::new(&plan.body.start);
        let Some(is_kept_alive) = restarts.is_ever() else {
            return Ok(None);
        };
        let path = plan.paths.wake_socket.with_file_name(TRIES);
        let wanted = sockets.iter().any(has_client);
        let tries = fs::read_to_string(&path).ok().filter(|_| !wanted);
        let tries = tries.and_then(|text| text.trim().parse().ok());
        let copies = sockets.iter().map(|inherited| inherited.socket.try_clone());
        Ok(Some(Self {
            path,
            is_kept_alive,
            restarts: restarts.resumed(tries.unwrap_or_default()),
            sockets: copies.collect::<io::Result<_>>()?,
            terminate: signal(SignalKind::terminate())?,
        }))
    }

    /// The exit status of a start that ran so long. launchd starts one with a `KeepAlive` again after
    /// every other status than 0: if that is wanted, the time until then is over when this returns,
    /// or somebody wants it at once.
    pub(crate) async fn end(mut self, exit: ActivatorExit, ran: Duration) -> ActivatorExit {
        let next = self.restarts.next(Some(exit as i32), ran);
        let is_well = matches!(exit, ActivatorExit::Done | ActivatorExit::Ended);
        self.keep(match (next, is_well) {
            (Some(_), _) => Some(self.restarts.tries().to_string()),
            (None, false) => Some(String::from(GIVEN_UP)),
            (None, true) => None,
        });
        let Some(backoff) = next else {
            return if self.is_kept_alive {
                ActivatorExit::Done
            } else {
                exit
            };
        };
        // Watched from now on: who came before was accepted.
        let watched: Vec<_> = self.sockets.into_iter().flat_map(watched).collect();
        let wanted = poll_fn(|cx| {
            let mut sockets = watched.iter();
            if sockets.any(|socket| socket.poll_read_ready(cx).is_ready()) {
                return Poll::Ready(());
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            _ = self.terminate.recv() => return ActivatorExit::Done,
            () = wanted => {}
            () = sleep(backoff) => {}
        }
        // Nothing that was asked to stop, and only that exits with 0, is started again.
        exit
    }

    /// Without what is kept, or with half of it, it starts more often than it should.
    #[expect(clippy::disallowed_methods, reason = "half a number does no harm")]
    fn keep(&self, told: Option<String>) {
        match told {
            Some(text) => fs::write(&self.path, text),
            None => fs::remove_file(&self.path),
        }
        .ok();
    }
}

/// The file of what the user's shell told `doze up`, for the programs of the user's own.
pub(crate) fn environment() -> Option<Utf8PathBuf> {
    let path = env::var(ENVIRONMENT).ok()?;
    Utf8Path::new(&path).is_file().then(|| path.into())
}
