//! The candidates of benchmark `pipe`: the same two engines, reached directly and through whoever
//! is in the middle.
//!
//! Must not know: loads and results.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use doze_contract::{Endpoint, Plan};
use doze_tests::engines;
use doze_tests::project::{Mode, Project};
use doze_tests::{needed, wait_until};

use crate::load::BIG;

/// How long the slowest step may take: the first wake, which provisions.
const BOUND: Duration = Duration::from_mins(1);

/// Debian's place for it, and the one of other distributions.
const HAPROXY: &str = "/usr/sbin/haproxy";

/// Where the engines listen on TCP: the port of a Postgres is fixed, and somebody else may have it
/// on the usual address.
const OTHER_LOOPBACK: &str = "127.0.0.77";

/// A way to the engines.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) valkey: Endpoint,
    pub(crate) postgres: Endpoint,
    /// The processes in the middle for each of them.
    pub(crate) valkey_pid: Option<u32>,
    pub(crate) postgres_pid: Option<u32>,
}

/// The project and everybody beside it.
pub(crate) struct Middle {
    pub(crate) project: Project,
    /// Where `pgbench` and `psql` are.
    pub(crate) pgbin: PathBuf,
    /// Direct TCP, direct unix, doze TCP, doze unix, and the relays that this machine has.
    pub(crate) candidates: Vec<Candidate>,
}

impl Middle {
    /// Sets everything up and wakes it. `None` if this machine lacks something, which is said.
    pub(crate) fn new() -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let benchmark = ["/usr/bin/redis-benchmark"].map(Path::new);
        needed(
            "a redis-benchmark",
            benchmark.into_iter().find(|path| path.is_file()),
        )?;
        let project = Project::new(Mode::Systemd, "1h")?;
        let world = &project.world;
        let mut toml = project.toml("1h");
        for port in [project.app, project.cache] {
            toml = toml.replace(
                &format!("port = {port}\n"),
                &format!("listen = [\"127.0.0.1:{port}\", \"unix\"]\n"),
            );
        }
        project.declare(&toml);
        project.run(&["generate"]);
        let (valkey, direct_valkey) = with_tcp(&project, "cache");
        let (postgres_plan, direct_postgres) = with_tcp(&project, "app");
        let upstreams = [&valkey, &postgres_plan].map(|plan| match &plan.body.upstream {
            Some(Endpoint::Unix(path)) => path.as_str().to_owned(),
            other => panic!("the engine listens on {other:?} only"),
        });
        let ports = [project.cache, project.app];
        let relays = [proxyd(&project, &upstreams), haproxy(&project, &upstreams)];
        world.run(&["systemctl", "--user", "daemon-reload"]);
        world.run(&["systemctl", "--user", "start", "doze-shop.target"]);
        assert_eq!(project.sql("select 1"), "1");
        fill(ports[0]);
        let pgbin = world.bindir(&postgres);
        let mut init = world.command(pgbin.join("pgbench"));
        init.args(["-q", "-i", "-h", "127.0.0.1", "-p", &ports[1].to_string()]);
        doze_tests::project::succeed(init.args(["-U", "app", "app"]));

        let activator = |name| main_pid(&project, &format!("doze-shop-{name}.service"));
        let doze_pids = (activator("cache"), activator("app"));
        let candidate = |name, valkey: &Endpoint, postgres: &Endpoint, pids: (_, _)| Candidate {
            name,
            valkey: valkey.clone(),
            postgres: postgres.clone(),
            valkey_pid: pids.0,
            postgres_pid: pids.1,
        };
        let unix = |plan: &Plan| {
            let mut endpoints = plan.endpoints.iter();
            let unix = endpoints.find(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
            unix.expect("it is declared").clone()
        };
        let [tcp_valkey, tcp_postgres] = ports.map(loopback);
        let mut candidates = vec![
            candidate("direct", &direct_valkey, &direct_postgres, (None, None)),
            candidate(
                "direct unix",
                valkey.body.upstream.as_ref().expect("a socket"),
                postgres_plan.body.upstream.as_ref().expect("a socket"),
                (None, None),
            ),
            candidate("doze", &tcp_valkey, &tcp_postgres, doze_pids),
            candidate(
                "doze unix",
                &unix(&valkey),
                &unix(&postgres_plan),
                doze_pids,
            ),
        ];
        for relay in relays.into_iter().flatten() {
            for unit in relay.start {
                world.run(&["systemctl", "--user", "start", &unit]);
            }
            let [valkey, postgres] = relay.ports;
            for port in relay.ports {
                wait_until(relay.name, BOUND, || {
                    TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
                });
            }
            let pids = relay.services.map(|unit| {
                wait_until(&unit, BOUND, || {
                    main_pid(&project, &unit).ok_or_else(|| "not started".to_owned())
                })
            });
            candidates.push(candidate(
                relay.name,
                &loopback(valkey),
                &loopback(postgres),
                (Some(pids[0]), Some(pids[1])),
            ));
        }
        Some(Self {
            project,
            pgbin,
            candidates,
        })
    }
}

