//! From a project to the files that run it.
//!
//! [`plans`] asks the drivers; [`compile`] is pure: the same plans and host give the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, EngineName, InstanceName, Plan, ProjectName,
    plan::{Condition, Dependency, FORMAT, InitSocket, Member, SideEndpoint, Signal, Start, Stop},
};
use doze_launchd::{AgentError, InstanceAgent};
use doze_units::{InstanceUnits, Profile, ProjectUnits, UnitError, UnitFile};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    config::{Instance, Project, Wish},
    dirs::{Dirs, Init, SOURCE},
    drivers::{DriverError, Drivers},
    schema,
    tree::{Area, Tree},
    variables::variables,
};

/// What the files depend on besides the project.
#[derive(Debug, Clone)]
pub struct Host {
    /// Where things are.
    pub dirs: Dirs,
    /// The user is root, whom some engines refuse.
    pub is_root: bool,
    /// unshare(1), which gives an engine that refuses root another uid to see.
    pub unshare: Option<Utf8PathBuf>,
    /// How far the units can be hardened.
    pub profile: Profile,
}

/// Why a project cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A driver does not do its part.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// An engine refuses root, and there is no way around it.
    #[error("{engine} refuses to run as root and unshare(1) is not there; use another user")]
    RefusesRoot {
        /// The engine.
        engine: EngineName,
    },
    /// A plan cannot be written as JSON.
    #[error("cannot write the plan of `{instance}`")]
    Plan {
        /// The instance.
        instance: InstanceName,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A unit cannot be written.
    #[error("cannot write the units of `{instance}`")]
    Unit {
        /// The instance, or the project.
        instance: String,
        /// Why.
        #[source]
        source: UnitError,
    },
    /// An agent cannot be written.
    #[error("cannot write the agent of `{instance}`")]
    Agent {
        /// The instance.
        instance: InstanceName,
        /// Why.
        #[source]
        source: AgentError,
    },
    /// The endpoints cannot be written.
    #[error("cannot write the list of endpoints")]
    Endpoints(#[source] toml::ser::Error),
}

impl Host {
    /// Looks at the machine.
    pub fn new(dirs: Dirs) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let places = ["/usr/bin/unshare", "/bin/unshare"].map(Utf8PathBuf::from);
        let unshare = places.into_iter().find(|path| path.is_file());
        Self {
            dirs,
            is_root,
            unshare,
            profile: Profile::Seccomp,
        }
    }

    /// The words in front of the command line of an engine that refuses root: inside a user
    /// namespace it sees itself as `nobody`, while its files stay root's.
    fn launcher(&self, instance: &Instance) -> Result<Vec<String>, CompileError> {
        if !self.is_root || !instance.refuses_root {
            return Ok(Vec::new());
        }
        let engine = instance.engine.clone();
        let unshare = self
            .unshare
            .as_ref()
            .ok_or(CompileError::RefusesRoot { engine })?;
        let words = [
            unshare.as_str(),
            "-U",
            "--map-user=65534",
            "--map-group=65534",
            "--",
        ];
        Ok(words.map(String::from).to_vec())
    }

    /// The activator that ships with this program.
    pub fn activator(&self) -> Utf8PathBuf {
        self.dirs.programs.join("doze-activator")
    }
}

/// The plans of all instances, in their order.
pub fn plans(project: &Project, host: &Host, drivers: &Drivers) -> Result<Vec<Plan>, CompileError> {
    let plan = |instance| plan(project, instance, host, drivers);
    let mut plans = project
        .instances
        .iter()
        .map(plan)
        .collect::<Result<Vec<_>, _>>()?;
    hold(project, &mut plans);
    tell(&mut plans);
    for plan in &mut plans {
        plan.revision = digest(&plan_text(plan)?);
    }
    Ok(plans)
}

/// Tells the programs of the user's own where the instances are, as `doze run` does.
fn tell(plans: &mut [Plan]) {
    let variables: BTreeMap<_, _> = variables(&*plans)
        .into_iter()
        .map(|variable| (variable.name, variable.value))
        .collect();
    let members = plans.iter_mut().flat_map(|plan| &mut plan.body.members);
    for own in members.filter_map(|member| member.own.as_mut()) {
        own.variables.clone_from(&variables);
    }
}

