//! The project that benchmark `wake` measures: each engine, declared twice, and the echo service
//! beside them, all asleep behind sockets of one private manager.
//!
//! Must not know: rounds and results.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use doze_contract::{Endpoint, Plan};
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project};
use doze_tests::wait_until;
use rustix::time::{ClockId, clock_gettime};

use crate::lineup::{Entry, entries};
use crate::recipe::Recipe;
use crate::unit;

/// How long the slowest step may take: the first wake, which provisions.
const BOUND: Duration = Duration::from_mins(1);

/// Short, so that a round is; no client is ever away for so long within one wake.
const IDLE_TIMEOUT: &str = "100ms";

/// How long the machine is left alone before something is measured. The kernel moves a process
/// into a cgroup (as for every start of a service) several times faster if another one was moved
/// some milliseconds ago, which nobody can count on who wakes an instance that has slept.
const QUIET: Duration = Duration::from_millis(100);

/// The project, and the echo service.
pub(crate) struct Shop {
    project: Project,
    echo_port: u16,
    /// This very program, where the world's user can run it.
    helper: PathBuf,
    /// What has to be at rest before something is measured.
    units: Vec<String>,
    pub(crate) engines: Vec<Subject>,
}

/// An engine of the project.
pub(crate) struct Subject {
    pub(crate) entry: Entry,
    /// As doze makes it.
    pub(crate) hardened: Instance,
    /// With what confines its processes taken out of the service.
    pub(crate) unhardened: Instance,
    /// The plan for a copy of the data.
    bare: PathBuf,
    /// The same copy behind the units that one writes by hand.
    pub(crate) recipe: Option<Recipe>,
}

/// An instance of the project.
pub(crate) struct Instance {
    name: String,
    port: u16,
    plan: Plan,
}

/// What a client saw that made the init system start a service.
pub(crate) struct Activation {
    /// From its connect to the end of the reply.
    pub(crate) whole: Duration,
    /// From its connect until the init system had made the process.
    pub(crate) started: Duration,
}

impl Shop {
    /// Sets everything up and provisions the instances, of the engines of these kinds or of all.
    /// `None` if this machine lacks something, which is said then.
    pub(crate) fn new(kinds: &[String]) -> Option<Self> {
        let entries = entries(kinds);
        let mut project = Project::new(Mode::Systemd, IDLE_TIMEOUT)?;
        let mut toml = format!("name = \"shop\"\n[defaults]\nidle_timeout = \"{IDLE_TIMEOUT}\"\n");
        let mut declared = Vec::new();
        for entry in entries {
            let bindir = project.world.bindir(&entry.engine);
            project.set(entry.variable, &bindir);
            let names = [entry.name.to_owned(), format!("{}_unhardened", entry.name)];
            let instances = names.map(|name| {
                let port = entry.declare(&mut toml, &project.world, &name);
                (name, port)
            });
            declared.push((entry, instances));
        }
        project.declare(&toml);
        project.run(&["generate"]);
        let world = &project.world;
        let subjects = declared.into_iter();
        let engines: Vec<_> = subjects
            .map(|(entry, instances)| Subject::new(&project, entry, instances))
            .collect();
        for subject in &engines {
            strip(&project, &subject.unhardened.unit("service"));
        }

        let echo_port = declare_echo(&project);
        let helper = world.programs().join("wake-benchmark");
        let own = env::current_exe().expect("a program knows its path");
        fs::copy(&own, &helper).expect("a copy of this program");

        world.run(&["systemctl", "--user", "daemon-reload"]);
        let start = ["systemctl", "--user", "start"];
        world.run(&[&start[..], &["echo.socket", "doze-shop.target"]].concat());
        let instances = engines.iter().flat_map(Subject::instances);
        let mut units = vec!["echo.socket".to_owned(), "echo.service".to_owned()];
        units.extend(instances.flat_map(|of| [of.unit("socket"), of.unit("service")]));
        let mut shop = Self {
            project,
            echo_port,
            helper,
            units,
            engines,
        };
        shop.provision();
        shop.write_recipes();
        Some(shop)
    }

