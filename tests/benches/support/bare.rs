//! The bare engine: its start and first reply with nothing of doze around it.
//!
//! The program, its arguments, environment and configuration are those of the plan; only the
//! folders are others. It runs as a process of the world, so that the engine has the user, the
//! cgroup and the namespaces that it has under doze. Must not know: the other candidates.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use doze_contract::{
    Endpoint, Plan,
    plan::{self, Readiness},
};
use doze_tests::exchange::Exchange;
use rustix::process::{Pid, Signal, kill_process};

/// How long a start may take.
const BOUND: Duration = Duration::from_secs(30);

/// Starts the engine of a plan once, stops it, and returns the time from the start to the end of
/// the first reply.
pub(crate) fn start(plan: &Plan) -> Duration {
    prepare(plan).expect("the folders of the plan are ours");
    let [member] = plan.body.members.as_slice() else {
        panic!("{} has several members", plan.engine)
    };
    let (program, arguments) = member.argv.split_first().expect("a program");
    let Some(Endpoint::Unix(upstream)) = &plan.body.upstream else {
        panic!("{} listens on TCP", plan.engine)
    };
    let exchange = Exchange::of(plan);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&member.env)
        .current_dir(&member.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);

    let begun = Instant::now();
    let mut engine = command.spawn().expect("the engine starts");
    // Without a pause, for a pause would be part of the result.
    while !(says_so(&member.ready) && replies(upstream.as_str(), &exchange)) {
        assert!(
            begun.elapsed() < BOUND,
            "{program} is not ready: {:?}",
            engine.try_wait()
        );
        thread::yield_now();
    }
    let took = begun.elapsed();

    stop(&mut engine, &member.stop, upstream.as_str());
    took
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

fn replies(upstream: &str, exchange: &Exchange) -> bool {
    UnixStream::connect(upstream).is_ok_and(|stream| exchange.with(stream).unwrap_or(false))
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
fn stop(engine: &mut Child, rule: &plan::Stop, upstream: &str) {
    let mut connection = None;
    if let Some(say) = &rule.say {
        let mut stream = UnixStream::connect(upstream).expect("the engine accepts");
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
    assert!(status.success(), "the engine ended with {status}");
    drop(connection);
}
