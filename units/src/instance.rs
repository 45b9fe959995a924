//! The two units of an instance: the socket that holds its addresses, and the service that runs
//! while it is awake.
//!
//! Must not know any engine: what depends on one is a field.

use std::time::Duration;

use camino::Utf8Path;
use doze_contract::{
    Endpoint, EngineName, InstanceName, ProjectName,
    plan::{InitSocket, Restart, RestartPolicy, Signal, Start},
};

use crate::{
    Limits, Prefix, Profile, escape,
    harden::{self, Needs},
    unit::{HEAD, UnitError, UnitFile},
};

/// What the units of an instance say. All paths are absolute.
#[derive(Debug, Clone, Copy)]
pub struct InstanceUnits<'a> {
    /// The project that declares the instance.
    pub project: &'a ProjectName,
    /// The instance.
    pub instance: &'a InstanceName,
    /// The instances that it needs.
    pub depends_on: &'a [&'a InstanceName],
    /// Its engine, for people to read.
    pub engine: &'a EngineName,
    /// The project's `doze.toml`.
    pub source: &'a Utf8Path,
    /// What starts it.
    pub start: &'a Start,
    /// The client endpoints that the socket unit is to hold.
    pub endpoints: &'a [Endpoint],
    /// What is bound in place of the unix endpoints.
    pub init_sockets: &'a [InitSocket],
    /// The engine accepts on the TCP sockets itself.
    pub takes_sockets: bool,
    /// The socket that wakes the instance.
    pub wake_socket: &'a Utf8Path,
    /// The socket that the activator binds while it runs.
    pub status_socket: &'a Utf8Path,
    /// The activator.
    pub activator: &'a Utf8Path,
    /// The plan to start it with.
    pub plan: &'a Utf8Path,
    /// The signal that stops the engine in good order, should the activator be gone.
    pub kill_signal: Signal,
    /// How long a boot may take without a sign of progress.
    pub start_timeout: Duration,
    /// How long the activator may take to stop the engine, and what is left after that to end.
    pub stop_timeout: Duration,
    /// The folders that the instance writes to. They must be there when the service starts.
    pub writable: &'a [&'a Utf8Path],
    /// Files and folders that it reads besides: the driver, the engine's programs.
    pub readable: &'a [&'a Utf8Path],
    /// What the activator and the engine may use together.
    pub limits: Limits,
    /// For a program of the user's own, to which nothing is denied: the file of its environment,
    /// which need not be there.
    pub environment: Option<&'a Utf8Path>,
    /// How far to harden any other.
    pub profile: Profile,
    /// The engine writes machine code at run time.
    pub generates_code: bool,
    /// The engine is started through unshare(1).
    pub user_namespaces: bool,
}

