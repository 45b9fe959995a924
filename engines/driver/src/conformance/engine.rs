//! An engine run exactly as its plan says, without an activator. It must not know any engine, and
//! nothing of provisioning.
//!
//! What an activator chooses is chosen here: the plan of an [`Engine`] names the ports.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use doze_contract::{
    Endpoint, Plan,
    plan::{Body, Chosen, Member, Readiness, Signal},
};
use rustix::process::{Pid, kill_process, kill_process_group};

use super::{World, processes, until, world::private_file};

const SETPRIV: &str = "/usr/bin/setpriv";

/// How long one exchange may hang before it counts as unanswered.
const EXCHANGE: Duration = Duration::from_secs(5);

/// The running members of a plan. They are killed with all of their children when it is dropped.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    running: Vec<Running>,
}

/// One of them.
#[derive(Debug)]
struct Running {
    member: Member,
    child: Child,
}

impl Engine {
    /// Writes the plan's files, spawns each member when the one before is ready, and waits until
    /// the last one is. The error ends with what the engine printed.
    pub fn boot(world: &World, plan: &Plan) -> Result<Self, Box<dyn Error>> {
        world.write_files(plan)?;
        let mut engine = Self {
            plan: with_ports(plan)?,
            running: Vec::new(),
        };
        for member in engine.plan.body.members.clone() {
            engine.start(&member)?;
        }
        engine.is_private()?;
        Ok(engine)
    }

    fn start(&mut self, member: &Member) -> Result<(), Box<dyn Error>> {
        let before = ready_file(member);
        let leash = leash();
        let launcher = self.plan.launcher.iter();
        let mut words = launcher.chain(&leash).chain(&member.argv);
        let log = private_file(&self.plan.paths.log)?;
        let mut command = Command::new(words.next().ok_or("an empty command line")?);
        if member.own.is_none() {
            command.env_clear();
        }
        let started = Instant::now();
        let child = command
            .args(words)
            .envs(&member.env)
            .current_dir(&member.cwd)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot spawn `{}`: {error}", member.name))?;
        self.running.push(Running {
            member: member.clone(),
            child,
        });
        until(member.ready_within, || {
            // An engine that left is no reason to wait on.
            for running in &mut self.running {
                if let Ok(Some(status)) = running.child.try_wait() {
                    let name = &running.member.name;
                    return Ok(Err(format!("`{name}` left with {status}")));
                }
            }
            ready(&self.plan, member, before.as_deref(), started).map(Ok)
        })?
        .map_err(|why| format!("{why}; it printed:\n{}", self.log()).into())
    }

    /// The socket may get a second name, in a folder that others can enter.
    fn is_private(&self) -> Result<(), Box<dyn Error>> {
        let Some(Endpoint::Unix(path)) = &self.plan.body.upstream else {
            return Ok(());
        };
        match std::fs::metadata(path)?.permissions().mode() & 0o777 {
            mode if mode & 0o077 != 0 => Err(format!("{path} has mode {mode:03o}").into()),
            _ => Ok(()),
        }
    }

    /// Stops the members by their stop rules, the last one first, and gives the status of that.
    pub fn stop(self) -> Result<ExitStatus, Box<dyn Error>> {
        self.stop_each(|plan, running| {
            let said = say(plan, &running.member);
            said.unwrap_or_else(|| running.signal())
        })
    }

    /// Likewise, but by their signals alone.
    pub fn stop_by_signal(self) -> Result<ExitStatus, Box<dyn Error>> {
        self.stop_each(|_, running| running.signal())
    }

