//! From a file whose own keys are read to a project in which everything is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use camino::Utf8PathBuf;
use doze_contract::{
    Endpoint, EngineName, InstanceName, Version,
    endpoint::EndpointError,
    plan::Body,
    protocol::{Check, Description, PlanCall, Problem, Toolchain},
};

use super::{
    ConfigError, File, Instance, Need, Output, Project,
    block::{Block, Listen, META_KEYS, version_in_toml},
    depend,
    reader::At,
    scope::{Evaluated, Evaluator, Instances, Visible},
    toml_tree::Table,
};
use crate::{
    diagnostic::{Code, Diagnostic, Span, nearest},
    dirs::Dirs,
    drivers::{DriverError, Drivers},
    expression::Known,
    toolchain::{Origin, Toolchains, newest_known, variable},
};

impl File {
    /// Completes the file with what drivers and toolchains say; all problems come at once.
    ///
    /// The instances are gone through in the order in which they refer to each other, for a
    /// reference has a value only when the driver has planned the instance that it is for.
    pub fn resolve(
        mut self,
        dirs: &Dirs,
        drivers: &Drivers,
        toolchains: &Toolchains,
    ) -> Result<Project, ConfigError> {
        let mut problems = std::mem::take(&mut self.problems);
        let evaluator = Evaluator::new(&self.sources, self.isolated);
        let mut resolving = Resolving {
            file: &self,
            dirs,
            drivers,
            toolchains,
            evaluator: &evaluator,
            descriptions: BTreeMap::new(),
            blocks: depend::Known::new(&self.blocks),
            known: Instances::new(),
            claims: Claims::default(),
        };
        let order = order(&self.blocks);
        let mut instances: Vec<(usize, Instance)> = Vec::new();
        for at in order {
            if let Some(block) = self.blocks.get(at)
                && let Some(instance) = resolving.instance(block, &mut problems)?
            {
                instances.push((at, instance));
            }
        }
        instances.sort_by_key(|(at, _)| *at);
        let outputs = resolving.outputs(&mut problems);
        drop(resolving);
        let secrets = evaluator.secrets.into_inner();
        self.sources.hide(&secrets);
        if problems.is_empty() {
            Ok(Project {
                name: self.name,
                source: self.path,
                instances: instances.into_iter().map(|(_, it)| it).collect(),
                outputs,
            })
        } else {
            Err(ConfigError::Wrong {
                sources: self.sources,
                problems,
            })
        }
    }
}

/// The blocks in an order in which each comes after all that it refers to. Circles have been
/// reported; they are cut somewhere.
fn order(blocks: &[Block]) -> Vec<usize> {
    let known = depend::Known::new(blocks);
    let places: BTreeMap<&InstanceName, usize> = blocks
        .iter()
        .enumerate()
        .map(|(at, block)| (&block.name, at))
        .collect();
    let needs = |at: usize| {
        let needs = blocks
            .get(at)
            .map(|block| block.needs.as_slice())
            .unwrap_or_default();
        let named = needs.iter().filter(|need| need.engine.is_some());
        let named = named.filter_map(|need| places.get(&known.get(need)?.name).copied());
        named.collect::<Vec<_>>()
    };
    let (mut order, mut seen) = (Vec::with_capacity(blocks.len()), BTreeSet::new());
    for at in 0..blocks.len() {
        // The way to what comes first, with what is left to look at on each step of it.
        let mut way = vec![];
        if seen.insert(at) {
            way.push((at, needs(at)));
        }
        while let Some((at, left)) = way.last_mut() {
            match left.pop() {
                Some(next) if seen.insert(next) => {
                    let needs = needs(next);
                    way.push((next, needs));
                }
                Some(_) => {}
                None => {
                    order.push(*at);
                    way.pop();
                }
            }
        }
    }
    order
}