impl InstanceUnits<'_> {
    /// The socket unit, with all addresses of the instance.
    pub fn socket(&self) -> Result<UnitFile, UnitError> {
        let prefix = Prefix::of(self.project);
        let (target, slice) = (prefix.target(), prefix.slice());
        let about = self.about()?;
        let source = escape::value(self.source.as_str())?;
        let wake = escape::value(self.wake_socket.as_str())?;
        let links = self.socket_links()?;
        let listen = self.endpoints.iter().map(|endpoint| self.listen(endpoint));
        let listen = listen.collect::<Result<String, _>>()?;
        // On a unix socket it fails, which is only logged.
        let is_tcp = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(_));
        let no_delay = if self.endpoints.iter().any(is_tcp) {
            "# Small replies do not wait for acknowledgements.\nNoDelay=yes\n"
        } else {
            ""
        };
        let what = match self.start {
            Start::OnDemand => {
                "\
# Holds the addresses of an instance. The first connection starts the service of the same name;
# connections wait here while that boots, and while it is not running."
            }
            Start::WithProject(_) => {
                "\
# Wakes an instance that starts with its project and binds its addresses itself: a connection
# starts the service of the same name, should that have ended."
            }
        };
        let text = format!(
            "\
{HEAD}#
{what}

[Unit]
Description=doze: addresses of {about}
SourcePath={source}
PartOf={target}

[Socket]
{listen}# A connection to this one wakes the instance, too, and keeps it awake.
ListenStream={wake}
FileDescriptorName=doze
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes
{links}{no_delay}# Every wake is a trigger: a limit on them would close the addresses for good.
TriggerLimitIntervalSec=0
Slice={slice}

[Install]
WantedBy={target}
"
        );
        UnitFile::new(prefix.socket(self.instance), text)
    }

    /// The service, which is the activator with the engine below it.
    pub fn service(&self) -> Result<UnitFile, UnitError> {
        let prefix = Prefix::of(self.project);
        let (target, slice) = (prefix.target(), prefix.slice());
        let socket = prefix.socket(self.instance);
        let about = self.about()?;
        let source = escape::value(self.source.as_str())?;
        let activator = escape::program(self.activator.as_str())?;
        let plan = escape::argument(self.plan.as_str());
        let status = escape::argument(self.status_socket.as_str());
        let links = self.service_links()?;
        let kill_signal = self.kill_signal.name();
        let start_timeout = time_span(self.start_timeout);
        let stop_timeout = time_span(self.stop_timeout);
        let dependencies = self.dependencies();
        let limits = self.limits.settings();
        let (what, limit, restart) = match self.start {
            Start::OnDemand => (ON_DEMAND, NO_LIMIT.to_owned(), AFTER_CRASH.to_owned()),
            Start::WithProject(restart) => (WITH_PROJECT, limit(restart), self::restart(restart)),
        };
        let install = match self.start {
            Start::OnDemand => String::new(),
            Start::WithProject(_) => format!("\n[Install]\nWantedBy={target}\n"),
        };
        let hardening = match self.environment {
            Some(file) => own(file)?,
            None => harden::settings(&self.needs())?,
        };
        let text = format!(
            "\
{HEAD}#
{what}

[Unit]
Description=doze: {about}
SourcePath={source}
# The activator has a copy of the socket, so both must go together.
Requires={socket}
After={socket}
{dependencies}PartOf={target}
{limit}
[Service]
# Active means that the engine is ready, not only that there is a process.
Type=notify
NotifyAccess=main
ExecStart={activator} run {plan}
# Returns when the engine has stopped; only what is left then gets the signal.
ExecStop={activator} stop {status}
{links}KillMode=control-group
KillSignal={kill_signal}
TimeoutStartSec={start_timeout}
TimeoutStopSec={stop_timeout}
{restart}# If the engine is killed for its memory, the activator stays to tell the clients.
OOMPolicy=continue
UMask=0077
Slice={slice}
{limits}{hardening}{install}"
        );
        UnitFile::new(prefix.service(self.instance), text)
    }

    /// The lines that order the service by what it depends on.
    fn dependencies(&self) -> String {
        if self.depends_on.is_empty() {
            return String::new();
        }
        let prefix = Prefix::of(self.project);
        let line = |name: &&InstanceName| {
            let (socket, service) = (prefix.socket(name), prefix.service(name));
            format!("After={socket} {service}\n")
        };
        let lines: String = self.depends_on.iter().map(line).collect();
        format!(
            "\
# What it depends on is woken by the activator and not by this; but where both go down, this one
# goes first.
{lines}"
        )
    }

    fn listen(&self, endpoint: &Endpoint) -> Result<String, UnitError> {
        Ok(match endpoint {
            // Always with its host: a bare port would listen on every interface.
            Endpoint::Tcp(address) => format!("ListenStream={address}\n"),
            Endpoint::Unix(path) => {
                let mut all = self.init_sockets.iter();
                match all.find(|socket| socket.public == *path) {
                    Some(socket) => format!(
                        "# Clients find it at {path}.\nListenStream={}\n",
                        escape::value(socket.path.as_str())?
                    ),
                    None => format!("ListenStream={}\n", escape::value(path.as_str())?),
                }
            }
        })
    }

    /// `Symlinks=` would do it, but not for a unit that binds two paths, as the wake socket is one.
    fn socket_links(&self) -> Result<String, UnitError> {
        if self.init_sockets.is_empty() {
            return Ok(String::new());
        }
        let activator = escape::program(self.activator.as_str())?;
        let plan = escape::argument(self.plan.as_str());
        Ok(format!(
            "\
# Where clients look for a unix socket, there is a link to it or, while it is awake, the engine's.
ExecStartPost={activator} link {plan}
ExecStopPost=-{activator} unlink {plan}
"
        ))
    }

    fn service_links(&self) -> Result<String, UnitError> {
        if self.init_sockets.is_empty() && !self.takes_sockets {
            return Ok(String::new());
        }
        let activator = escape::program(self.activator.as_str())?;
        let plan = escape::argument(self.plan.as_str());
        Ok(format!(
            "\
# Clients come here again, should the activator have been killed before it saw to that.
ExecStopPost=-{activator} link {plan}
"
        ))
    }

    /// The instance, for people to read.
    fn about(&self) -> Result<String, UnitError> {
        let (project, instance, engine) = (self.project, self.instance, self.engine);
        Ok(escape::value(&format!("{project}/{instance} ({engine})"))?)
    }

    fn needs(&self) -> Needs<'_> {
        let own = [
            self.wake_socket,
            self.status_socket,
            self.activator,
            self.plan,
        ];
        let endpoints = self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(_) => None,
            Endpoint::Unix(path) => Some(path.as_path()),
        });
        let bound = self.init_sockets.iter().map(|socket| socket.path.as_path());
        let lists = self.writable.iter().chain(self.readable).copied();
        Needs {
            profile: self.profile,
            generates_code: self.generates_code,
            user_namespaces: self.user_namespaces,
            writable: self.writable,
            uses_tmp: own
                .into_iter()
                .chain(endpoints)
                .chain(bound)
                .chain(lists)
                .any(harden::is_in_tmp),
        }
    }
}