/// Adds to each plan what its instance depends on. How long that may take is known by now.
fn hold(project: &Project, plans: &mut [Plan]) {
    let within = ready_within(project, plans);
    let known = |plan: &Plan| {
        let known = (plan.paths.wake_socket.clone(), starts_with_project(plan));
        (plan.instance.clone(), known)
    };
    let known: BTreeMap<_, _> = plans.iter().map(known).collect();
    for (plan, instance) in plans.iter_mut().zip(&project.instances) {
        let held = needed(instance).filter_map(|(name, condition)| {
            let (wake_socket, runs_by_itself) = known.get(name)?.clone();
            Some(Dependency {
                instance: name.clone(),
                wake_socket,
                condition,
                ready_within: *within.get(name)?,
                runs_by_itself,
            })
        });
        plan.holds = held.collect();
    }
}

/// The instances that one holds, and when they are good enough.
fn needed(instance: &Instance) -> impl Iterator<Item = (&InstanceName, Condition)> {
    instance
        .depends_on
        .iter()
        .filter_map(|need| match need.wish {
            Wish::Held(condition) => Some((&need.instance, condition)),
            Wish::Lazy => None,
        })
}

/// How long each instance may take until it is ready, with all that it holds: they boot at the same
/// time, so it is the longest way through them.
fn ready_within<'a>(project: &'a Project, plans: &[Plan]) -> BTreeMap<&'a InstanceName, Duration> {
    let own = plans.iter().map(start_timeout);
    let all: BTreeMap<_, _> = project
        .instances
        .iter()
        .zip(own)
        .map(|(instance, own)| (&instance.name, (instance, own)))
        .collect();
    let mut known = BTreeMap::new();
    for name in all.keys() {
        // No circle is left in a project, so the way ends.
        let mut way = vec![*name];
        while let Some((name, (instance, own))) = way.last().and_then(|it| all.get_key_value(it)) {
            let open = needed(instance).map(|(name, _)| name);
            let open = open.filter(|name| all.contains_key(name) && !known.contains_key(name));
            let before = way.len();
            way.extend(open);
            if way.len() == before {
                let longest = needed(instance)
                    .filter_map(|(name, _)| known.get(name))
                    .max();
                known.insert(*name, *own + longest.copied().unwrap_or_default());
                way.pop();
            }
        }
    }
    known
}

fn plan(
    project: &Project,
    instance: &Instance,
    host: &Host,
    programs: &Drivers,
) -> Result<Plan, CompileError> {
    Ok(Plan {
        format: FORMAT,
        revision: String::new(),
        project: project.name.clone(),
        instance: instance.name.clone(),
        engine: instance.engine.clone(),
        // What starts with the project ends with it.
        idle_timeout: instance
            .idle_timeout
            .filter(|_| instance.body.start == Start::OnDemand),
        endpoints: instance.endpoints.clone(),
        holds: Vec::new(),
        init_sockets: init_sockets(project, instance, host),
        open_to: instance.open_to,
        hands_over: host.dirs.init.can_hand_over(),
        paths: host.dirs.instance(&project.name, &instance.name),
        driver: programs
            .program(&instance.engine)
            .map(ToOwned::to_owned)
            .unwrap_or_default(),
        launcher: host.launcher(instance)?,
        body: instance.body.clone(),
    })
}

/// What the init system binds in place of the unix endpoints, so that the paths can lead to the
/// engine itself; only where it can be told who is with that.
fn init_sockets(project: &Project, instance: &Instance, host: &Host) -> Vec<InitSocket> {
    if !host.dirs.init.can_hand_over() {
        return Vec::new();
    }
    let unix = instance
        .endpoints
        .iter()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(_) => None,
            Endpoint::Unix(path) => Some(path.clone()),
        });
    let socket = |(at, public)| InitSocket {
        public,
        path: host.dirs.init_socket(&project.name, &instance.name, at),
    };
    unix.enumerate().map(socket).collect()
}

/// Everything that the project's plans become: the plans themselves, the units, the endpoints. The
/// schema of the file goes with them.
pub fn compile(
    project: &Project,
    plans: &[Plan],
    schema: String,
    host: &Host,
) -> Result<Tree, CompileError> {
    let mut tree = Tree::default();
    if host.dirs.init != Init::Launchd {
        project_units(&mut tree, project, plans)?;
    }
    for (plan, instance) in plans.iter().zip(&project.instances) {
        let name = plan_name(&plan.instance);
        let path = host.dirs.plans(&project.name).join(&name);
        if host.dirs.init == Init::Launchd {
            agent(&mut tree, plan, &path, host)?;
        } else {
            instance_units(&mut tree, project, instance, plan, &path, host)?;
        }
        tree.private(Area::Plans, name, plan_text(plan)?);
    }
    tree.private(Area::Plans, SOURCE, format!("{}\n", project.source));
    endpoints(&mut tree, &project.name, plans)?;
    tree.public(Area::Project, schema::FILE_NAME, schema);
    Ok(tree)
}