struct Resolving<'a> {
    file: &'a File,
    dirs: &'a Dirs,
    drivers: &'a Drivers,
    toolchains: &'a Toolchains,
    evaluator: &'a Evaluator<'a>,
    /// By engine; nothing for one that no driver knows.
    descriptions: BTreeMap<&'a EngineName, Option<Description>>,
    blocks: depend::Known<'a>,
    known: Instances,
    claims: Claims,
}

impl<'a> Resolving<'a> {
    fn visible<'b>(&'b self, block: Option<&'b Block>) -> Visible<'b> {
        let values = &self.file.values;
        Visible {
            variables: &values.variables,
            locals: &values.locals,
            engines: &values.engines,
            stamp: block.map(|block| &block.stamp),
            instances: Some(&self.known),
        }
    }

    fn instance(
        &mut self,
        block: &'a Block,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Option<Instance>, DriverError> {
        // Until it is known to be right.
        let engine = block.engine.to_string();
        self.known.insert(block.name.to_string(), (engine, None));
        if !self.descriptions.contains_key(&block.engine) {
            let description = self.drivers.describe(&block.engine)?;
            if description.is_none() {
                problems.push(unknown_engine(block, self.drivers, self.toolchains));
            }
            self.descriptions.insert(&block.engine, description);
        }
        let Some(Some(description)) = self.descriptions.get(&block.engine) else {
            return Ok(None);
        };
        let context = Context {
            file: self.file,
            block,
            description,
        };
        let before = problems.len();
        let endpoints = context.endpoints(self.dirs, problems);
        let reachable = problems.len() == before && !endpoints.is_empty();
        let toolchain = context.toolchain(self.toolchains, problems);
        let own = self
            .evaluator
            .table(&block.rest, &self.visible(Some(block)), problems);
        let normal = context.check(&own, self.drivers, problems)?;
        if !block.enabled {
            return Ok(None);
        }
        let refuses_root = description.refuses_root;
        self.claims.add(self.file, block, &endpoints, problems);
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .map(|(endpoint, _)| endpoint)
            .collect();
        let (Some((toolchain, origin)), Some(normal), Some(version)) =
            (toolchain, normal, &block.version)
        else {
            return Ok(None);
        };
        if !reachable {
            return Ok(None);
        }
        let paths = self.dirs.instance(&self.file.name, &block.name);
        let call = PlanCall {
            project: self.file.name.clone(),
            instance: block.name.clone(),
            block: normal,
            toolchain: toolchain.clone(),
            endpoints: endpoints.clone(),
            data: paths.data,
            run: paths.run,
        };
        let body = self.drivers.plan(&block.engine, call)?;
        let attributes = attributes(block, &endpoints, &body, own.sensitive);
        let engine = block.engine.to_string();
        self.known
            .insert(block.name.to_string(), (engine, Some(attributes)));
        Ok(Some(Instance {
            name: block.name.clone(),
            engine: block.engine.clone(),
            endpoints,
            idle_timeout: block.idle_timeout,
            depends_on: depend::of(&self.blocks, block)
                .into_iter()
                .map(|(name, wish)| Need {
                    instance: name.clone(),
                    wish,
                })
                .collect(),
            open_to: block.open_to,
            limits: block.limits,
            body,
            version: version.value.clone(),
            toolchain,
            origin,
            refuses_root,
        }))
    }

    fn outputs(&self, problems: &mut Vec<Diagnostic>) -> Vec<Output> {
        let visible = self.visible(None);
        let value = |declared: &super::outputs::Declared| {
            let done = self.evaluator.item(&declared.value, &visible, problems);
            let value = done.value.map(|item| item.value.to_json());
            Output {
                name: declared.name.clone(),
                value: value.unwrap_or_default(),
                description: declared.description.clone(),
                sensitive: declared.sensitive || done.sensitive,
            }
        };
        self.file.values.outputs.iter().map(value).collect()
    }
}

