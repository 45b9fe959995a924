//! Benchmark `handed`: requests to an engine that accepts on the init system's own sockets.
//!
//! There are three servers of MariaDB with the same configuration, as confined as each other: one
//! that listens on a port of its own, with nothing of doze; one whose sockets are handed over to it
//! by doze; and one behind the pipe of doze. The same clients talk to them in turns, because a
//! shared machine is never twice the same. Times are printed and never asserted.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/samples.rs"]
#[expect(dead_code, reason = "no sums are needed here")]
mod samples;
#[path = "support/unit.rs"]
mod unit;

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use doze_contract::Plan;
use doze_tests::engines::Engine;
use doze_tests::project::{Mode, Project};
use doze_tests::{User, needed, wait_until};
use mysql::{Conn, prelude::Queryable};

use crate::samples::Samples;

/// Of each load, in turns.
const ROUNDS: usize = 24;

/// How long a load takes.
const TIME: Duration = Duration::from_millis(250);

/// How long the slowest step of the preparations may take.
const BOUND: Duration = Duration::from_mins(1);

/// The ratio of the medians to stay below.
const AIM: f64 = 1.05;

/// What clients do.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// So many of them ask, each again and again over one connection.
    Ask(usize),
    /// One connects, asks once, and leaves, again and again.
    Connect,
}

/// A way to a MariaDB.
struct Way {
    name: &'static str,
    url: String,
}

fn main() {
    // Late kernels let nobody else keep clients out of a TCP socket.
    let Some(project) = Project::of(User::Current, Mode::Systemd, "1h") else {
        return;
    };
    let Some(mariadb) = needed("a MariaDB", project.mariadb.clone()) else {
        return;
    };
    let ways = ways(&project, &mariadb);
    println!("handed: {ROUNDS} rounds in turns");
    println!("at the start: {}", machine::line());
    for load in [Load::Ask(1), Load::Ask(8), Load::Connect] {
        measure(&ways, load);
    }
    println!("\nat the end: {}", machine::line());
}

/// All three, awake.
fn ways(project: &Project, mariadb: &Engine) -> [Way; 3] {
    let world = &project.world;
    let mut numbers = mariadb.version.split('.');
    let version = [numbers.next(), numbers.next()].map(Option::unwrap_or_default);
    let mut toml = String::from("name = \"shop\"\n[defaults]\nidle_timeout = \"1h\"\n");
    for (name, open_to) in [("direct", "all"), ("handed", "all"), ("piped", "user")] {
        write!(
            toml,
            "[mariadb.{name}]\nversion = \"{}\"\nport = {}\nopen_to = \"{open_to}\"\n",
            version.join("."),
            world.port()
        )
        .expect("memory");
    }
    project.declare(&toml);
    project.run(&["up"]);
    // The first boot makes the structure, and has its clients behind the pipe.
    for name in ["direct", "handed", "piped"] {
        project.run(&["wake", name]);
        project.run(&["sleep", name]);
    }
    project.wait_asleep();

    let url = |plan: &Plan| {
        let url = plan.body.connection.url.as_ref().expect("a URL");
        // This client would go on over the server's unix socket.
        format!("{url}?prefer_socket=false")
    };
    let [direct, handed, piped] = ["direct", "handed", "piped"].map(|name| project.plan(name));
    let (port, own) = (world.port(), direct.endpoints.first().expect("an endpoint"));
    let address = format!("127.0.0.1:{port}");
    let ways = [
        Way {
            name: "direct",
            url: url(&direct).replace(&own.to_string(), &address),
        },
        Way {
            name: "doze, sockets handed over",
            url: url(&handed),
        },
        Way {
            name: "doze, by the pipe",
            url: url(&piped),
        },
    ];
    serve(project, &direct, port);
    for (way, place) in ways.iter().zip(["127.0.0.1", "127.0.0.1", "localhost"]) {
        let user: Option<String> = connect(way).query_first("SELECT USER()").expect("a user");
        // Who is seen to come from elsewhere comes by another way than this says.
        let user = user.unwrap_or_default();
        assert!(user.ends_with(place), "{}: {user}", way.name);
    }
    ways
}

