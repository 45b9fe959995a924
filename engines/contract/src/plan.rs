//! The plan: the compiled form of one instance, and the only thing an activator reads.
//!
//! A plan is a JSON file of mode 0600, for it may hold a password. The outer part is written by
//! the core, [`Body`] by the driver of the engine. An activator knows no engine: whatever it does
//! for one is said here as data.

mod millis;

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::{Bytes, Endpoint, EngineName, InstanceName, Opaque, ProjectName};

/// The format of plans that this code writes and reads.
pub const FORMAT: u32 = 1;

/// The compiled form of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Names the content of this plan; the activator repeats it in its status, so that a plan
    /// that was replaced since can be told from the one in use.
    pub revision: String,
    /// The project that declares the instance.
    pub project: ProjectName,
    /// The instance.
    pub instance: InstanceName,
    /// Its engine.
    pub engine: EngineName,
    /// How long the instance stays awake with no connection and no hold; absent means for ever.
    #[serde(with = "millis::option", rename = "idle_timeout_ms")]
    pub idle_timeout: Option<Duration>,
    /// The client endpoints, as clients name them.
    pub endpoints: Vec<Endpoint>,
    /// What it depends on; held awake from before its boot until its activator is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Dependency>,
    /// What the init system binds for the unix endpoints, in their order.
    pub init_sockets: Vec<InitSocket>,
    /// Whom the activator serves on them.
    pub open_to: OpenTo,
    /// Whether an engine may be handed the TCP sockets: not where nobody can keep clients out of them
    /// while it stops.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub hands_over: bool,
    /// The files and folders that belong to the instance.
    pub paths: Paths,
    /// The driver program, called to provision and to refuse clients.
    pub driver: Utf8PathBuf,
    /// Words put in front of the driver's and every member's command line; empty but for engines
    /// that refuse to run as the user that doze runs as.
    pub launcher: Vec<String>,
    /// What the driver says of the engine.
    pub body: Body,
}

/// Another instance that has to be ready first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The instance.
    pub instance: InstanceName,
    /// Its wake socket.
    pub wake_socket: Utf8PathBuf,
    /// What has to be true of it before the engine of this plan is spawned.
    #[serde(default, skip_serializing_if = "Condition::is_healthy")]
    pub condition: Condition,
    /// How long it may take until it is ready, with all that it depends on itself.
    #[serde(with = "millis", rename = "ready_within_ms")]
    pub ready_within: Duration,
    /// It is left alone when it went away: it starts with the project, and whether it runs then is
    /// for its [`Restart`] to say.
    #[serde(default, skip_serializing_if = "is_false")]
    pub runs_by_itself: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// When a dependency is good enough for the one that depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is ready.
    #[default]
    Healthy,
    /// It was woken. It is held from then on, and may be ready later, or fail.
    Started,
}

impl Condition {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde calls"
    )]
    fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }
}

fn yes() -> bool {
    true
}

impl Plan {
    /// All addresses of the instance, as clients name them: the client endpoints, and those besides.
    pub fn addresses(&self) -> impl Iterator<Item = &Endpoint> {
        let side = self.body.side.iter().map(|side| &side.endpoint);
        self.endpoints.iter().chain(side)
    }

    /// The addresses that the init system binds for clients: a TCP endpoint itself, and the init
    /// socket of a unix endpoint.
    pub fn bound(&self) -> impl Iterator<Item = Endpoint> {
        self.addresses()
            .map(|endpoint| match self.init_socket(endpoint) {
                Some(path) => Endpoint::Unix(path.to_owned()),
                None => endpoint.clone(),
            })
    }

    /// The init socket of a unix endpoint.
    pub fn init_socket(&self, endpoint: &Endpoint) -> Option<&Utf8Path> {
        let mut all = self.init_sockets.iter();
        all.find(|socket| matches!(endpoint, Endpoint::Unix(path) if *path == socket.public))
            .map(|socket| socket.path.as_path())
    }
}

