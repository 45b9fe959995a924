//! The agent of an instance: it holds the addresses, and runs the activator while that is awake.
//!
//! Must not know any engine: what depends on one is a field.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use doze_contract::{
    Endpoint, InstanceName, ProjectName,
    launchd::{CLIENTS, ENVIRONMENT, THROTTLE, WAKE},
    plan::Start,
    restarts::Restarts,
};

use crate::{
    Labels,
    agent::{Agent, AgentError, AgentFile, KeepAlive, Socket},
};

/// With a screen, and over ssh without one.
const SESSIONS: &[&str] = &["Aqua", "Background"];

/// Any other has less of the processor and of the disk than what waits for it.
const PROCESS_TYPE: &str = "Interactive";

/// What the activator makes is for its user alone.
const UMASK: u32 = 0o077;

/// What the agent of an instance says. All paths are absolute.
#[derive(Debug, Clone, Copy)]
pub struct InstanceAgent<'a> {
    /// The project that declares the instance.
    pub project: &'a ProjectName,
    /// The instance.
    pub instance: &'a InstanceName,
    /// What starts it.
    pub start: &'a Start,
    /// The client endpoints that launchd is to hold.
    pub endpoints: &'a [Endpoint],
    /// The socket that wakes the instance.
    pub wake_socket: &'a Utf8Path,
    /// The activator.
    pub activator: &'a Utf8Path,
    /// The plan to start it with.
    pub plan: &'a Utf8Path,
    /// How long the activator may take to stop the engine.
    pub stop_timeout: Duration,
    /// What the activator says before it has opened its log, and that is the same file.
    pub log: &'a Utf8Path,
    /// For a program of the user's own: the file of its environment, which need not be there.
    pub environment: Option<&'a Utf8Path>,
}

impl InstanceAgent<'_> {
    /// The agent's file.
    pub fn file(&self) -> Result<AgentFile, AgentError> {
        let labels = Labels::of(self.project);
        let environment = self.environment;
        let environment = environment.map(|file| (ENVIRONMENT, file.to_string()));
        let agent = Agent {
            label: labels.label(self.instance),
            limit_load_to_session_type: SESSIONS,
            program_arguments: [
                self.activator.as_str(),
                "run",
                self.plan.as_str(),
                "--launchd",
            ]
            .map(String::from)
            .to_vec(),
            keep_alive: keep_alive(self.start),
            run_at_load: matches!(self.start, Start::WithProject(_)),
            environment_variables: environment.into_iter().collect(),
            umask: UMASK,
            exit_time_out: seconds(self.stop_timeout),
            throttle_interval: seconds(THROTTLE),
            standard_error_path: self.log.to_string(),
            process_type: PROCESS_TYPE,
            sockets: self.sockets(),
        };
        agent.file(labels.file(self.instance))
    }

    fn sockets(&self) -> BTreeMap<&'static str, Vec<Socket>> {
        let client = |endpoint: &Endpoint| match endpoint {
            Endpoint::Tcp(address) => Socket::tcp(*address),
            Endpoint::Unix(path) => Socket::unix(path),
        };
        let clients: Vec<_> = self.endpoints.iter().map(client).collect();
        let mut sockets = BTreeMap::from([(WAKE, vec![Socket::unix(self.wake_socket)])]);
        if !clients.is_empty() {
            sockets.insert(CLIENTS, clients);
        }
        sockets
    }
}

/// Which ends those are is for the activator to say, which exits with 0 only if it does not want
/// another start: launchd counts none. One that its clients start is never started without them.
fn keep_alive(start: &Start) -> Option<KeepAlive> {
    let is_ever = Restarts::new(start).is_ever() == Some(true);
    is_ever.then_some(KeepAlive {
        successful_exit: false,
    })
}

/// In whole seconds, and never less: launchd reads an `ExitTimeOut` of 0 as for ever.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
