//! From a file whose own keys are read to a project in which everything is right.

mod claims;
mod context;

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::{
    Endpoint, EngineName, InstanceName,
    plan::{Body, OpenTo},
    protocol::{Description, PlanCall},
};

use self::{
    claims::Claims,
    context::{Context, unknown_engine},
};
use super::{
    ConfigError, File, Instance, Need, Output, Programs, Project,
    block::Block,
    depend,
    scope::{Evaluator, Instances, Visible},
};
use crate::{
    diagnostic::Diagnostic,
    dirs::Dirs,
    drivers::{DriverError, Drivers},
    expression::Known,
    toolchain::Toolchains,
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
        self.known.insert(block.name.to_string(), None);
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
        // An address that is wrong was told when it was read.
        let lost = block.has_address && endpoints.is_empty();
        let reachable = problems.len() == before && !lost;
        let toolchain = context.toolchain(self.toolchains, problems);
        let own = self
            .evaluator
            .table(&block.rest, &self.visible(Some(block)), problems);
        let normal = context.check(&own, &endpoints, self.drivers, problems)?;
        if !block.enabled {
            return Ok(None);
        }
        let refuses_root = description.refuses_root;
        self.claims.add(self.file, block, &endpoints, problems);
        let places = endpoints;
        let endpoints: Vec<_> = places
            .iter()
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        let programs = match (toolchain, &block.version) {
            (Some((toolchain, origin)), Some(version)) => Some(Programs {
                version: version.value.clone(),
                toolchain,
                origin,
            }),
            _ if description.majors.is_empty() => None,
            _ => return Ok(None),
        };
        let Some(normal) = normal else {
            return Ok(None);
        };
        // One that is wrong has been told where it was read.
        let unread = block.has_address && endpoints.is_empty();
        if !reachable || unread {
            return Ok(None);
        }
        let paths = self.dirs.instance(&self.file.name, &block.name);
        let call = PlanCall {
            project: self.file.name.clone(),
            instance: block.name.clone(),
            block: normal,
            toolchain: programs.as_ref().map(|programs| programs.toolchain.clone()),
            folder: self.file.sources.folder(&block.name_span).to_owned(),
            endpoints: endpoints.clone(),
            // Whom that serves is one thing, and whether the engine may accept them itself another.
            open_to: if self.dirs.init.can_hand_over() {
                block.open_to
            } else {
                OpenTo::User
            },
            data: paths.data,
            run: paths.run,
        };
        let body = self.drivers.plan(&block.engine, call)?;
        context.refuse_paths(&body, &places, problems);
        let side = context.side(&own.value, &body);
        self.claims.add(self.file, block, &side, problems);
        let attributes = attributes(block, &endpoints, &body, own.sensitive);
        self.known.insert(block.name.to_string(), Some(attributes));
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
            programs,
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
    if let Some(url) = &body.connection.url {
        add("url", url.as_str().into(), sensitive);
    }
    if let Some(variable) = &body.connection.variable {
        add("env_var", variable.as_str().into(), false);
    }
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