/// Starts the server of a sleeping instance on a port of its own, as confined as doze has it.
fn serve(project: &Project, plan: &Plan, port: u16) {
    let world = &project.world;
    for file in &plan.body.files {
        world.write(&file.path, &file.text);
    }
    let service = world.units().join("doze-shop-direct.service");
    let service = fs::read_to_string(service).expect("a unit");
    let confinement: Vec<_> = service
        .lines()
        .filter(|line| unit::confines(line))
        .collect();
    let member = plan.body.members.first().expect("a server");
    let mut unit = String::from("[Service]\n");
    writeln!(unit, "{}", confinement.join("\n")).expect("memory");
    writeln!(
        unit,
        "WorkingDirectory={}\nExecStart={} --socket={}/own.sock --bind-address=127.0.0.1 --port={port}",
        member.cwd,
        member.argv.join(" "),
        plan.paths.run,
    )
    .expect("memory");
    world.write(world.units().join("direct.service"), &unit);
    world.run(&["systemctl", "--user", "daemon-reload"]);
    world.run(&["systemctl", "--user", "start", "direct.service"]);
    wait_until("the server of its own", BOUND, || {
        TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
    });
}

fn connect(way: &Way) -> Conn {
    Conn::new(way.url.as_str()).expect("it serves")
}

fn measure(ways: &[Way; 3], load: Load) {
    // The first round wakes and warms up.
    let mut results = [(); 3].map(|()| Vec::new());
    for round in 0..=ROUNDS {
        for at in 0..ways.len() {
            // Each is the first equally often, and as often before another one as behind it.
            let at = if round % 2 == 0 {
                at
            } else {
                ways.len() - 1 - at
            };
            let at = (at + round / 2) % ways.len();
            if let (Some(way), Some(all)) = (ways.get(at), results.get_mut(at)) {
                let new = run(way, load);
                if round > 0 {
                    all.extend(new);
                }
            }
        }
    }
    let clients = match load {
        Load::Ask(clients) => {
            println!("\n{clients} clients, each asking again and again");
            clients
        }
        Load::Connect => {
            println!("\nconnect, log in, ask once, and leave");
            1
        }
    };
    println!(
        "  {:<28}{:>12}{:>8}{:>10}{:>10}",
        "", "in a second", "ratio", "p50, us", "p95, us"
    );
    let rates = results.each_ref().map(|all| {
        let mean = all.iter().sum::<Duration>().as_secs_f64() / count(all.len());
        count(clients) / mean
    });
    let samples = results.map(|all| {
        let mut samples = Samples::default();
        for one in all {
            samples.add(one);
        }
        samples
    });
    for ((way, rate), samples) in ways.iter().zip(rates).zip(&samples) {
        println!(
            "  {:<28}{rate:>12.0}{:>8.2}{:>10.1}{:>10.1}",
            way.name,
            rate / rates[0],
            samples.median() * 1000.0,
            samples.p95() * 1000.0,
        );
    }
    let [direct, handed, _] = samples.map(|samples| samples.median());
    let ratio = handed / direct;
    let verdict = if ratio < AIM { "met" } else { "not met" };
    println!("  handed over / direct: {ratio:.3} of the median, aim less than {AIM}: {verdict}");
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// How long each request took.
fn run(way: &Way, load: Load) -> Vec<Duration> {
    match load {
        Load::Ask(clients) => thread::scope(|scope| {
            let ask = || {
                let mut client = connect(way);
                repeat(|| client.query_drop("DO 1").expect("it answers"))
            };
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
            let taken = threads.into_iter().map(ScopedJoinHandle::join);
            taken.flat_map(|times| times.expect("a client")).collect()
        }),
        Load::Connect => repeat(|| connect(way).query_drop("DO 1").expect("it answers")),
    }
}

fn repeat(mut once: impl FnMut()) -> Vec<Duration> {
    let mut all = Vec::new();
    let end = Instant::now() + TIME;
    loop {
        let begun = Instant::now();
        if begun >= end {
            return all;
        }
        once();
        all.push(begun.elapsed());
    }
}
