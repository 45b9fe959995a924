//! The init system for machines that have none: a listener in the foreground.
//!
//! It binds the sockets, starts an activator with them by the same `LISTEN_FDS` contract as
//! systemd (`sd_listen_fds(3)`) when one gets a connection, and never accepts one itself. What a
//! killed activator leaves behind falls to it, as a child subreaper (prctl(2)), and is stopped
//! before the next activation: that is what a cgroup does elsewhere.

#[cfg_attr(target_os = "macos", path = "macos/orphans.rs")]
mod orphans;
mod sockets;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{ExitStatus, Stdio},
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use command_fds::{CommandFdExt, FdMapping};
use doze_contract::{InstanceName, Plan, exit::ActivatorExit, plan::UMASK, restarts::Restarts};
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Interest, unix::AsyncFd},
    net::{UnixListener, UnixStream},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::LocalSet,
};

pub use self::sockets::BindError;
use crate::compile::dependencies_first;

/// The first inherited descriptor of `sd_listen_fds(3)`.
const LISTEN_FDS_START: i32 = 3;

/// How long to wait before an activator that crashed is started again, as `RestartSec=`.
const RESTART: Duration = Duration::from_millis(500);

/// The line on the control socket that ends the listener.
const DOWN: &str = "down\n";

/// The word on the control socket before the name of an instance that is not to be started again.
const LEAVE: &str = "leave ";

/// Why the listener cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ForegroundError {
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Something of the system that has to work does not.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ForegroundError {
    move |source| ForegroundError::System { what, source }
}

/// What the listener works with.
#[derive(Debug)]
pub struct Foreground {
    /// The activator program.
    pub activator: Utf8PathBuf,
    /// The instances, in the order of the file.
    pub instances: Vec<(Plan, Utf8PathBuf)>,
    /// The path of the control socket.
    pub control: Utf8PathBuf,
    /// The umask of the programs of the user's own, in octal.
    pub umask: String,
}

impl Foreground {
    /// Binds all sockets, calls `up`, and serves until SIGINT, SIGTERM or `down`. Then the
    /// instances are stopped one after the other, each before what it depends on.
    pub fn run(self, up: impl FnOnce()) -> Result<(), ForegroundError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("start the event loop"))?;
        LocalSet::new().block_on(&runtime, self.serve(up))
    }

    async fn serve(self, up: impl FnOnce()) -> Result<(), ForegroundError> {
        orphans::adopt().map_err(system("become a subreaper"))?;
        crate::interrupt::leave_to_others();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("catch SIGINT"))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(system("catch SIGTERM"))?;

        // Everything is bound before anything runs, so that a taken port leaves nothing behind.
        let mut held = Vec::new();
        for (plan, path) in dependencies_first(self.instances, |(plan, _)| plan) {
            held.push((sockets::bind(&plan)?, plan, path));
        }
        for (_, plan, path) in &held {
            links(&self.activator, "link", plan, path)
                .map_err(system("link the unix endpoints"))?;
        }
        let control = sockets::listen_unix(&self.control)?;
        let control =
            UnixListener::from_std(control).map_err(system("serve the control socket"))?;

        let activators = Activators::default();
        let mut stops = Vec::new();
        let mut leaves = BTreeMap::new();
        for (sockets, plan, path) in held {
            let (stop, stopped) = watch::channel(false);
            let (leave, left) = watch::channel(());
            leaves.insert(plan.instance.to_string(), leave);
            let instance = Instance {
                activator: self.activator.clone(),
                plan,
                path,
                sockets,
                umask: self.umask.clone(),
                activators: activators.clone(),
            };
            stops.push((
                stop,
                tokio::task::spawn_local(instance.serve(stopped, left)),
            ));
        }
        up();
        // The client that said `down` waits for the end of its connection.
        let _client = tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            client = control_client(&control, &leaves) => Some(client),
        };
        while let Some((stop, task)) = stops.pop() {
            stop.send_replace(true);
            if let Err(error) = task.await {
                report(&format!("an instance ended badly: {error}"));
            }
        }
        sockets::unlink(&self.control);
        Ok(())
    }
}

/// The activators that run now. Every other child of this process is an orphan.
type Activators = Rc<RefCell<BTreeSet<i32>>>;

/// One instance with its sockets.
struct Instance {
    activator: Utf8PathBuf,
    plan: Plan,
    path: Utf8PathBuf,
    sockets: Vec<OwnedFd>,
    umask: String,
    activators: Activators,
}

