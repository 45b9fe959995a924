//! A world of its own for each test: folders, listening sockets, a plan, and a small init system.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs::{self, File, Permissions},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::AsFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use command_fds::{CommandFdExt, FdMapping};
use doze_contract::{
    Bytes, Endpoint, EngineName, InstanceName, Opaque, Plan, ProjectName,
    plan::{
        Body, ConfigFile, Connection, FORMAT, Hello, Member, OpenTo, Own, Paths, Provision,
        Readiness, Restart, RestartPolicy, Signal, Start, Stop,
    },
    status::{Question, Status},
};
use rustix::{
    net::listen,
    process::{Pid, Signal as Kill, kill_process},
};

pub(crate) const ACTIVATOR: &str = env!("CARGO_BIN_EXE_doze-activator");

/// Debian's, as `apt-get install redis-server` puts it.
const REDIS: &str = "/usr/bin/redis-server";

/// Nothing here takes this long, unless it hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Polls until there is something; panics with the last thing seen when that takes too long.
pub(crate) fn until<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(begun.elapsed() < BOUND, "{what}: still {seen:?}"),
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one bounded poll of these tests"
        )]
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) plan: Plan,
    clients: TcpListener,
    /// Those of the side endpoints.
    pub(crate) side: Vec<TcpListener>,
    wake: UnixListener,
}

impl World {
    /// A redis with a provisioned, empty data directory.
    pub(crate) fn redis() -> Self {
        assert!(
            Path::new(REDIS).is_file(),
            "{REDIS} is missing: apt-get install redis-server"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        let clients = TcpListener::bind("127.0.0.1:0").unwrap();
        // The standard library's backlog of 128 is shorter than any init system's.
        listen(&clients, 4096).unwrap();
        let wake = UnixListener::bind(path("wake.sock")).unwrap();
        fs::create_dir(path("data")).unwrap();
        put(path("data/doze-provisioned"), "one");
        let plan = Plan {
            format: FORMAT,
            revision: String::from("r1"),
            project: ProjectName::new("shop").unwrap(),
            instance: InstanceName::new("cache").unwrap(),
            engine: EngineName::new("valkey").unwrap(),
            idle_timeout: Some(Duration::from_millis(100)),
            endpoints: vec![Endpoint::Tcp(clients.local_addr().unwrap())],
            holds: Vec::new(),
            init_sockets: Vec::new(),
            open_to: OpenTo::User,
            hands_over: true,
            paths: Paths {
                wake_socket: path("wake.sock"),
                status_socket: path("status.sock"),
                lock: path("lock"),
                data: path("data"),
                run: path("run"),
                log: path("log/cache.log"),
                templates: path("templates"),
            },
            driver: path("no-driver"),
            launcher: Vec::new(),
            body: redis_body(&path("run"), &path("data")),
        };
        Self {
            folder,
            plan,
            clients,
            side: Vec::new(),
            wake,
        }
    }

    /// An engine that is none: it says so in a file when it is there, and listens to nothing.
    pub(crate) fn fake(script: &str) -> Self {
        let mut world = Self::redis();
        let member = world.plan.body.members.first_mut().unwrap();
        member.argv = ["/bin/sh", "-c", script].map(String::from).to_vec();
        member.stop.say = None;
        member.ready = Readiness::FileLine {
            path: world.plan.paths.run.join("state"),
            line: 1,
            text: String::from("ready"),
        };
        world
    }

    /// A program of the user's own that starts with its project: a script in the data directory.
    pub(crate) fn process(script: &str) -> Self {
        let mut world = Self::fake(script);
        world.plan.idle_timeout = None;
        world.plan.endpoints.clear();
        let body = &mut world.plan.body;
        body.upstream = None;
        body.hello = None;
        body.start = Start::WithProject(Restart {
            policy: RestartPolicy::No,
            backoff: Duration::ZERO,
            max_retries: 0,
        });
        let member = body.members.first_mut().unwrap();
        member.name = String::from("web");
        member.own = Some(Own::default());
        member.ready = Readiness::Alive {
            lasts: Duration::ZERO,
        };
        world
    }

    /// The one member.
    pub(crate) fn member(&mut self) -> &mut Member {
        self.plan.body.members.first_mut().unwrap()
    }

    /// What makes the one member a program of the user's own.
    pub(crate) fn own(&mut self) -> &mut Own {
        self.member().own.as_mut().unwrap()
    }

    /// Makes it a redis again.
    pub(crate) fn become_redis(&mut self) {
        self.plan.body = redis_body(&self.plan.paths.run, &self.plan.paths.data);
    }

    /// Starts the activator as an init system would, its listeners from 3 on; the one for clients
    /// only where it has an endpoint.
    pub(crate) fn activate(&self) -> Activator {
        self.activate_with(None)
    }

    /// The same, with one more variable.
    pub(crate) fn activate_with(&self, variable: Option<(&str, &str)>) -> Activator {
        let plan = self.folder.path().join("plan.json");
        put(&plan, &serde_json::to_string(&self.plan).unwrap());
        let mut passed = vec![self.wake.as_fd()];
        if !self.plan.endpoints.is_empty() {
            passed.insert(0, self.clients.as_fd());
        }
        passed.extend(self.side.iter().map(AsFd::as_fd));
        let count = passed.len();
        let mappings = passed.into_iter().zip(3..).map(|(fd, child_fd)| FdMapping {
            parent_fd: fd.try_clone_to_owned().unwrap(),
            child_fd,
        });
        let mut command = Command::new(ACTIVATOR);
        command
            .arg("run")
            .arg(plan)
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", vec!["cache"; count].join(":"))
            .env_remove("LISTEN_PID")
            .env_remove("NOTIFY_SOCKET")
            .envs(variable)
            .stdin(Stdio::null())
            .stderr(File::create(self.folder.path().join("stderr")).unwrap())
            .fd_mappings(mappings.collect::<Vec<_>>())
            .unwrap();
        Activator(command.spawn().unwrap())
    }

    /// Connects a client; the init system's backlog takes it whether anything runs or not.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.clients.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream
    }

