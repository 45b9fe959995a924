//! One look at the instances of a project, without waking any: their plans, what the manager says
//! of their units, a question to each activator. No driver is started. Must not know how it is
//! shown.

use std::{
    collections::BTreeMap,
    fs::File as Log,
    io::{self, Seek, SeekFrom},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, InstanceName, ProjectName,
    error::chain,
    plan::{Dependency, FORMAT, SideEndpoint, Start},
    status::Phase,
};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    awake,
    compile::{by_name, plan_name},
    config::{File, block::Block},
    dirs::{Dirs, Init},
    failure::Failure,
    fsx, limits,
    manager::{Unit, Units},
    names::Names,
    usage::{Meter, Usage},
};

/// How much of a log is read for the reason of a failure, from its end.
const LAST_WORDS: u64 = 8 * 1024;

/// Who holds the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeldBy {
    Systemd,
    Launchd,
    Foreground,
    Nobody,
}

/// What an instance is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// Its first client starts it.
    Service,
    /// It starts with the project.
    Process,
}

impl Group {
    /// The group of one that starts so; of one without a plan nobody knows.
    pub(crate) fn of(start: Option<&Start>) -> Self {
        match start {
            Some(Start::WithProject(_)) => Self::Process,
            Some(Start::OnDemand) | None => Self::Service,
        }
    }
}

/// An instance at one moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: InstanceName,
    pub(crate) engine: String,
    /// As it was declared.
    pub(crate) version: Option<String>,
    pub(crate) group: Group,
    pub(crate) state: &'static str,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The addresses besides, by their names.
    pub(crate) side: BTreeMap<String, Endpoint>,
    pub(crate) depends_on: Vec<String>,
    pub(crate) connections: usize,
    pub(crate) holds: usize,
    pub(crate) engine_pid: Option<u32>,
    pub(crate) boot_ms: Option<u64>,
    /// Whether it ever sleeps by itself.
    pub(crate) sleeps: bool,
    pub(crate) sleeps_in_ms: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    /// Of one processor, since the look before, or over the whole time that it is awake.
    pub(crate) cpu_percent: Option<f64>,
    /// What its service is limited to, by the names of doze.toml.
    pub(crate) limits: BTreeMap<&'static str, limits::Row>,
    pub(crate) error: Option<String>,
    #[serde(skip)]
    pub(crate) usage: Option<Usage>,
    /// With its password.
    #[serde(skip)]
    pub(crate) url: Option<String>,
    #[serde(skip)]
    pub(crate) data: Utf8PathBuf,
    /// Since its activator started.
    #[serde(skip)]
    pub(crate) up: Option<Duration>,
}

impl Row {
    /// One of which nothing more is known.
    #[cfg(test)]
    pub(crate) fn example(name: &str, engine: &str, state: &'static str) -> Self {
        Self {
            name: InstanceName::new(name).unwrap(),
            engine: engine.into(),
            version: Some("17".into()),
            group: Group::Service,
            state,
            endpoints: Vec::new(),
            side: BTreeMap::new(),
            depends_on: Vec::new(),
            connections: 0,
            holds: 0,
            engine_pid: None,
            boot_ms: None,
            sleeps: true,
            sleeps_in_ms: None,
            memory_bytes: None,
            cpu_percent: None,
            limits: BTreeMap::new(),
            error: None,
            usage: None,
            url: None,
            data: format!("/home/me/.local/share/doze/projects/shop/data/{name}").into(),
            up: None,
        }
    }

    /// Its addresses, for people.
    pub(crate) fn places(&self) -> String {
        let endpoints = self.endpoints.iter().map(ToString::to_string);
        let side = self.side.iter().map(|(name, at)| format!("{name} {at}"));
        endpoints.chain(side).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.memory_bytes.is_some()
    }
}

/// Looks at every instance that the file declares, in its order. `units` are those that the manager
/// has loaded; there are none if a listener in the foreground holds the sockets. `before` is the
/// last look.
pub(crate) fn look(
    dirs: &Dirs,
    file: &File,
    units: Option<&Units>,
    before: &[Row],
) -> Result<(HeldBy, Vec<Row>), Failure> {
    let mut look = Look {
        dirs,
        project: &file.name,
        names: Names::of(dirs.init, &file.name),
        units,
        meter: Meter::default(),
    };
    let is_held = |block: &Block| look.is_held(&block.name);
    let held_by = match units {
        None => HeldBy::Foreground,
        Some(_) if file.blocks.iter().any(is_held) => match dirs.init {
            Init::Launchd => HeldBy::Launchd,
            Init::Systemd | Init::Foreground => HeldBy::Systemd,
        },
        Some(_) => HeldBy::Nobody,
    };
    let rows = file.blocks.iter().map(|block| look.row(block, before));
    Ok((held_by, rows.collect::<Result<_, _>>()?))
}