/// What the init system binds in place of a unix endpoint.
///
/// Clients do not know it. The public path is a symbolic link to it until the engine is ready,
/// and from then on, while the instance is awake, may be the engine's own socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitSocket {
    /// The path of the endpoint.
    pub public: Utf8PathBuf,
    /// The path that is bound.
    pub path: Utf8PathBuf,
}

/// Whose connections an activator serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenTo {
    /// Those of the user that it runs as, and of root.
    #[default]
    User,
    /// Everybody's who reaches the endpoint.
    All,
}

/// The files and folders of one instance. Each has one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// The socket that wakes the instance and holds it awake; bound by the init system.
    pub wake_socket: Utf8PathBuf,
    /// The socket that tells the state and never wakes; bound by the activator while it runs.
    pub status_socket: Utf8PathBuf,
    /// The instance's file lock: held by whoever has the data directory open, never removed.
    pub lock: Utf8PathBuf,
    /// The data directory. It is there completely or not at all.
    pub data: Utf8PathBuf,
    /// The private folder for the engine's own sockets and configuration; emptied at every boot.
    pub run: Utf8PathBuf,
    /// What the activator and the engine print; bounded by the activator.
    pub log: Utf8PathBuf,
    /// The folder of the templates that drivers clone new data directories from: the same for all
    /// instances of the user.
    pub templates: Utf8PathBuf,
}

/// What the driver says of one instance: everything an activator does that depends on the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// What must have been done to the data directory before a member is spawned.
    pub provision: Provision,
    /// What must have been made in the engine before a client is connected to it; absent for an
    /// engine without a structure of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converge: Option<Converge>,
    /// Files to write before the first member is spawned, each replaced as a whole, mode 0600.
    pub files: Vec<ConfigFile>,
    /// The processes to spawn, in this order, each when the one before is ready. They are stopped
    /// in the opposite order. The last one serves the upstream.
    pub members: Vec<Member>,
    /// Where the engine itself listens; absent if it listens nowhere, or where `chosen` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Endpoint>,
    /// How the activator chooses the upstream each time it starts, where the plan does not name
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// Endpoints besides those of the plan, such as a page that shows what the engine does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub side: Vec<SideEndpoint>,
    /// The last member inherits listening sockets as `sd_listen_fds(3)` describes: the unix upstream,
    /// which the activator binds, and behind it, in the order of the endpoints, the TCP sockets of the
    /// init system, whose clients it accepts itself then. It closes them when it stops, and never
    /// shuts them down. For an instance that is not open to everybody there is the upstream alone:
    /// somebody has to look at who connects.
    #[serde(default, skip_serializing_if = "is_false")]
    pub takes_sockets: bool,
    /// The shortest exchange that shows the engine at work, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
    /// How a client finds the instance.
    pub connection: Connection,
    /// What starts the instance.
    #[serde(default, skip_serializing_if = "Start::is_on_demand")]
    pub start: Start,
    /// Clients of this engine speak first. One that has said nothing yet does not need an engine.
    pub clients_speak_first: bool,
    /// The engine writes machine code at run time, so memory may not be denied it
    /// (`MemoryDenyWriteExecute=` of systemd.exec(5)).
    pub generates_code: bool,
}

impl Body {
    /// Where people find a side endpoint: the attribute that is called like it, else its address.
    pub fn side_url(&self, side: &SideEndpoint) -> String {
        let attribute = self.connection.attributes.get(&side.name);
        attribute
            .cloned()
            .unwrap_or_else(|| side.endpoint.to_string())
    }
}

/// An endpoint with an upstream of its own. The init system holds it like every other, a
/// connection to it wakes the instance, and keeps it awake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideEndpoint {
    /// What it is called: `ui`. An attribute of this name is its URL.
    pub name: String,
    /// The address, as clients name it; TCP.
    pub endpoint: Endpoint,
    /// Its upstream is a port of 127.0.0.1 that is free when the activator starts. Every member is
    /// told it in this variable of the environment.
    pub variable: String,
}

/// How the activator chooses an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Chosen {
    /// A port of 127.0.0.1 that is free then. Every member is told it in this variable of the
    /// environment.
    Port(String),
    /// A port of 127.0.0.1 that the activator listens on. The last member inherits that socket as
    /// `sd_listen_fds(3)` describes.
    Socket,
}