/// A relay beside doze: how to start it, and where it is then.
struct Relay {
    name: &'static str,
    start: Vec<String>,
    services: [String; 2],
    ports: [u16; 2],
}

/// systemd-socket-proxyd(8), as a person would set it up who knows about `NoDelay=`: without it
/// large replies take 40 ms each. It closes the 257th connection unless told otherwise, and takes six
/// descriptors for each, of which a service may have 1024.
fn proxyd(project: &Project, upstreams: &[String; 2]) -> Option<Relay> {
    let Some(program) = engines::socket_proxyd() else {
        println!("systemd-socket-proxyd is not on this machine and left out");
        return None;
    };
    let world = &project.world;
    let ports = [world.port(), world.port()];
    for ((name, port), upstream) in ["cache", "app"].into_iter().zip(ports).zip(upstreams) {
        let unit = |kind| world.units().join(format!("proxyd-{name}.{kind}"));
        let socket = format!("[Socket]\nListenStream=127.0.0.1:{port}\nNoDelay=yes\n");
        world.write(unit("socket"), &socket);
        let service = format!(
            "[Service]\nLimitNOFILE=4096\nExecStart={program} --connections-max=1024 {upstream}\n"
        );
        world.write(unit("service"), &service);
    }
    Some(Relay {
        name: "socket-proxyd",
        start: ["cache", "app"]
            .map(|name| format!("proxyd-{name}.socket"))
            .into(),
        services: ["cache", "app"].map(|name| format!("proxyd-{name}.service")),
        ports,
    })
}

/// `HAProxy` in tcp mode with one thread, which is its best where clients and engine need the
/// other processors.
fn haproxy(project: &Project, upstreams: &[String; 2]) -> Option<Relay> {
    if !Path::new(HAPROXY).is_file() {
        println!("haproxy is not on this machine and left out (Debian package haproxy)");
        return None;
    }
    let world = &project.world;
    let ports = [world.port(), world.port()];
    for ((name, port), upstream) in ["cache", "app"].into_iter().zip(ports).zip(upstreams) {
        let config = world.write(
            format!("home/haproxy-{name}.cfg"),
            &format!(
                "global\n  nbthread 1\n  maxconn 1000\ndefaults\n  mode tcp\n  \
                 timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
                 listen {name}\n  bind 127.0.0.1:{port}\n  server engine unix@{upstream}\n"
            ),
        );
        let mut service = String::from("[Service]\nLimitNOFILE=4096\nExecStart=");
        writeln!(service, "{HAPROXY} -f {}", config.display()).expect("memory");
        world.write(
            world.units().join(format!("haproxy-{name}.service")),
            &service,
        );
    }
    let services = ["cache", "app"].map(|name| format!("haproxy-{name}.service"));
    Some(Relay {
        name: "haproxy",
        start: services.clone().into(),
        services,
        ports,
    })
}

/// Makes the engine of an instance listen on TCP too, by its plan, so that everybody reaches the
/// very same process. Returns the plan and that address.
fn with_tcp(project: &Project, instance: &str) -> (Plan, Endpoint) {
    let plans = project.world.data_home().join("doze/projects/shop/plans");
    let path = plans.join(format!("{instance}.json"));
    let text = fs::read(&path).expect("a plan");
    let mut plan: Plan = serde_json::from_slice(&text).expect("a plan");
    let free = project.world.port();
    let mut port = free;
    for argument in plan.body.members.iter_mut().flat_map(|of| &mut of.argv) {
        if let Some(fixed) = argument.strip_prefix("port=") {
            // The name of its unix socket depends on it.
            port = fixed.parse().expect("a port");
        }
        if argument == "listen_addresses=" {
            argument.push_str(OTHER_LOOPBACK);
        }
    }
    for file in &mut plan.body.files {
        file.text = file
            .text
            .replace("port \"0\"", &format!("bind {OTHER_LOOPBACK}\nport {free}"))
            .replace(
                "local all all trust\n",
                "local all all trust\nhost all all 127.0.0.0/8 trust\n",
            );
    }
    let text = serde_json::to_string(&plan).expect("a plan is JSON");
    project.world.write(&path, &text);
    let address = format!("{OTHER_LOOPBACK}:{port}");
    (plan, Endpoint::Tcp(address.parse().expect("an address")))
}

/// The value for the bulk loads.
fn fill(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
    let mut command = format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${BIG}\r\n").into_bytes();
    command.resize(command.len() + BIG, b'x');
    command.extend_from_slice(b"\r\n");
    stream.write_all(&command).expect("it takes a command");
    stream.read_exact(&mut [0; 5]).expect("it answers");
}

fn loopback(port: u16) -> Endpoint {
    Endpoint::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The main process of a running service.
fn main_pid(project: &Project, unit: &str) -> Option<u32> {
    let show = [
        "systemctl",
        "--user",
        "show",
        "--value",
        "-p",
        "MainPID",
        unit,
    ];
    let pid = project.world.run(&show).trim().parse().ok()?;
    (pid > 0).then_some(pid)
}