/// The units that stand for the whole project.
fn project_units(tree: &mut Tree, project: &Project, plans: &[Plan]) -> Result<(), CompileError> {
    let units = ProjectUnits {
        project: &project.name,
        source: &project.source,
    };
    let names: Vec<_> = plans.iter().map(|plan| &plan.instance).collect();
    let started = plans.iter().filter(|plan| starts_with_project(plan));
    let started: Vec<_> = started.map(|plan| &plan.instance).collect();
    let of_project = |source| CompileError::Unit {
        instance: project.name.to_string(),
        source,
    };
    add_unit(tree, units.target(&names, &started).map_err(of_project)?);
    add_unit(tree, units.slice().map_err(of_project)?);
    Ok(())
}

/// The agent of an instance.
fn agent(
    tree: &mut Tree,
    plan: &Plan,
    plan_path: &Utf8Path,
    host: &Host,
) -> Result<(), CompileError> {
    let environment = host.dirs.environment(&plan.project);
    let addresses = held(plan);
    let agent = InstanceAgent {
        project: &plan.project,
        instance: &plan.instance,
        start: &plan.body.start,
        endpoints: &addresses,
        wake_socket: &plan.paths.wake_socket,
        activator: &host.activator(),
        plan: plan_path,
        stop_timeout: stop_timeout(plan),
        log: &plan.paths.log,
        environment: is_own(plan).then_some(environment.as_path()),
    };
    let file = agent.file().map_err(|source| CompileError::Agent {
        instance: plan.instance.clone(),
        source,
    })?;
    tree.public(Area::Units, file.name, file.text);
    Ok(())
}

/// The client endpoints that the init system holds; what starts with the project binds its own.
fn held(plan: &Plan) -> Vec<Endpoint> {
    if starts_with_project(plan) {
        return Vec::new();
    }
    plan.addresses().cloned().collect()
}

/// How long it may take to stop all members.
fn stop_timeout(plan: &Plan) -> Duration {
    let members = plan.body.members.iter();
    members.map(|member| member.stop.within).sum::<Duration>() + MARGIN
}

/// The socket and the service of an instance.
fn instance_units(
    tree: &mut Tree,
    project: &Project,
    instance: &Instance,
    plan: &Plan,
    plan_path: &Utf8Path,
    host: &Host,
) -> Result<(), CompileError> {
    let members = &plan.body.members;
    let programs: Vec<&Utf8Path> = members
        .iter()
        .filter_map(Member::program)
        .chain([plan.driver.as_path()])
        .collect();
    let folder = host.dirs.project(&plan.project);
    let sockets = host.dirs.sockets(&plan.project);
    // The activator changes where the public paths lead, so it writes to their folders.
    let public = plan.init_sockets.iter();
    let public: BTreeSet<&Utf8Path> = public
        .filter_map(|socket| socket.public.parent())
        .filter(|folder| !folder.starts_with(&sockets))
        .collect();
    let templates = plan.paths.templates.as_path();
    let writable: Vec<&Utf8Path> = [folder.as_path(), sockets.as_path(), templates]
        .into_iter()
        .chain(public)
        .collect();
    // Should the activator be gone, systemd stops what is left in one way for all members.
    let stop = members.last().map(|member| &member.stop);
    let holds: Vec<_> = plan.holds.iter().map(|held| &held.instance).collect();
    let environment = host.dirs.environment(&plan.project);
    let addresses = held(plan);
    let units = InstanceUnits {
        start: &plan.body.start,
        environment: is_own(plan).then_some(environment.as_path()),
        project: &plan.project,
        instance: &plan.instance,
        depends_on: &holds,
        engine: &plan.engine,
        source: &project.source,
        endpoints: &addresses,
        init_sockets: &plan.init_sockets,
        takes_sockets: plan.body.takes_sockets,
        wake_socket: &plan.paths.wake_socket,
        status_socket: &plan.paths.status_socket,
        activator: &host.activator(),
        plan: plan_path,
        kill_signal: kill_signal(stop),
        start_timeout: start_timeout(plan),
        stop_timeout: stop_timeout(plan),
        writable: &writable,
        readable: &programs,
        limits: instance.limits,
        profile: host.profile,
        generates_code: plan.body.generates_code,
        user_namespaces: !plan.launcher.is_empty(),
    };
    let of_instance = |source| CompileError::Unit {
        instance: plan.instance.to_string(),
        source,
    };
    add_unit(tree, units.socket().map_err(of_instance)?);
    add_unit(tree, units.service().map_err(of_instance)?);
    Ok(())
}