const ON_DEMAND: &str = "\
# Runs while an instance is awake: the activator starts the engine, carries the connections to
# it, and leaves when the last one is gone. Started by the socket of the same name.";

const WITH_PROJECT: &str = "\
# Runs while the project is up: the activator holds what the instance depends on, starts it, and
# leaves with it.";

const NO_LIMIT: &str = "\
# Every wake is a start: a limit on them would close the addresses for good.
StartLimitIntervalSec=0
";

const AFTER_CRASH: &str = "\
# After a crash of the activator. Status 1 is an engine that failed, after all clients were told,
# and 100 is what a new try cannot mend: both wait for the next client.
Restart=on-failure
RestartSec=500ms
RestartPreventExitStatus=1 100
";

/// How long one has to run, so that what was before does not count.
const SETTLED: Duration = Duration::from_mins(1);

/// Whether it is ever started again by itself.
fn is_final(restart: &Restart) -> bool {
    restart.policy == RestartPolicy::No || restart.max_retries == 0
}

/// How many starts there may be in a row. Starts that each last for [`SETTLED`] take longer than
/// the interval, so they never reach the limit.
fn limit(restart: &Restart) -> String {
    if is_final(restart) {
        return "# Nothing starts it again by itself.\nStartLimitIntervalSec=0\n".to_owned();
    }
    let starts = restart.max_retries.saturating_add(1);
    let interval = (SETTLED + restart.backoff).saturating_mul(starts);
    format!(
        "\
# The first start and the retries; one that runs for a minute each time may go on for ever. With
# the last one systemd closes the socket of the same name as well: `doze up` brings both back.
StartLimitIntervalSec={}
StartLimitBurst={starts}
",
        time_span(interval)
    )
}

fn restart(restart: &Restart) -> String {
    let ended = "\
# Status 0 is a stop that was asked for, 2 an end by itself and in good order, 1 any other, and 100
# is what a new try cannot mend.
SuccessExitStatus=2
";
    let again = match restart.policy {
        _ if is_final(restart) => return format!("{ended}Restart=no\n"),
        RestartPolicy::No => "Restart=no\n",
        RestartPolicy::OnFailure => "Restart=on-failure\nRestartPreventExitStatus=100\n",
        RestartPolicy::Always => "Restart=always\nRestartPreventExitStatus=0 100\n",
    };
    let backoff = time_span(restart.backoff);
    format!("{ended}{again}RestartSec={backoff}\n")
}

/// What a program of the user's own gets.
fn own(environment: &Utf8Path) -> Result<String, UnitError> {
    let file = escape::value(&escape::glob(environment.as_str()))?;
    Ok(format!(
        "
# It is a program of the user's own, so nothing is denied to it that the user may do.
EnvironmentFile=-{file}
"
    ))
}

/// As systemd.time(7) reads it.
fn time_span(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