/// What others can refer to.
fn attributes(
    block: &Block,
    endpoints: &[Endpoint],
    body: &Body,
    sensitive: bool,
) -> BTreeMap<String, Known> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: serde_json::Value, sensitive| {
        all.insert(name.to_owned(), Known { value, sensitive });
    };
    // What the driver makes of its block may hold what is sensitive in it.
    for (name, value) in &body.connection.attributes {
        add(name, value.as_str().into(), sensitive);
    }
    add("name", block.name.as_str().into(), false);
    add("engine", block.engine.as_str().into(), false);
    add("url", body.connection.url.as_str().into(), sensitive);
    add("env_var", body.connection.variable.as_str().into(), false);
    let mut tcp = endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Tcp(address) => Some(address),
        Endpoint::Unix(_) => None,
    });
    if let Some(address) = tcp.next() {
        add("address", address.to_string().into(), false);
        add("host", address.ip().to_string().into(), false);
        add("port", address.port().into(), false);
    }
    let mut unix = endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Tcp(_) => None,
        Endpoint::Unix(path) => Some(path),
    });
    if let Some(path) = unix.next() {
        add("socket", path.as_str().into(), false);
    }
    all
}

/// A block with what is known about its engine.
struct Context<'a> {
    file: &'a File,
    block: &'a Block,
    description: &'a Description,
}