    /// Has one member die, and stops the others by their stop rules, the last one first.
    pub fn crash(mut self, member: usize) -> Result<(), Box<dyn Error>> {
        let crashed = self.running.get_mut(member).ok_or("no such member")?;
        let pid = pid(&crashed.child)?;
        kill_process(pid, rustix::process::Signal::KILL)?;
        // And what is left of its group, before its number may be somebody else's.
        kill_process_group(pid, rustix::process::Signal::KILL)?;
        let _status = crashed.wait()?;
        let _status = self.stop_each(|plan, running| {
            // One that needs the other may be gone as well, or have nobody to hear it.
            match say(plan, &running.member) {
                Some(Ok(())) => Ok(()),
                Some(Err(_)) | None => running.signal(),
            }
        })?;
        Ok(())
    }

    fn stop_each(
        mut self,
        stop: impl Fn(&Plan, &mut Running) -> Result<(), Box<dyn Error>>,
    ) -> Result<ExitStatus, Box<dyn Error>> {
        let mut serving = None;
        // One that hangs is still among them, and is killed with them.
        for at in (0..self.running.len()).rev() {
            if let Some(running) = self.running.get_mut(at) {
                stop(&self.plan, running)?;
                let status = running.wait();
                let status = status.map_err(|why| format!("{why}; it printed:\n{}", self.log()))?;
                serving.get_or_insert(status);
            }
        }
        serving.ok_or_else(|| "there is no member".into())
    }

    /// What the body's hello is answered with right now.
    pub fn hello(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(hello(&self.plan.body)?)
    }

    /// All that the engine printed since the instance was made.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.plan.paths.log).unwrap_or_default()
    }

    /// The process that serves.
    pub fn pid(&self) -> Option<u32> {
        self.running.last().map(|running| running.child.id())
    }

    /// The plan that it runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The plan with ports that are free now in place of those that an activator would choose. A
/// listening socket is made by an activator alone.
fn with_ports(plan: &Plan) -> Result<Plan, Box<dyn Error>> {
    let mut plan = plan.clone();
    // All at a time, so that no two are the same.
    let mut free = Vec::new();
    let mut choose = || -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr();
        free.push(listener);
        address
    };
    let mut told = Vec::new();
    if let Some(Chosen::Port(name)) = &plan.body.chosen {
        let address = choose()?;
        plan.body.upstream = Some(Endpoint::Tcp(address));
        told.push((name.clone(), address.port().to_string()));
    }
    for side in &plan.body.side {
        told.push((side.variable.clone(), choose()?.port().to_string()));
    }
    for member in &mut plan.body.members {
        member.env.extend(told.iter().cloned());
    }
    Ok(plan)
}

/// Words that have an engine killed together with whoever tests it: by Ctrl-C, say. They keep its
/// process id (setpriv(1)). Where there is no such program, it stays then.
fn leash() -> Vec<String> {
    if Path::new(SETPRIV).is_file() {
        vec![SETPRIV.into(), "--pdeathsig".into(), "KILL".into()]
    } else {
        Vec::new()
    }
}

impl Running {
    fn signal(&mut self) -> Result<(), Box<dyn Error>> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let signal = match self.member.stop.signal {
            Signal::Int => rustix::process::Signal::INT,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Quit => rustix::process::Signal::QUIT,
            Signal::Term => rustix::process::Signal::TERM,
        };
        let pid = pid(&self.child)?;
        let sent = match self.member.own {
            Some(_) => kill_process_group(pid, signal),
            None => kill_process(pid, signal),
        };
        Ok(sent?)
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        until(self.member.stop.within, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(format!("`{}` still runs", self.member.name)),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that was reaped has no pid any more: it may be somebody else's by now.
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), pid(&self.child)) {
            processes::kill_tree(pid);
            let _reaped = self.child.wait();
        }
    }
}