impl Instance {
    async fn serve(self, mut stop: watch::Receiver<bool>, mut leave: watch::Receiver<()>) {
        let mut starts = Restarts::new(&self.plan.body.start);
        let mut next = starts.first();
        loop {
            // Whoever connects first has it started at once, in place of the start that is due.
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {}
                Ok(()) = leave.changed(), if next.is_some() => {
                    next = None;
                    continue;
                }
                ready = readable(&self.sockets) => {
                    if let Err(error) = ready {
                        report(&format!("`{}`: cannot watch its sockets: {error}", self.plan.instance));
                        break;
                    }
                    starts.count_anew();
                }
            }
            // What was said before is not about the start that may come after this one.
            leave.mark_unchanged();
            let began = Instant::now();
            let ended = self.activate(&mut stop).await;
            let status = ended.as_ref().ok().and_then(ExitStatus::code);
            next = starts.next(status, began.elapsed());
            match ended {
                Ok(status) if settled(status) => {}
                Ok(status) => {
                    report(&format!(
                        "`{}`: the activator ended: {status}",
                        self.plan.instance
                    ));
                    // Clients come here again, and not to what is left of the engine.
                    self.links("link");
                    orphans::stop(&self.activators, &self.plan).await;
                    orphans::open(&self.sockets);
                    pause(&mut stop).await;
                }
                Err(error) => {
                    report(&format!(
                        "`{}`: cannot start the activator: {error}",
                        self.plan.instance
                    ));
                    pause(&mut stop).await;
                }
            }
        }
        self.links("unlink");
        sockets::unlink_all(&self.plan);
    }

    fn links(&self, verb: &str) {
        if let Err(error) = links(&self.activator, verb, &self.plan, &self.path) {
            report(&format!(
                "`{}`: cannot {verb} its unix endpoints: {error}",
                self.plan.instance
            ));
        }
    }

    /// Runs an activator until it leaves; asks it to leave when it is time to stop.
    async fn activate(&self, stop: &mut watch::Receiver<bool>) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or_default();
        self.activators.borrow_mut().insert(pid);
        let status = tokio::select! {
            status = child.wait() => status,
            _ = stop.wait_for(|stop| *stop) => {
                // The child was not waited for yet, so the pid is still its own.
                if let Some(pid) = Pid::from_raw(pid) {
                    orphans::signal(pid, Signal::TERM);
                }
                child.wait().await
            }
        };
        self.activators.borrow_mut().remove(&pid);
        status
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut mappings = Vec::new();
        for (number, socket) in (LISTEN_FDS_START..).zip(&self.sockets) {
            mappings.push(FdMapping {
                parent_fd: socket.try_clone()?,
                child_fd: number,
            });
        }
        let mut command = Command::new(&self.activator);
        command
            .args(["run", self.path.as_str(), "--die-with-parent"])
            .env("LISTEN_FDS", self.sockets.len().to_string())
            .env(UMASK, &self.umask)
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .process_group(0);
        command
            .as_std_mut()
            .fd_mappings(mappings)
            .map_err(io::Error::other)?;
        command.spawn()
    }
}

/// Links the paths of the unix endpoints to what is bound here, or removes them: the same program
/// does it as under systemd.
fn links(activator: &Utf8Path, verb: &str, plan: &Plan, path: &Utf8Path) -> io::Result<()> {
    if plan.init_sockets.is_empty() {
        return Ok(());
    }
    let status = std::process::Command::new(activator)
        .args([verb, path.as_str()])
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the activator said so ({status})"
    )))
}

/// Whether the activator left as it should: nothing of the engine is left then.
fn settled(status: ExitStatus) -> bool {
    let fine = [
        ActivatorExit::Done as i32,
        ActivatorExit::EngineFailed as i32,
        ActivatorExit::Ended as i32,
    ];
    status.code().is_some_and(|code| fine.contains(&code))
}

async fn pause(stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(RESTART) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Waits until one of the sockets has a connection.
async fn readable(sockets: &[OwnedFd]) -> io::Result<()> {
    // Registered anew each time: an epoll(7) edge that passed while the activator accepted would
    // be missed, but what is in the backlog at registration is reported at once.
    let watched: Vec<_> = sockets
        .iter()
        .map(AsFd::as_fd)
        .map(watch)
        .collect::<Result<_, _>>()?;
    poll_fn(|cx| {
        for socket in &watched {
            if let Poll::Ready(ready) = socket.poll_read_ready(cx) {
                return Poll::Ready(ready.map(drop));
            }
        }
        Poll::Pending
    })
    .await
}

/// Watches a descriptor for its becoming readable.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe; an owned or borrowed fd stays open here"
)]
fn watch<T: AsRawFd>(fd: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Waits for a client that says `down`. Others have an instance left as it is, or only look whether
/// somebody is here.
async fn control_client(
    control: &UnixListener,
    leaves: &BTreeMap<String, watch::Sender<()>>,
) -> UnixStream {
    loop {
        let Ok((mut client, _)) = control.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut line = String::new();
        let mut reader = BufReader::new(&mut client);
        let read = tokio::time::timeout(RESTART, reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            continue;
        }
        if line == DOWN {
            return client;
        }
        let left = line.strip_prefix(LEAVE);
        if let Some(leave) = left.and_then(|name| leaves.get(name.trim_end())) {
            leave.send_replace(());
        }
    }
}

/// Whether a listener runs for the project.
pub fn is_running(control: &Utf8Path) -> bool {
    std::os::unix::net::UnixStream::connect(control).is_ok()
}

/// Asks the listener of the project to stop and waits until it has; whether there was one.
pub fn down(control: &Utf8Path) -> io::Result<bool> {
    say(control, DOWN)
}

/// Has the listener of the project, if there is one, not start an instance again by itself.
pub fn leave(control: &Utf8Path, instance: &InstanceName) -> io::Result<()> {
    say(control, &format!("{LEAVE}{instance}\n")).map(drop)
}

/// Says a line, and waits for the end of the connection; whether there was anybody.
fn say(control: &Utf8Path, line: &str) -> io::Result<bool> {
    use std::io::Read;
    let Ok(mut client) = std::os::unix::net::UnixStream::connect(control) else {
        return Ok(false);
    };
    client.write_all(line.as_bytes())?;
    client.read_to_end(&mut Vec::new())?;
    Ok(true)
}

fn report(line: &str) {
    // There is nobody else to tell if standard error is gone.
    drop(writeln!(io::stderr(), "doze: {line}"));
}