impl Context<'_> {
    fn endpoints(&self, dirs: &Dirs, problems: &mut Vec<Diagnostic>) -> Vec<(Endpoint, Span)> {
        let block = self.block;
        if !block.has_address {
            let port = self.description.default_port;
            let message = format!("`{}` has no address", block.name);
            let found = Diagnostic::new(Code::Missing, block.name_span.clone(), message).hint(
                format!("add `port = {port}`, or another port that nothing else uses"),
            );
            problems.push(found);
        }
        let paths = dirs.instance(&self.file.name, &block.name);
        let private = paths
            .wake_socket
            .parent()
            .map(ToOwned::to_owned)
            .unwrap_or_default();
        // Every socket of the instance has to fit, those that clients never see included. The
        // last init socket has the longest name of them; there may be fewer.
        let last = block.listens.len().saturating_sub(1);
        for path in [
            paths.wake_socket.clone(),
            paths.run.join(&self.description.socket_name),
            dirs.init_socket(&self.file.name, &block.name, last),
        ] {
            if let Err(EndpointError::TooLong(length)) = Endpoint::unix(path.clone()) {
                let message = format!("the socket path {path} is too long");
                let found = Diagnostic::new(Code::PathTooLong, block.name_span.clone(), message)
                    .label(format!(
                        "{length} bytes with these names; a unix socket has 107"
                    ))
                    .hint("shorten the name of the instance or of the project");
                problems.push(found);
                break;
            }
        }
        let mut endpoints: Vec<(Endpoint, Span)> = Vec::new();
        for listen in &block.listens {
            let endpoint = match &listen.value {
                Listen::At(endpoint) => endpoint.clone(),
                Listen::DefaultUnix => Endpoint::Unix(private.join(&self.description.socket_name)),
            };
            if let Listen::At(Endpoint::Unix(path)) = &listen.value
                && path.starts_with(&private)
            {
                let message = format!("{path} is in the folder of doze's own sockets");
                let found = Diagnostic::new(Code::Value, listen.span.clone(), message)
                    .hint("`\"unix\"` is a path in it; or choose another folder");
                problems.push(found);
            }
            if !endpoints.iter().any(|(known, _)| *known == endpoint) {
                endpoints.push((endpoint, listen.span.clone()));
            }
        }
        endpoints
    }

    fn toolchain(
        &self,
        toolchains: &Toolchains,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<(Toolchain, Origin)> {
        let (block, search) = (self.block, &self.description.toolchain);
        let found = || toolchains.of(&block.engine, search);
        let Some(version) = &block.version else {
            if !block.has_version {
                let message = format!("`{}` has no version", block.name);
                let found = found();
                let newest = newest_known(self.description, &found)
                    .map(|(_, major)| major)
                    .or(self.description.majors.last())
                    .map(|version| format!("add `version = {}`", version_in_toml(version)));
                let found = Diagnostic::new(Code::Missing, block.name_span.clone(), message)
                    .maybe_hint(newest);
                problems.push(found);
            }
            return None;
        };
        if !self.description.knows(&version.value) {
            problems.push(self.unknown_version(version));
            return None;
        }
        let reason = match toolchains.provide(&block.engine, search, &version.value) {
            Ok(provided) => return Some(provided),
            Err(reason) => reason,
        };
        // An instance that is switched off needs no programs.
        if block.enabled {
            let what = format!("no {} {} on this machine", block.engine, version.value);
            let problem = Diagnostic::new(Code::Toolchain, version.span.clone(), what)
                .label(installed(&block.engine, &found()));
            problems.push(problem.hint(reason.unwrap_or_else(|| self.install_hint())));
        }
        None
    }

    fn unknown_version(&self, version: &At<Version>) -> Diagnostic {
        let engine = &self.block.engine;
        let known: Vec<_> = self
            .description
            .majors
            .iter()
            .map(ToString::to_string)
            .collect();
        let message = format!("the driver of {engine} does not know {}", version.value);
        Diagnostic::new(Code::UnknownVersion, version.span.clone(), message)
            .hint(format!("the versions of {engine} are {}", known.join(", ")))
    }

    fn install_hint(&self) -> String {
        format!(
            "install it (Debian: {}), or set {} to the folder of its programs",
            self.description.toolchain.packages.join(" or "),
            variable(&self.block.engine),
        )
    }

    /// The normalised block. What a driver says of a value that is missing here only because it
    /// could not be evaluated is nothing new.
    fn check(
        &self,
        own: &Evaluated<Table>,
        drivers: &Drivers,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Option<serde_json::Value>, DriverError> {
        let block = self.block;
        let json = own
            .value
            .0
            .iter()
            .map(|(key, item)| (key.clone(), item.value.to_json()));
        // Without a version the keys can still be checked, as for the newest one.
        let declared = block.version.as_ref().map(|at| &at.value);
        let Some(version) = declared.or(self.description.majors.last()).cloned() else {
            return Ok(None);
        };
        let check = Check {
            instance: block.name.clone(),
            version,
            block: json.collect(),
        };
        let checked = drivers.check(&block.engine, check)?;
        let sound = checked.problems.is_empty() && own.sound;
        let told = checked.problems.into_iter();
        let told = told.filter(|problem| own.sound || own.value.locate(&problem.at).is_some());
        problems.extend(told.map(|problem| self.place(&own.value, problem)));
        Ok(sound.then_some(checked.block))
    }

    /// A driver's problem at its place in the file.
    fn place(&self, own: &Table, problem: Problem) -> Diagnostic {
        let (code, span) = match own.locate(&problem.at) {
            Some(item) if problem.key => (Code::UnknownKey, item.key.clone()),
            Some(item) => (Code::Value, item.span.clone()),
            None => (Code::Value, self.block.name_span.clone()),
        };
        // The driver does not know the core's own keys.
        let meta = match problem.at.as_slice() {
            [key] if problem.key => nearest(key, META_KEYS),
            _ => None,
        };
        let hint = meta
            .map(|near| format!("did you mean `{near}`?"))
            .or(problem.hint);
        // An item of a list has a number for a name; it is called like the list.
        let mut names = problem.at.iter().rev();
        let name = names
            .find(|name| name.parse::<usize>().is_err())
            .map_or(self.block.name.as_str(), String::as_str);
        let message = format!("`{name}` {}", problem.message);
        Diagnostic::new(code, span, message).maybe_hint(hint)
    }
}

fn installed(engine: &EngineName, toolchains: &[Toolchain]) -> String {
    let versions: Vec<_> = toolchains
        .iter()
        .map(|found| found.version.to_string())
        .collect();
    let variable = variable(engine);
    match (versions.as_slice(), std::env::var_os(&variable)) {
        ([], Some(folder)) => format!("none is in {variable}={}", folder.display()),
        ([], None) => "none is installed".into(),
        (some, Some(_)) => format!("{variable} has {}", some.join(", ")),
        (some, None) => format!("installed: {}", some.join(", ")),
    }
}

fn unknown_engine(block: &Block, drivers: &Drivers, toolchains: &Toolchains) -> Diagnostic {
    let message = format!("unknown engine `{}`", block.engine);
    let found = Diagnostic::new(Code::UnknownEngine, block.engine_span.clone(), message);
    let known: Vec<_> = drivers.engines().map(EngineName::as_str).collect();
    let near = nearest(block.engine.as_str(), known.iter().copied());
    let hint = match (near, toolchains.no_driver(&block.engine)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(reason)) => reason.into(),
        (None, None) if known.is_empty() => "there is no driver beside the doze program".into(),
        (None, None) => format!("the engines are {}", known.join(", ")),
    };
    found.hint(hint)
}