/// Whether an instance runs while the project is up, and binds its endpoints itself.
pub(crate) fn starts_with_project(plan: &Plan) -> bool {
    matches!(plan.body.start, Start::WithProject(_))
}

/// Whether it runs programs of the user's own.
pub(crate) fn is_own(plan: &Plan) -> bool {
    let mut members = plan.body.members.iter();
    members.any(|member| member.own.is_some())
}

/// Each behind what it depends on, as far as that is among them, else in the given order.
pub(crate) fn dependencies_first<T>(mut rest: Vec<T>, plan: impl Fn(&T) -> &Plan) -> Vec<T> {
    let mut ordered = Vec::new();
    while !rest.is_empty() {
        let waiting: BTreeSet<_> = rest.iter().map(|it| plan(it).instance.clone()).collect();
        let is_free = |it: &T| {
            let mut holds = plan(it).holds.iter();
            holds.all(|dependency| !waiting.contains(&dependency.instance))
        };
        let (free, bound): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_free);
        if free.is_empty() {
            // A circle, which no project has; any order will do.
            ordered.extend(bound);
            break;
        }
        ordered.extend(free);
        rest = bound;
    }
    ordered
}

/// The signal for all that is left of an instance. The activator may be among them, in its last
/// moments, and one that was killed would count as failed.
fn kill_signal(stop: Option<&Stop>) -> Signal {
    let signal = stop.map(|stop| stop.signal);
    signal
        .filter(|signal| *signal != Signal::Kill)
        .unwrap_or(Signal::Term)
}

/// How long a boot may take, its dependencies left out.
fn start_timeout(plan: &Plan) -> Duration {
    let members = plan.body.members.iter();
    let converge = plan.body.converge.as_ref().map(|converge| converge.within);
    members
        .map(|member| {
            let own = member.own.as_ref();
            let hooks =
                own.is_some_and(|own| !own.pre_start.is_empty() || !own.post_start.is_empty());
            // The hooks have as much time as the program itself.
            member.ready_within * if hooks { 2 } else { 1 }
        })
        .chain(converge)
        .sum::<Duration>()
        + MARGIN
}

/// What the activator needs besides its engine, before the init system loses patience with it.
const MARGIN: Duration = Duration::from_secs(15);

/// Side endpoints as others are told of them.
pub(crate) fn by_name(side: &[SideEndpoint]) -> BTreeMap<String, Endpoint> {
    let named = |side: &SideEndpoint| (side.name.clone(), side.endpoint.clone());
    side.iter().map(named).collect()
}

/// The file name of an instance's plan.
pub fn plan_name(instance: &InstanceName) -> String {
    format!("{instance}.json")
}

fn plan_text(plan: &Plan) -> Result<String, CompileError> {
    let text = serde_json::to_string_pretty(plan).map_err(|source| CompileError::Plan {
        instance: plan.instance.clone(),
        source,
    })?;
    Ok(text + "\n")
}

/// A short name for a text: the first half of its SHA-256.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let nibbles = digest
        .iter()
        .take(16)
        .flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

fn add_unit(tree: &mut Tree, unit: UnitFile) {
    tree.public(Area::Units, unit.name, unit.text);
}

fn endpoints(tree: &mut Tree, project: &ProjectName, plans: &[Plan]) -> Result<(), CompileError> {
    #[derive(Serialize)]
    struct Endpoints<'a> {
        project: &'a ProjectName,
        instances: BTreeMap<InstanceName, Entry>,
    }
    #[derive(Serialize)]
    struct Entry {
        engine: EngineName,
        endpoints: Vec<Endpoint>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        side: BTreeMap<String, Endpoint>,
        variable: Option<String>,
        url: Option<String>,
    }
    let entry = |plan: &Plan| Entry {
        engine: plan.engine.clone(),
        endpoints: plan.endpoints.clone(),
        side: by_name(&plan.body.side),
        variable: plan.body.connection.variable.clone(),
        url: plan.body.connection.url.clone(),
    };
    let instances = plans
        .iter()
        .map(|plan| (plan.instance.clone(), entry(plan)))
        .collect();
    let list = Endpoints { project, instances };
    let json = serde_json::to_string_pretty(&list).unwrap_or_default() + "\n";
    let toml = toml::to_string_pretty(&list).map_err(CompileError::Endpoints)?;
    tree.private(Area::Project, "endpoints.json", json);
    tree.private(Area::Project, "endpoints.toml", toml);
    tree.public(Area::Project, ".gitignore", "*\n".into());
    Ok(())
}