/// The plan that is installed, or what is needed of it. One that cannot be read is as good as none:
/// `doze up` writes it.
pub(crate) fn installed<T: DeserializeOwned>(
    dirs: &Dirs,
    project: &ProjectName,
    instance: &InstanceName,
) -> Result<Option<T>, Failure> {
    let path = dirs.plans(project).join(plan_name(instance));
    let text = fsx::read(&path).map_err(Failure::io(format!("read {path}")))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// What is needed of a plan; the rest is skipped, for there may be hundreds of them.
#[derive(Deserialize)]
struct Installed {
    format: u32,
    idle_timeout_ms: Option<IgnoredAny>,
    endpoints: Vec<Endpoint>,
    #[serde(default)]
    holds: Vec<Dependency>,
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    start: Start,
    #[serde(default)]
    side: Vec<SideEndpoint>,
    connection: Connection,
}

#[derive(Deserialize)]
struct Connection {
    url: Option<String>,
}

/// What people call the state of an instance that is awake.
pub(crate) fn word(phase: Phase, group: Group) -> &'static str {
    // It has no clients of its own, and nobody waits for it to sleep.
    if group == Group::Process && matches!(phase, Phase::Serving | Phase::Idling) {
        "running"
    } else {
        phase.word()
    }
}

struct Look<'a> {
    dirs: &'a Dirs,
    project: &'a ProjectName,
    names: Names,
    units: Option<&'a Units>,
    meter: Meter,
}

impl Look<'_> {
    fn row(&mut self, block: &Block, before: &[Row]) -> Result<Row, Failure> {
        let plan = installed(self.dirs, self.project, &block.name)?;
        let plan = plan.filter(|plan: &Installed| plan.format == FORMAT);
        let paths = self.dirs.instance(self.project, &block.name);
        let (status, silence) = match awake::status(&paths.status_socket) {
            Ok(status) => (status, None),
            Err(error) => (None, Some(chain(&error))),
        };
        let group = Group::of(plan.as_ref().map(|plan| &plan.body.start));
        let state = match &status {
            Some(status) => word(status.phase, group),
            None if silence.is_some() => "no answer",
            None if !block.enabled => "disabled",
            None if plan.is_none() => "not up",
            None => self.at_rest(&block.name, group),
        };
        let service = self.names.service(&block.name);
        let usage = status
            .as_ref()
            .and_then(|status| self.meter.usage(status.activator_pid, &service));
        let before = before.iter().find(|row| row.name == block.name);
        let before = before.and_then(|row| row.usage);
        let error = match &status {
            Some(status) => status.error.clone(),
            None if state.ends_with("failed") => last_words(&paths.log),
            None => silence,
        };
        let status = status.as_ref();
        let plan = plan.as_ref();
        let holds = plan.iter().flat_map(|plan| &plan.holds);
        Ok(Row {
            name: block.name.clone(),
            engine: block.engine.to_string(),
            version: block.declared().map(ToString::to_string),
            group,
            state,
            depends_on: holds.map(|held| held.instance.to_string()).collect(),
            connections: status.map_or(0, |status| status.connections),
            holds: status.map_or(0, |status| status.holds),
            engine_pid: status.and_then(|status| status.engine_pid),
            boot_ms: status.and_then(|status| status.boot_ms),
            sleeps: plan.is_none_or(|plan| plan.idle_timeout_ms.is_some()),
            sleeps_in_ms: status.and_then(|status| status.sleeps_in_ms),
            memory_bytes: usage.map(|usage| usage.memory),
            cpu_percent: usage.map(|usage| usage.cpu_percent(before.as_ref())),
            limits: BTreeMap::new(),
            error,
            usage,
            data: paths.data,
            up: usage.map(|usage| usage.age),
            url: plan.and_then(|plan| plan.body.connection.url.clone()),
            endpoints: plan.map(|plan| plan.endpoints.clone()).unwrap_or_default(),
            side: plan
                .map(|plan| by_name(&plan.body.side))
                .unwrap_or_default(),
        })
    }

    fn unit(&self, name: &str) -> Unit {
        let unit = self.units.and_then(|units| units.get(name));
        unit.copied().unwrap_or_default()
    }

    fn is_held(&self, instance: &InstanceName) -> bool {
        let socket = self.unit(&self.names.socket(instance));
        self.units.is_none() || socket.is_active()
    }

    /// The state of one that does not run.
    fn at_rest(&self, instance: &InstanceName, group: Group) -> &'static str {
        let service = self.unit(&self.names.service(instance));
        let socket = self.unit(&self.names.socket(instance));
        let (failed, closed) = (service.is_failed(), socket.is_failed());
        match group {
            // systemd closes the socket of a process that it gives up.
            Group::Process if failed && closed => "failed",
            _ if closed => "socket failed",
            _ if !self.is_held(instance) => "not up",
            Group::Service if failed => "asleep, failed",
            Group::Service => "asleep",
            Group::Process if failed => "failed",
            // It is about to be started, again perhaps.
            Group::Process if service.is_running() => "booting",
            Group::Process => "ended",
        }
    }
}

/// What an activator said last before it left.
fn last_words(log: &Utf8Path) -> Option<String> {
    let mut file = Log::open(log).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(LAST_WORDS);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut end = Vec::new();
    io::copy(&mut file, &mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    // What follows the mark is the time.
    let own = |line: &str| Some(line.strip_prefix("doze: ")?.split_once(' ')?.1.to_owned());
    let mut own = text.lines().rev().filter_map(own);
    own.find(|line| !line.starts_with("leaving with ") && !line.starts_with("stopping "))
}
