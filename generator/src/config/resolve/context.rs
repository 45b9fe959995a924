//! A block together with what its driver knows: its addresses, its programs, its own keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use doze_contract::{
    Endpoint, EngineName, Version,
    endpoint::EndpointError,
    plan::{Body, Start},
    protocol::{Check, Description, Problem, Toolchain},
};

use crate::{
    config::{
        File,
        block::{Block, Listen, META_KEYS, version_in_toml},
        reader::At,
        scope::Evaluated,
        toml_tree::{Table, Value},
    },
    diagnostic::{Code, Diagnostic, Span, nearest},
    dirs::Dirs,
    drivers::{DriverError, Drivers},
    toolchain::{Origin, Toolchains, install, newest_known, variable},
};

/// In place of an address that cannot be read.
const UNREAD: Endpoint = Endpoint::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

/// A block with what is known about its engine.
pub(super) struct Context<'a> {
    pub(super) file: &'a File,
    pub(super) block: &'a Block,
    pub(super) description: &'a Description,
}

impl Context<'_> {
    pub(super) fn endpoints(
        &self,
        dirs: &Dirs,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<(Endpoint, Span)> {
        let block = self.block;
        if let (false, Some(port)) = (block.has_address, self.description.default_port) {
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

    pub(super) fn toolchain(
        &self,
        toolchains: &Toolchains,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<(Toolchain, Origin)> {
        let (block, search) = (self.block, &self.description.toolchain);
        let found = || toolchains.of(&block.engine, search);
        if self.description.majors.is_empty() {
            if let Some(version) = &block.version {
                let message = format!("{} has no versions", block.engine);
                problems.push(
                    Diagnostic::new(Code::Value, version.span.clone(), message)
                        .hint("take `version` out"),
                );
            }
            return None;
        }
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
            "{}, or set {} to the folder of its programs",
            install(&self.description.toolchain),
            variable(&self.block.engine),
        )
    }

    /// The normalised block. What a driver says of a value that is missing here only because it
    /// could not be evaluated is nothing new.
    pub(super) fn check(
        &self,
        own: &Evaluated<Table>,
        endpoints: &[(Endpoint, Span)],
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
        let version = declared.or(self.description.majors.last()).cloned();
        let check = Check {
            instance: block.name.clone(),
            version,
            block: json.collect(),
            endpoints: endpoints.iter().map(|(at, _)| at.clone()).collect(),
        };
        // Nobody is to miss an address that is there and wrong.
        let check = Check {
            endpoints: match check.endpoints {
                none if none.is_empty() && block.has_address => vec![UNREAD],
                some => some,
            },
            ..check
        };
        let checked = drivers.check(&block.engine, check)?;
        let sound = checked.problems.is_empty() && own.sound;
        let told = checked.problems.into_iter();
        let told = told.filter(|problem| own.sound || own.value.locate(&problem.at).is_some());
        problems.extend(told.map(|problem| self.place(&own.value, problem)));
        Ok(sound.then_some(checked.block))
    }

    /// Refuses unix endpoints of an instance that binds its endpoints itself: their paths are held
    /// by the init system, or by nobody.
    pub(super) fn refuse_paths(
        &self,
        body: &Body,
        endpoints: &[(Endpoint, Span)],
        problems: &mut Vec<Diagnostic>,
    ) {
        if body.start == Start::OnDemand {
            return;
        }
        for (endpoint, span) in endpoints {
            if let Endpoint::Unix(path) = endpoint {
                let message = format!(
                    "`{}` starts with the project, and nobody holds {path} for it",
                    self.block.name
                );
                let found = Diagnostic::new(Code::Value, span.clone(), message);
                problems.push(found.hint("give it a `port`, or let its clients start it"));
            }
        }
    }

    /// The addresses besides the endpoints, each where its port stands in the block; for the driver
    /// has made them of its own keys, or of nothing.
    pub(super) fn side(&self, own: &Table, body: &Body) -> Vec<(Endpoint, Span)> {
        let place = |endpoint: &Endpoint| {
            let mut items = own.0.values();
            let item = items.find(|item| is_of(&item.value, endpoint));
            item.map_or(&self.block.name_span, |item| &item.span)
                .clone()
        };
        let side = body.side.iter().map(|side| &side.endpoint);
        side.map(|at| (at.clone(), place(at))).collect()
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

/// Whether this value says where an endpoint is: its port, or all of it.
fn is_of(value: &Value, endpoint: &Endpoint) -> bool {
    let Endpoint::Tcp(address) = endpoint else {
        return false;
    };
    let port = i64::from(address.port());
    value.as_integer() == Some(port) || value.as_text() == Some(address.to_string().as_str())
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

pub(super) fn unknown_engine(
    block: &Block,
    drivers: &Drivers,
    toolchains: &Toolchains,
) -> Diagnostic {
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