/// Who claims which address.
#[derive(Default)]
struct Claims {
    tcp: BTreeMap<u16, Vec<(SocketAddr, InstanceName, Span)>>,
    unix: BTreeMap<Utf8PathBuf, (InstanceName, Span)>,
}

impl Claims {
    fn add(
        &mut self,
        file: &File,
        block: &Block,
        endpoints: &[(Endpoint, Span)],
        problems: &mut Vec<Diagnostic>,
    ) {
        for (endpoint, span) in endpoints {
            if let Some((first, first_span)) = self.clash(endpoint) {
                let message = format!("{endpoint} is claimed twice");
                let found = Diagnostic::new(Code::Conflict, span.clone(), message)
                    .label(format!("claimed by `{}`", block.name))
                    .see(first_span.clone(), format!("claimed by `{first}`"))
                    .maybe_hint(self.way_out(file, block, endpoint));
                problems.push(found);
            }
            let claim = (block.name.clone(), span.clone());
            match endpoint {
                Endpoint::Tcp(address) => {
                    let port = self.tcp.entry(address.port()).or_default();
                    port.push((*address, claim.0, claim.1));
                }
                Endpoint::Unix(path) => {
                    self.unix.entry(path.clone()).or_insert(claim);
                }
            }
        }
    }

    /// Who claims an endpoint that cannot be bound besides this one.
    fn clash(&self, endpoint: &Endpoint) -> Option<(&InstanceName, &Span)> {
        match endpoint {
            Endpoint::Tcp(a) => {
                let both = |b: &SocketAddr| {
                    a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified()
                };
                let claims = self.tcp.get(&a.port())?;
                let found = claims.iter().find(|(b, ..)| both(b))?;
                Some((&found.1, &found.2))
            }
            Endpoint::Unix(path) => self.unix.get(path).map(|(name, span)| (name, span)),
        }
    }

    fn way_out(&self, file: &File, block: &Block, taken: &Endpoint) -> Option<String> {
        let Endpoint::Tcp(address) = taken else {
            return None;
        };
        if block.stamp.index.is_some() {
            let port = address.port();
            return Some(format!(
                "let every one have its own: port = \"${{{port} + count.index}}\""
            ));
        }
        // The next port that no block of the project claims.
        let claimed = |port: u16| {
            let mut listens = file.blocks.iter().flat_map(|block| &block.listens);
            let there = |listen: &Listen| match listen {
                Listen::At(Endpoint::Tcp(address)) => address.port() == port,
                Listen::At(Endpoint::Unix(_)) | Listen::DefaultUnix => false,
            };
            self.tcp.contains_key(&port) || listens.any(|listen| there(&listen.value))
        };
        let free = (address.port()..=u16::MAX)
            .skip(1)
            .find(|port| !claimed(*port))?;
        Some(format!("port {free} is not claimed by anyone here"))
    }
}