    /// Writes the recipes, which need the copies, and starts their sockets.
    fn write_recipes(&mut self) {
        for subject in &self.engines {
            // Its folder and configuration are there from now on.
            self.bare(subject);
        }
        let world = &self.project.world;
        for subject in &mut self.engines {
            let plan = read(&subject.bare);
            if let Some(ready) = ready(&subject.entry, &plan) {
                subject.recipe = Recipe::new(&self.project, &plan, &ready);
            }
        }
        world.run(&["systemctl", "--user", "daemon-reload"]);
        for recipe in self.engines.iter().filter_map(|of| of.recipe.as_ref()) {
            world.run(&["systemctl", "--user", "start", &recipe.unit("socket")]);
            self.units.extend(recipe.units());
        }
    }

    /// Waits until every service is dead and every socket is the init system's again.
    fn wait_asleep(&self) {
        wait_until("everything to be asleep", BOUND, || {
            let states = self.show(&self.units, "SubState");
            let at_rest = |state: &String| state == "dead" || state == "listening";
            if states.iter().all(at_rest) {
                Ok(())
            } else {
                Err(states.join(" "))
            }
        });
    }

    /// Waits until everything is asleep and the machine has been left alone for a while.
    #[expect(
        clippy::disallowed_methods,
        reason = "not a wait for something, but the condition under which is measured"
    )]
    pub(crate) fn settle(&self) {
        self.wait_asleep();
        thread::sleep(QUIET);
    }

    /// From a connect to the echo service until the byte is back.
    pub(crate) fn echo(&self) -> Activation {
        self.activation("echo.service", || {
            let stream = TcpStream::connect(("127.0.0.1", self.echo_port));
            let mut stream = stream.expect("it accepts");
            stream.write_all(b"x").expect("it takes a byte");
            stream.read_exact(&mut [0]).expect("the byte comes back");
        })
    }

    /// From the start of the bare engine to the end of its first reply.
    pub(crate) fn bare(&self, subject: &Subject) -> Duration {
        let helper = self.helper.display().to_string();
        let plan = subject.bare.display().to_string();
        let said = self.project.world.run(&[&helper, "--bare", &plan]);
        Duration::from_nanos(said.trim_end().parse().expect("nanoseconds"))
    }

    /// From a connect to the hand-written socket of a sleeping engine to the end of the first
    /// reply, if this machine has what the recipe takes.
    pub(crate) fn recipe(&self, subject: &Subject) -> Option<Activation> {
        let recipe = subject.recipe.as_ref()?;
        let plan = &subject.hardened.plan;
        let client = || greet(recipe.port, plan);
        Some(self.activation(&recipe.unit("service"), client))
    }

    /// From a connect to a sleeping instance to the end of the first reply, and how much of it
    /// was the activator's boot.
    pub(crate) fn wake(&self, instance: &Instance) -> (Activation, Duration) {
        let activation = self.activation(&instance.unit("service"), || instance.greet());
        (activation, instance.last_boot())
    }

    /// Times a client that makes the init system start a service, which ends afterwards.
    fn activation(&self, service: &str, client: impl FnOnce()) -> Activation {
        let connected = monotonic();
        let begun = Instant::now();
        client();
        let whole = begun.elapsed();
        self.wait_asleep();
        let started = self.show(&[service.to_owned()], "ExecMainStartTimestampMonotonic");
        let started = started.first().and_then(|text| text.parse().ok());
        let started = Duration::from_micros(started.expect("microseconds"));
        Activation {
            whole,
            started: started.saturating_sub(connected),
        }
    }

    /// Wakes every instance once, and copies the data of the hardened ones.
    fn provision(&self) {
        let world = &self.project.world;
        for subject in &self.engines {
            for instance in subject.instances() {
                instance.greet();
            }
            self.wait_asleep();
            let paths = &subject.hardened.plan.paths;
            let folder = subject.bare.parent().expect("a folder").display();
            let (data, run) = (format!("{folder}/data"), format!("{folder}/run"));
            let text = serde_json::to_string(&subject.hardened.plan)
                .expect("a plan is JSON")
                .replace(paths.data.as_str(), &data)
                .replace(paths.run.as_str(), &run);
            world.write(&subject.bare, &text);
            world.run(&["cp", "-a", paths.data.as_str(), &data]);
        }
    }

    /// One property of some units.
    fn show(&self, units: &[String], property: &str) -> Vec<String> {
        let mut line = vec!["systemctl", "--user", "show", "--value", "-p", property];
        line.extend(units.iter().map(String::as_str));
        let shown = self.project.world.run(&line);
        let lines = shown.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

impl Subject {
    fn new(project: &Project, entry: Entry, instances: [(String, u16); 2]) -> Self {
        let folder = project.world.dir().join("bare").join(entry.name);
        let [hardened, unhardened] =
            instances.map(|(name, port)| Instance::new(project, name, port));
        Self {
            entry,
            hardened,
            unhardened,
            bare: folder.join("plan.json"),
            recipe: None,
        }
    }

    fn instances(&self) -> [&Instance; 2] {
        [&self.hardened, &self.unhardened]
    }
}

impl Instance {
    fn new(project: &Project, name: String, port: u16) -> Self {
        let plans = project.world.data_home().join("doze/projects/shop/plans");
        let plan = read(&plans.join(format!("{name}.json")));
        Self { name, port, plan }
    }

    /// The name of its socket or service. The names of the project have nothing to escape.
    fn unit(&self, kind: &str) -> String {
        format!("doze-shop-{}.{kind}", self.name)
    }

    /// Connects, and has the first exchange with the engine.
    fn greet(&self) {
        greet(self.port, &self.plan);
    }

    /// How long the last boot took, as the activator's log tells.
    fn last_boot(&self) -> Duration {
        let log = fs::read_to_string(&self.plan.paths.log).expect("a log");
        let told = log.rsplit("is ready after ").next();
        let told = told
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let (number, unit) = match told.strip_suffix("ms") {
            Some(number) => (number, 0.001),
            None => (told.trim_end_matches('s'), 1.0),
        };
        let seconds = number.parse::<f64>().expect("the log tells it") * unit;
        Duration::from_secs_f64(seconds)
    }
}

/// Connects, and has the first exchange with the engine.
fn greet(port: u16, plan: &Plan) {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
    stream.set_read_timeout(Some(BOUND)).expect("a socket");
    let ready = Exchange::of(plan).with(stream).expect("it answers");
    assert!(ready, "{} is joined to a client too early", plan.instance);
}

/// The shell command that succeeds once an engine answers, as its own manual has it, for those
/// that have such a recipe.
fn ready(entry: &Entry, plan: &Plan) -> Option<String> {
    let Some(Endpoint::Unix(upstream)) = &plan.body.upstream else {
        return None;
    };
    let (folder, name) = (upstream.parent()?, upstream.file_name()?);
    match entry.kind {
        "postgres" => {
            let (_, port) = name.rsplit_once("PGSQL.")?;
            let program = entry.engine.bindir.join("pg_isready");
            Some(format!("{} -q -h {folder} -p {port}", program.display()))
        }
        "valkey" => Some(format!(
            "{} -s {upstream} ping | grep -q PONG",
            entry.engine.client.display()
        )),
        _ => None,
    }
}

/// Reads a plan.
pub(crate) fn read(path: &Path) -> Plan {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The smallest service that a socket can start; returns its port.
fn declare_echo(project: &Project) -> u16 {
    let world = &project.world;
    let port = world.port();
    let socket = format!("[Socket]\nListenStream=127.0.0.1:{port}\nTriggerLimitIntervalSec=0\n");
    world.write(world.units().join("echo.socket"), &socket);
    let program = world.programs().join("echo-activated");
    let service = format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={}\n",
        program.display()
    );
    world.write(world.units().join("echo.service"), &service);
    port
}

/// Takes the hardening out of a service.
fn strip(project: &Project, unit: &str) {
    let path = project.world.units().join(unit);
    let text = fs::read_to_string(&path).expect("a unit");
    let (out, kept): (Vec<_>, Vec<_>) = text.lines().partition(|line| unit::confines(line));
    assert!(!out.is_empty(), "nothing confines {unit}");
    project.world.write(path, &(kept.join("\n") + "\n"));
}

/// The monotonic clock, as the init system's timestamps read it.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    now.try_into().expect("the machine runs")
}