    /// A client that has said its first words.
    pub(crate) fn call(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(b"PING\r\n").unwrap();
        stream
    }

    pub(crate) fn hold(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(&self.plan.paths.wake_socket).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        BufReader::new(stream)
    }

    /// Asks the status socket, which need not be there yet.
    pub(crate) fn status(&self) -> Result<Status, String> {
        let mut stream = UnixStream::connect(&self.plan.paths.status_socket)
            .map_err(|error| error.to_string())?;
        let question = serde_json::to_string(&Question::Status).unwrap();
        writeln!(stream, "{question}").map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| error.to_string())
    }

    /// Waits until the status is as wanted.
    pub(crate) fn until_status(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        until("status", || {
            let status = self.status()?;
            if wanted(&status) {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
    }

    /// The processes that work in the data directory.
    pub(crate) fn engines(&self) -> Vec<u32> {
        let data = self.plan.paths.data.as_std_path();
        let works_here =
            |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter(works_here)
            .collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.plan.paths.log).unwrap_or_default()
    }

    /// A second handle to the listening socket of the clients.
    pub(crate) fn listener(&self) -> TcpListener {
        self.clients.try_clone().unwrap()
    }

    /// Puts a script into the world as its driver, and names it so.
    pub(crate) fn drive(&mut self, script: &str) {
        let path = self.folder.path().join("fake-driver");
        put(&path, script);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        self.plan.driver = Utf8PathBuf::from_path_buf(path).unwrap();
    }
}

/// A running activator. Dropping it asks it to stop, for a test that failed half-way.
pub(crate) struct Activator(Child);

impl Activator {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(&self, signal: Kill) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its exit and returns the exit code.
    pub(crate) fn exit(mut self) -> Option<i32> {
        self.wait().code()
    }

    fn wait(&mut self) -> ExitStatus {
        until("the activator", || {
            self.0.try_wait().unwrap().ok_or("running")
        })
    }
}

impl Drop for Activator {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.kill(Kill::TERM);
            let begun = Instant::now();
            until("stopping", || match self.0.try_wait().unwrap() {
                Some(_) => Ok(()),
                None if begun.elapsed() > BOUND / 2 => {
                    self.kill(Kill::KILL);
                    Ok(())
                }
                None => Err("running"),
            });
        }
    }
}

/// A readiness of one that prints a line with these words.
pub(crate) fn printed(words: &str) -> Readiness {
    Readiness::Output {
        argv: ["/bin/grep", "-qm1", words].map(String::from).to_vec(),
    }
}

/// Sends a command and compares the answer.
pub(crate) fn ask(mut stream: impl Read + Write, command: &str, answer: &str) {
    stream.write_all(command.as_bytes()).unwrap();
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(String::from_utf8_lossy(&got), answer, "to {command:?}");
}

/// Reads until the connection ends, in whatever way.
pub(crate) fn rest(mut stream: impl Read) -> String {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(rest).unwrap()
}

pub(crate) fn put(path: impl AsRef<Path>, text: &str) {
    File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

pub(crate) fn is_alive(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

fn redis_body(run: &Utf8PathBuf, data: &Utf8PathBuf) -> Body {
    let (socket, config) = (run.join("engine.sock"), run.join("redis.conf"));
    Body {
        provision: Provision {
            fingerprint: String::from("one"),
            block: Opaque::new(&()).unwrap(),
            replenishes: false,
        },
        converge: None,
        files: vec![ConfigFile {
            path: config.clone(),
            text: format!(
                "port 0\nunixsocket {socket}\nunixsocketperm 700\ndir {data}\nsave 3600 1\n"
            ),
        }],
        members: vec![Member {
            name: String::from("redis"),
            argv: vec![String::from(REDIS), config.into_string()],
            env: [("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")]
                .map(|(name, value)| (String::from(name), String::from(value)))
                .into(),
            own: None,
            cwd: data.clone(),
            pid_file: None,
            ready: Readiness::Hello,
            ready_within: Duration::from_secs(10),
            stop: Stop {
                say: Some(Bytes::from("SHUTDOWN SAVE\r\n")),
                signal: Signal::Term,
                within: Duration::from_secs(10),
            },
        }],
        upstream: Some(Endpoint::Unix(socket)),
        chosen: None,
        side: Vec::new(),
        takes_sockets: false,
        start: Start::OnDemand,
        hello: Some(Hello {
            send: Bytes::from("PING\r\n"),
            ready: Bytes::from("+PONG"),
            busy: vec![Bytes::from("-LOADING")],
        }),
        connection: Connection {
            variable: Some(String::from("REDIS_URL")),
            url: Some(String::from("redis://127.0.0.1")),
            attributes: BTreeMap::new(),
            client: None,
        },
        clients_speak_first: true,
        generates_code: false,
    }
}
