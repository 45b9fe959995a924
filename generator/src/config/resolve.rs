//! From a file whose own keys are read to a project in which everything is right.

use std::collections::BTreeMap;

use doze_contract::{
    Endpoint, EngineName, Version,
    endpoint::EndpointError,
    protocol::{Check, Description, Problem, Toolchain},
};

use super::{
    ConfigError, File, Instance, Project, depend,
    file::{Block, Listen, version_in_toml},
    reader::At,
};
use crate::{
    diagnostic::{Code, Diagnostic, Span, nearest},
    dirs::Dirs,
    drivers::{DriverError, Drivers},
    toolchain::{Origin, Toolchains, newest_known, variable},
};

impl File {
    /// Completes the file with what drivers and toolchains say; all problems come at once.
    pub fn resolve(
        mut self,
        dirs: &Dirs,
        drivers: &Drivers,
        toolchains: &Toolchains,
    ) -> Result<Project, ConfigError> {
        let mut problems = std::mem::take(&mut self.problems);
        let mut instances = Vec::new();
        let mut claims = Claims::default();
        let mut unknown: Vec<&EngineName> = Vec::new();
        for block in &self.blocks {
            let Some(description) = drivers.describe(&block.engine)? else {
                if !unknown.contains(&&block.engine) {
                    problems.push(unknown_engine(block, drivers, toolchains));
                    unknown.push(&block.engine);
                }
                continue;
            };
            let context = Context {
                file: &self,
                block,
                description: &description,
            };
            let endpoints = context.endpoints(dirs, &mut problems);
            let toolchain = context.toolchain(toolchains, &mut problems);
            let normal = context.check(drivers, &mut problems)?;
            if !block.enabled {
                continue;
            }
            claims.add(&self, block, &endpoints, &mut problems);
            let endpoints: Vec<_> = endpoints
                .into_iter()
                .map(|(endpoint, _)| endpoint)
                .collect();
            if let (Some((toolchain, origin)), Some(normal), Some(version)) =
                (toolchain, normal, &block.version)
            {
                instances.push(Instance {
                    name: block.name.clone(),
                    engine: block.engine.clone(),
                    endpoints,
                    idle_timeout: block.idle_timeout,
                    depends_on: depend::names(&self.blocks, block),
                    open_to: block.open_to,
                    block: normal,
                    version: version.value.clone(),
                    toolchain,
                    origin,
                    refuses_root: description.refuses_root,
                });
            }
        }
        if problems.is_empty() {
            Ok(Project {
                name: self.name,
                source: self.source.path,
                instances,
            })
        } else {
            Err(ConfigError::Wrong {
                source_text: self.source,
                problems,
            })
        }
    }
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

    fn check(
        &self,
        drivers: &Drivers,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Option<serde_json::Value>, DriverError> {
        let block = self.block;
        let json = block
            .rest
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
        let sound = checked.problems.is_empty();
        problems.extend(
            checked
                .problems
                .into_iter()
                .map(|problem| self.place(problem)),
        );
        Ok(sound.then_some(checked.block))
    }

    /// A driver's problem at its place in the file.
    fn place(&self, problem: Problem) -> Diagnostic {
        let (code, span) = match self.block.rest.locate(&problem.at) {
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
        let name = problem
            .at
            .last()
            .map_or(self.block.name.as_str(), String::as_str);
        let message = format!("`{name}` {}", problem.message);
        Diagnostic::new(code, span, message).maybe_hint(hint)
    }
}

/// The keys that the core reads in every block.
const META_KEYS: [&str; 7] = [
    "version",
    "port",
    "listen",
    "idle_timeout",
    "depends_on",
    "open_to",
    "enabled",
];

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
struct Claims(BTreeMap<Endpoint, (String, Span)>);

impl Claims {
    fn add(
        &mut self,
        file: &File,
        block: &Block,
        endpoints: &[(Endpoint, Span)],
        problems: &mut Vec<Diagnostic>,
    ) {
        for (endpoint, span) in endpoints {
            let clash = self.0.iter().find(|(other, _)| clash(endpoint, other));
            if let Some((_, (first, first_span))) = clash {
                let message = format!("{endpoint} is claimed twice");
                let found = Diagnostic::new(Code::Conflict, span.clone(), message)
                    .label(format!("claimed by `{}`", block.name))
                    .see(first_span.clone(), format!("claimed by `{first}`"))
                    .maybe_hint(self.free_port(file, endpoint));
                problems.push(found);
            }
            self.0
                .entry(endpoint.clone())
                .or_insert((block.name.to_string(), span.clone()));
        }
    }

    /// The next port that no block of the file claims.
    fn free_port(&self, file: &File, taken: &Endpoint) -> Option<String> {
        let Endpoint::Tcp(address) = taken else {
            return None;
        };
        let claimed = |port: u16| {
            file.blocks
                .iter()
                .flat_map(|block| &block.listens)
                .any(|listen| match &listen.value {
                    Listen::At(Endpoint::Tcp(address)) => address.port() == port,
                    Listen::At(Endpoint::Unix(_)) | Listen::DefaultUnix => false,
                })
                || self.0.keys().any(|known| match known {
                    Endpoint::Tcp(address) => address.port() == port,
                    Endpoint::Unix(_) => false,
                })
        };
        let free = (address.port()..=u16::MAX)
            .skip(1)
            .find(|port| !claimed(*port))?;
        Some(format!("port {free} is not claimed by anyone here"))
    }
}

/// Whether two endpoints cannot be bound at once.
fn clash(a: &Endpoint, b: &Endpoint) -> bool {
    match (a, b) {
        (Endpoint::Tcp(a), Endpoint::Tcp(b)) => {
            let both = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() == b.port() && both
        }
        (Endpoint::Unix(a), Endpoint::Unix(b)) => a == b,
        (Endpoint::Tcp(_), Endpoint::Unix(_)) | (Endpoint::Unix(_), Endpoint::Tcp(_)) => false,
    }
}