/// What starts an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// The first connection to one of its addresses, all of which the init system holds.
    #[default]
    OnDemand,
    /// The start of the project; and after its end, as this says, the init system. The init
    /// system holds its wake socket only: it binds its endpoints itself.
    WithProject(Restart),
}

impl Start {
    fn is_on_demand(&self) -> bool {
        *self == Self::OnDemand
    }
}

/// What becomes of an instance that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// How long to wait before that.
    #[serde(with = "millis", rename = "backoff_ms")]
    pub backoff: Duration,
    /// How many times in a row. One that ran for a minute begins to count anew.
    pub max_retries: u32,
}

/// When an instance that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Never.
    No,
    /// If it failed: by its exit status, or by a signal.
    OnFailure,
    /// However it ended.
    Always,
}

/// What must be true of the data directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// Names everything that provisioning depends on. The activator asks the driver to provision
    /// when the data directory is absent or was provisioned for another fingerprint.
    pub fingerprint: String,
    /// The normalised block, for the driver's own use.
    pub block: Opaque,
    /// The driver is able to make ahead what the next new data directory is made of, and is asked to
    /// when an engine with a new one is ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replenishes: bool,
}

/// What must be true of the structure in the engine: roles, schemas, buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Converge {
    /// Names the whole declared structure. The activator asks the driver to converge the ready
    /// engine when the data directory was last converged for another fingerprint, or never.
    pub fingerprint: String,
    /// The declared structure, for the driver's own use.
    pub block: Opaque,
    /// How long it may take.
    #[serde(with = "millis", rename = "within_ms")]
    pub within: Duration,
}

/// A file to write before the engine starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Where; inside the instance's `run` folder.
    pub path: Utf8PathBuf,
    /// The whole content.
    pub text: String,
}

/// One process of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What messages call it.
    pub name: String,
    /// Program and arguments; the program is an absolute path.
    pub argv: Vec<String>,
    /// The environment. It is the whole of it, but for a program of the user's own.
    pub env: BTreeMap<String, String>,
    /// What makes it a program of the user's own, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
    /// The working directory.
    pub cwd: Utf8PathBuf,
    /// The file by which the server keeps a second one from its data, for a server whose own
    /// working directory is the folder of that file. It is removed before the start if the pid in
    /// its first line is that of another process now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<Utf8PathBuf>,
    /// How to see that it is ready.
    pub ready: Readiness,
    /// How long it may take until it is ready; and its hooks before and after that, all together.
    #[serde(with = "millis", rename = "ready_within_ms")]
    pub ready_within: Duration,
    /// How to stop it.
    pub stop: Stop,
}

impl Member {
    /// The program that it is: the first word of its command line, or the one that a shell makes
    /// way for, as in `/bin/sh -c 'exec "$0" "$@" --port "$PORT"' PROGRAM …`.
    pub fn program(&self) -> Option<&Utf8Path> {
        let program = match self.argv.as_slice() {
            [shell, flag, _, program, ..] if shell == "/bin/sh" && flag == "-c" => program,
            words => words.first()?,
        };
        Some(Utf8Path::new(program))
    }
}

/// The variable of an activator's environment that has the umask of the user's shell, in octal.
/// Programs of the user's own run with it, and are not told it; without it, with 022.
pub const UMASK: &str = "DOZE_UMASK";

/// What a member has that is a program of the user's own, and not an engine.
///
/// Its environment is, the strongest first: `env` of the member; the files named here; the
/// variables that `doze run` gives, which the core puts into `variables`; and that of the
/// activator. Nothing that the user may do is denied to it, and a signal that stops it goes to its
/// whole process group.
///
/// The hooks are commands, each a program with its arguments, run one after the other in its
/// environment and folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// Files of `NAME=value` lines, read at every start; a later one stands above an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<Utf8PathBuf>,
    /// What `doze run` gives. The core fills it in; a driver leaves it empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Before it is spawned. One that fails ends the boot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_start: Vec<Vec<String>>,
    /// When it is ready, before any client is connected to it. One that fails ends the boot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_start: Vec<Vec<String>>,
    /// Before it is stopped, if it was ready; within half of the time that its stop may take.
    /// Failures are logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_stop: Vec<Vec<String>>,
}

