//! `doze demo`: a throw-away project, from asleep to a first reply and back.

mod stage;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use doze_contract::{Endpoint, Plan};

use self::stage::Stage;
use super::Context;
use crate::{
    failure::Failure,
    output::{Paint, print},
};

/// More than the slowest machine needs to create a database.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let stage = Stage::build(context)?;
    let (paint, plans) = (Paint::stdout(), stage.plans()?);
    say(&format!(
        "a throw-away project in {}, held by {}",
        stage.folder(),
        stage.holder()
    ))?;
    for plan in &plans {
        let at = plan
            .endpoints
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        say(&format!("  {} ({}) on {at}", plan.instance, plan.engine))?;
        if !plan.launcher.is_empty() {
            say(&format!(
                "  {} refuses root, so it runs as `nobody` in a user namespace",
                plan.engine
            ))?;
        }
    }
    for plan in &plans {
        say(&format!("\n{}", paint.bold(&plan.instance)))?;
        act(&stage, plan, "creates its data, starts, answers")?;
        act(&stage, plan, "starts, answers")?;
    }
    stage.strike()?;
    say("\neverything is gone again; start your own with `doze init`")
}

/// From asleep to a first reply and back.
fn act(stage: &Stage, plan: &Plan, what: &str) -> Result<(), Failure> {
    say(&format!(
        "  asleep            {} processes",
        stage.processes()
    ))?;
    let start = Instant::now();
    let client = greet(plan).map_err(Failure::io(format!("get a reply of `{}`", plan.instance)))?;
    let millis = start.elapsed().as_millis();
    say(&format!(
        "  connect           {millis} ms until the first reply ({what})"
    ))?;
    say(&format!(
        "  awake             {} processes",
        stage.processes()
    ))?;
    drop(client);
    let start = Instant::now();
    wait_for_sleep(plan).map_err(Failure::io(format!("see `{}` fall asleep", plan.instance)))?;
    let seconds = start.elapsed().as_secs_f32();
    stage.settle();
    say(&format!(
        "  last client left  {seconds:.1} s later it sleeps"
    ))
}

/// Connects as any client would, says hello in the engine's protocol, and waits for the answer.
fn greet(plan: &Plan) -> io::Result<Client> {
    let endpoint = plan
        .endpoints
        .first()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut client = match endpoint {
        Endpoint::Tcp(address) => {
            let client = TcpStream::connect(address)?;
            client.set_read_timeout(Some(PATIENCE))?;
            Client::Tcp(client)
        }
        Endpoint::Unix(path) => {
            let client = UnixStream::connect(path)?;
            client.set_read_timeout(Some(PATIENCE))?;
            Client::Unix(client)
        }
    };
    let Some(hello) = &plan.body.hello else {
        return Ok(client);
    };
    client.write_all(&hello.send.0)?;
    let mut reply: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while !reply
        .windows(hello.ready.0.len().max(1))
        .any(|part| part == hello.ready.0)
    {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend(buffer.iter().take(length));
    }
    Ok(client)
}

/// The status socket lives as long as the activator: its end is the moment of sleep.
fn wait_for_sleep(plan: &Plan) -> io::Result<()> {
    let mut activator = UnixStream::connect(&plan.paths.status_socket)?;
    activator.set_read_timeout(Some(PATIENCE))?;
    match activator.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn say(line: &str) -> Result<(), Failure> {
    print(format_args!("{line}\n")).map_err(Failure::io("print"))
}
