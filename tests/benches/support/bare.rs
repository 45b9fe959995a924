//! The bare engine: its start and first reply with nothing of doze around it.
//!
//! The program, its arguments, environment and configuration are those of the plan; only the
//! folders are others. It runs as a process of the world, so that the engine has the user, the
//! cgroup and the namespaces that it has under doze. Must not know: the other candidates.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use doze_contract::{
    Endpoint, Plan,
    plan::{self, Chosen, Member, Readiness},
};
use doze_tests::exchange::Exchange;
use rustix::process::{Pid, Signal, kill_process};

/// How long a start may take.
const BOUND: Duration = Duration::from_secs(30);

/// Up to here it is asked without a pause, for a pause would be part of the result. What takes
/// longer needs the processor that asking takes, and has its pauses: a hundredth of this.
const WITHOUT_PAUSE: Duration = Duration::from_millis(10);

/// Starts the engine of a plan once, stops it, and returns the time from the start to the end of
/// the first reply.
pub(crate) fn start(plan: &Plan) -> Duration {
    prepare(plan).expect("the folders of the plan are ours");
    let (upstream, ports) = listening(plan);
    let exchange = Exchange::of(plan);
    let last = plan.body.members.len().saturating_sub(1);
    let mut engine = Vec::new();

    let begun = Instant::now();
    for (at, member) in plan.body.members.iter().enumerate() {
        let mut child = command(plan, member, &upstream, &ports)
            .spawn()
            .expect("the engine starts");
        while !(says_so(&member.ready) && (at < last || replies(&upstream, &exchange))) {
            assert!(
                begun.elapsed() < BOUND,
                "{} is not ready: {:?}",
                member.name,
                child.try_wait()
            );
            pause(begun.elapsed());
        }
        engine.push((child, member));
    }
    let took = begun.elapsed();

    for (mut child, member) in engine.into_iter().rev() {
        stop(&mut child, &member.stop, &upstream);
    }
    took
}

/// Where it listens: a port that the plan leaves open is chosen here, and told like an activator
/// tells it.
fn listening(plan: &Plan) -> (Endpoint, Vec<(String, String)>) {
    let side = plan.body.side.iter().map(|side| &side.variable);
    // All are bound before one is let go, so that no two are the same.
    let mut bound = Vec::new();
    let mut ports = Vec::new();
    let mut choose = |variable: &String| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        bound.push(listener);
        ports.push((variable.clone(), address.port().to_string()));
        Endpoint::Tcp(address)
    };
    side.for_each(|variable| drop(choose(variable)));
    let upstream = match (&plan.body.upstream, &plan.body.chosen) {
        (Some(upstream), _) => upstream.clone(),
        (None, Some(Chosen::Port(variable))) => choose(variable),
        (None, Some(Chosen::Socket) | None) => panic!("{} has no address", plan.engine),
    };
    (upstream, ports)
}

fn command(
    plan: &Plan,
    member: &Member,
    upstream: &Endpoint,
    ports: &[(String, String)],
) -> Command {
    let words = own_words(plan, member, upstream);
    let (program, arguments) = words.split_first().expect("a program");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&member.env)
        .envs(ports.iter().cloned())
        .current_dir(&member.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

/// The command line without what is doze's own: a MariaDB is handed its sockets there, and makes
/// one itself here.
fn own_words(plan: &Plan, member: &Member, upstream: &Endpoint) -> Vec<String> {
    let mut words = member.argv.clone();
    if let ("mariadb", Endpoint::Unix(socket)) = (plan.engine.as_str(), upstream) {
        let server = words.iter().position(|word| word.ends_with("/mariadbd"));
        words.drain(..server.expect("a server"));
        words.retain(|word| !word.starts_with("--socket="));
        words.push(format!("--socket={socket}"));
        words.push("--skip-networking".to_owned());
    }
    words
}

#[expect(
    clippy::disallowed_methods,
    reason = "without it what is measured would lack a processor; it is no wait for something"
)]
fn pause(waited: Duration) {
    if waited < WITHOUT_PAUSE {
        thread::yield_now();
    } else {
        thread::sleep(WITHOUT_PAUSE / 100);
    }
}

/// Whether there is any use in asking. To ask an engine that cannot serve yet costs it time: a
/// Postgres forks to say so.
fn says_so(ready: &Readiness) -> bool {
    match ready {
        Readiness::Hello => true,
        Readiness::FileLine { path, line, text } => fs::read_to_string(path).is_ok_and(|file| {
            let line = file.lines().nth(line.saturating_sub(1));
            line.is_some_and(|line| line.trim_end() == text)
        }),
        Readiness::Connect { .. }
        | Readiness::Http { .. }
        | Readiness::Exec { .. }
        | Readiness::Output { .. }
        | Readiness::Alive { .. } => panic!("no bare engine is watched like that"),
    }
}

fn replies(upstream: &Endpoint, exchange: &Exchange) -> bool {
    let reply = match upstream {
        Endpoint::Unix(path) => UnixStream::connect(path).and_then(|stream| exchange.with(stream)),
        Endpoint::Tcp(address) => {
            TcpStream::connect(address).and_then(|stream| exchange.with(stream))
        }
    };
    reply.unwrap_or(false)
}

/// An empty private folder with the configuration in it.
fn prepare(plan: &Plan) -> io::Result<()> {
    let run = &plan.paths.run;
    match fs::remove_dir_all(run) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(run)?;
    for file in &plan.body.files {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file.path)?
            .write_all(file.text.as_bytes())?;
    }
    Ok(())
}

/// Stops it in its own dialect, so that the next start finds what a sleeping instance has.
fn stop(engine: &mut Child, rule: &plan::Stop, upstream: &Endpoint) {
    let mut connection = None;
    if let (Some(say), Endpoint::Unix(path)) = (&rule.say, upstream) {
        let mut stream = UnixStream::connect(path).expect("the engine accepts");
        stream.write_all(&say.0).expect("the engine listens");
        connection = Some(stream);
    } else {
        let signal = match rule.signal {
            plan::Signal::Int => Signal::INT,
            plan::Signal::Kill => Signal::KILL,
            plan::Signal::Quit => Signal::QUIT,
            plan::Signal::Term => Signal::TERM,
        };
        kill_process(Pid::from_child(engine), signal).expect("our child");
    }
    let status = engine.wait().expect("our child");
    assert!(
        status.success() || rule.signal == plan::Signal::Kill,
        "the engine ended with {status}"
    );
    drop(connection);
}