/// How to see that a member is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Readiness {
    /// The body's [`Hello`] is answered over the upstream.
    Hello,
    /// A line of a file, without its trailing blanks, reads so. Changes are awaited by inotify(7).
    /// What the file says when the member is spawned does not count: a killed engine leaves it
    /// behind. Only what is written afterwards does.
    FileLine {
        /// The file; it need not exist yet.
        path: Utf8PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What it reads when the member is ready.
        text: String,
    },
    /// It accepts a connection.
    Connect {
        /// Where, if not at the upstream.
        at: Option<Endpoint>,
    },
    /// It answers an HTTP request with a status from 200 to 299.
    Http {
        /// Where, if not at the upstream.
        at: Option<Endpoint>,
        /// The path with its query: `/health`.
        path: String,
        /// How often, and how long each time.
        probe: Probe,
    },
    /// A command ends with status 0.
    Exec {
        /// The program and its arguments, run in the member's environment and folder.
        argv: Vec<String>,
        /// How often, and how long each time.
        probe: Probe,
    },
    /// A command that reads its output from standard input ends with status 0. It is started before
    /// the member, and hears of all that the log does until it ends.
    Output {
        /// The program and its arguments, run in the member's environment and folder.
        argv: Vec<String>,
    },
    /// It has lived for a while, which is all that is known of some programs. One that starts with
    /// the project and ends before that, with status 0, has done its work and was ready.
    Alive {
        /// How long.
        #[serde(with = "millis", rename = "for_ms")]
        lasts: Duration,
    },
}

/// How to ask again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The longest pause between the end of one try and the next. The first ones come sooner.
    #[serde(with = "millis", rename = "interval_ms")]
    pub interval: Duration,
    /// How long one try may take.
    #[serde(with = "millis", rename = "timeout_ms")]
    pub timeout: Duration,
}

/// How to stop a member: say it, signal it, and when the time is over kill its process group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Sent over a connection to the upstream first, for engines that stop faster when asked in
    /// their own protocol.
    pub say: Option<Bytes>,
    /// The signal for an orderly stop; sent when there is nothing to say, or it could not be said.
    pub signal: Signal,
    /// How long an orderly stop may take before the process group gets SIGKILL.
    #[serde(with = "millis", rename = "within_ms")]
    pub within: Duration,
}

/// The signals that stop an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// SIGINT.
    #[serde(rename = "SIGINT")]
    Int,
    /// SIGKILL, for an engine that loses nothing by it: whatever it has answered is in its files.
    #[serde(rename = "SIGKILL")]
    Kill,
    /// SIGQUIT.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// SIGTERM.
    #[serde(rename = "SIGTERM")]
    Term,
}

impl Signal {
    /// The name as kill(1) and `KillSignal=` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Kill => "SIGKILL",
            Self::Quit => "SIGQUIT",
            Self::Term => "SIGTERM",
        }
    }
}

/// The shortest exchange with an engine that shows it at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// What to send after connecting.
    pub send: Bytes,
    /// The engine is ready when its reply contains this.
    pub ready: Bytes,
    /// The engine is not ready yet when its reply contains one of these (but not `ready`): ask
    /// again. So it is when the connection is refused or ends without a reply.
    pub busy: Vec<Bytes>,
}

/// How a client finds the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The environment variable that clients of this engine read, such as `DATABASE_URL`, if
    /// there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The URL, with the password where one is needed; absent for an instance without an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What else the instance can be asked for in a reference, besides what every instance has:
    /// the values of [`crate::protocol::Description::attributes`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The command line client that people use by hand, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
}

/// A command line client, connected to the first endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The names of programs that take these arguments, the best first.
    pub programs: Vec<String>,
    /// The arguments. No secrets: everybody can read them.
    pub args: Vec<String>,
    /// What is added to the environment, the password for one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}