fn ready(
    plan: &Plan,
    member: &Member,
    before: Option<&str>,
    started: Instant,
) -> Result<(), String> {
    match &member.ready {
        Readiness::Hello => {
            let reply = hello(&plan.body).map_err(|e| e.to_string())?;
            let hello = plan.body.hello.as_ref();
            if hello.is_some_and(|hello| contains(&reply, &hello.ready.0)) {
                return Ok(());
            }
            Err(format!("it answers {}", reply.escape_ascii()))
        }
        Readiness::FileLine { line, text, .. } => {
            // What a killed engine left behind does not count.
            let now = ready_file(member).filter(|now| before != Some(now));
            let found = now
                .as_deref()
                .and_then(|now| now.lines().nth(line.wrapping_sub(1)));
            match found.map(str::trim_end) {
                Some(found) if found == text => Ok(()),
                other => Err(format!("the line is {other:?}")),
            }
        }
        Readiness::Connect { at } => {
            let at = at.as_ref().or(plan.body.upstream.as_ref());
            let connected = match at.ok_or("the plan names no upstream")? {
                Endpoint::Tcp(address) => TcpStream::connect(address).map(drop),
                Endpoint::Unix(path) => UnixStream::connect(path).map(drop),
            };
            connected.map_err(|error| error.to_string())
        }
        Readiness::Alive { lasts } => match started.elapsed() {
            age if age < *lasts => Err(format!("it has lived for {age:?}")),
            _ => Ok(()),
        },
        other @ (Readiness::Http { .. } | Readiness::Exec { .. } | Readiness::Output { .. }) => {
            Err(format!("only an activator sees to {other:?}"))
        }
    }
}

/// Says what a member has to hear to stop, if it is to be said.
fn say(plan: &Plan, member: &Member) -> Option<Result<(), Box<dyn Error>>> {
    let say = member.stop.say.as_ref()?;
    let said = upstream(&plan.body).and_then(|upstream| exchange(upstream, &say.0, |_| false));
    Some(said.map(drop).map_err(Into::into))
}

fn pid(child: &Child) -> Result<Pid, Box<dyn Error>> {
    Ok(i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or("no pid")?)
}

fn ready_file(member: &Member) -> Option<String> {
    if let Readiness::FileLine { path, .. } = &member.ready {
        std::fs::read_to_string(path).ok()
    } else {
        None
    }
}

fn upstream(body: &Body) -> std::io::Result<&Endpoint> {
    let found = body.upstream.as_ref();
    found.ok_or_else(|| std::io::Error::other("the plan names no upstream"))
}

fn hello(body: &Body) -> std::io::Result<Vec<u8>> {
    let hello = body.hello.as_ref();
    let hello = hello.ok_or_else(|| std::io::Error::other("the plan has no hello"))?;
    exchange(upstream(body)?, &hello.send.0, |reply| {
        let busy = |busy: &doze_contract::Bytes| contains(reply, &busy.0);
        contains(reply, &hello.ready.0) || hello.busy.iter().any(busy)
    })
}

/// Sends `say` and reads until `enough` or the end.
fn exchange(
    upstream: &Endpoint,
    say: &[u8],
    enough: impl Fn(&[u8]) -> bool,
) -> std::io::Result<Vec<u8>> {
    match upstream {
        Endpoint::Unix(path) => {
            let stream = uninterrupted(|| UnixStream::connect(path))?;
            stream.set_read_timeout(Some(EXCHANGE))?;
            talk(&stream, &stream, say, enough)
        }
        Endpoint::Tcp(address) => {
            let stream = uninterrupted(|| TcpStream::connect(address))?;
            stream.set_read_timeout(Some(EXCHANGE))?;
            talk(&stream, &stream, say, enough)
        }
    }
}

fn talk(
    mut reads: impl Read,
    mut writes: impl Write,
    say: &[u8],
    enough: impl Fn(&[u8]) -> bool,
) -> std::io::Result<Vec<u8>> {
    writes.write_all(say)?;
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while !enough(&reply) {
        match uninterrupted(|| reads.read(&mut buffer))? {
            0 => break,
            count => reply.extend(buffer.iter().take(count)),
        }
    }
    Ok(reply)
}

/// Does `call` again for as long as a signal interrupts it (signal(7)); std leaves that to us.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
