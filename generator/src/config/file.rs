//! The part of `doze.toml` that the core reads itself: names and meta keys.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{Endpoint, EngineName, InstanceName, ProjectName, Version, plan::OpenTo};

use super::{
    ConfigError, depend, duration,
    reader::{At, Reader, wrong_type},
    registries::{self, Registry},
    toml_tree::{self, Item, Table, Value},
};
use crate::diagnostic::{Code, Diagnostic, Source, Span, nearest};

/// What holds for an instance that does not say otherwise.
#[derive(Debug, Clone, Copy)]
struct Defaults {
    idle_timeout: Option<Duration>,
    open_to: OpenTo,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            idle_timeout: Some(Duration::from_mins(5)),
            open_to: OpenTo::default(),
        }
    }
}

/// A `doze.toml` whose own keys are read. It may still be wrong in what only drivers know.
#[derive(Debug)]
pub struct File {
    /// Its text, for pointing into it.
    pub source: Source,
    /// The project's name.
    pub name: ProjectName,
    /// Where engines and drivers come from, besides this machine.
    pub registries: Vec<Registry>,
    /// The blocks, in the order of the file.
    pub blocks: Vec<Block>,
    /// What is wrong so far.
    pub(super) problems: Vec<Diagnostic>,
}

/// One `[ENGINE.NAME]` block.
#[derive(Debug)]
pub struct Block {
    /// The instance's name.
    pub name: InstanceName,
    /// The engine's name, as it was written.
    pub engine: EngineName,
    /// Where the engine's name stands.
    pub(super) engine_span: Span,
    /// Where the instance's name stands.
    pub(super) name_span: Span,
    /// Whether it is a part of the project for now.
    pub enabled: bool,
    pub(super) version: Option<At<Version>>,
    pub(super) idle_timeout: Option<Duration>,
    /// The names of the instances that it needs.
    pub(super) depends_on: Vec<At<String>>,
    pub(super) open_to: OpenTo,
    pub(super) listens: Vec<At<Listen>>,
    /// Whether `port` or `listen` stands there, right or wrong.
    pub(super) has_address: bool,
    /// Whether `version` stands there, right or wrong.
    pub(super) has_version: bool,
    /// The engine's own keys.
    pub(super) rest: Table,
}

/// One address of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listen {
    /// A complete address.
    At(Endpoint),
    /// A unix socket in the instance's own folder, named as clients of the engine expect.
    DefaultUnix,
}

impl Block {
    /// The version that it asks for, if it says so rightly.
    pub fn declared(&self) -> Option<&Version> {
        self.version.as_ref().map(|at| &at.value)
    }
}

impl File {
    /// Reads the file. It fails only when not even the project's name can be told.
    pub fn read(path: &Utf8Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(Source {
            path: path.to_owned(),
            text,
        })
    }

    /// Reads the text of a file.
    pub fn parse(source: Source) -> Result<Self, ConfigError> {
        let (table, mut problems) = toml_tree::parse(&source.text);
        if !problems.is_empty() {
            // What a parser makes of the rest of broken text would only add noise.
            return Err(ConfigError::Wrong {
                source_text: source,
                problems,
            });
        }
        let mut reader = Reader::new("the project", table);
        let name = project_name(&mut reader, &source.path, &mut problems);
        let defaults = defaults(&mut reader, &mut problems);
        let registries = registries::registries(&mut reader, &mut problems);
        let blocks = blocks(&reader.into_rest(), defaults, &mut problems);
        match name {
            Some(name) => Ok(Self {
                source,
                name,
                registries,
                blocks,
                problems,
            }),
            None => Err(ConfigError::Wrong {
                source_text: source,
                problems,
            }),
        }
    }

    /// The block of an instance.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name.as_str() == name)
    }
}

/// `name`, else the name of the folder.
fn project_name(
    reader: &mut Reader,
    path: &Utf8Path,
    problems: &mut Vec<Diagnostic>,
) -> Option<ProjectName> {
    let before = problems.len();
    let (text, span) = match reader.text("name", problems) {
        Some(name) => (name.value, name.span),
        None if problems.len() > before => return None,
        None => {
            let folder = path
                .parent()
                .and_then(Utf8Path::file_name)
                .unwrap_or_default();
            (folder.to_owned(), 0..0)
        }
    };
    let from_folder = span == (0..0);
    match ProjectName::new(text.as_str()) {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("the project name {text:?} {error}");
            let found = Diagnostic::new(Code::Name, span, message);
            let hint = "it is the name of the folder; write `name = \"…\"` at the top of the file";
            problems.push(if from_folder { found.hint(hint) } else { found });
            None
        }
    }
}

/// `[defaults]`: what holds for all instances.
fn defaults(reader: &mut Reader, problems: &mut Vec<Diagnostic>) -> Defaults {
    let table = reader.typed("defaults", "a table", problems, |value| {
        value.as_table().cloned()
    });
    let Some(table) = table else {
        return Defaults::default();
    };
    let mut reader = Reader::new("[defaults]", table.value);
    let defaults = Defaults::default().changed(&mut reader, problems);
    reader.finish(problems);
    defaults
}

impl Defaults {
    /// With what a table says instead.
    fn changed(self, reader: &mut Reader, problems: &mut Vec<Diagnostic>) -> Self {
        Self {
            idle_timeout: idle_timeout(reader, self.idle_timeout, problems),
            open_to: open_to(reader, self.open_to, problems),
        }
    }
}

fn idle_timeout(
    reader: &mut Reader,
    default: Option<Duration>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Duration> {
    let expected = "a duration in quotes, such as \"5m\", or \"never\"";
    let read = |value: &Value| value.as_text().map(ToOwned::to_owned);
    let text = reader.typed("idle_timeout", expected, problems, read);
    let Some(text) = text else { return default };
    if text.value == "never" {
        return None;
    }
    match duration::parse(&text.value) {
        Ok(duration) => Some(duration),
        Err(error) => {
            let message = format!("{:?} is not a duration", text.value);
            let hint = format!("{error}; \"never\" keeps an instance awake");
            problems.push(Diagnostic::new(Code::Duration, text.span, message).hint(hint));
            default
        }
    }
}

fn open_to(reader: &mut Reader, default: OpenTo, problems: &mut Vec<Diagnostic>) -> OpenTo {
    let expected = "\"user\" or \"all\"";
    let read = |value: &Value| value.as_text().map(ToOwned::to_owned);
    let text = reader.typed("open_to", expected, problems, read);
    let Some(text) = text else { return default };
    match text.value.as_str() {
        "user" => OpenTo::User,
        "all" => OpenTo::All,
        other => {
            let message = format!("`open_to` cannot be `{other}`");
            let hint = match nearest(other, ["user", "all"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the values are user, all".into(),
            };
            problems.push(Diagnostic::new(Code::Value, text.span, message).hint(hint));
            default
        }
    }
}

/// All `[ENGINE.NAME]` blocks, in the order of the file.
fn blocks(table: &Table, defaults: Defaults, problems: &mut Vec<Diagnostic>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (word, item) in table.in_order() {
        let Value::Table(instances) = &item.value else {
            let message = format!("unknown key `{word}` in the project");
            let near = nearest(word, ["name", "defaults", "registries"]);
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let found = Diagnostic::new(Code::UnknownKey, item.key.clone(), message);
            problems.push(found.maybe_hint(hint));
            continue;
        };
        let engine = match EngineName::new(word) {
            Ok(engine) => engine,
            Err(error) => {
                let message = format!("the engine name {word:?} {error}");
                problems.push(Diagnostic::new(
                    Code::UnknownEngine,
                    item.key.clone(),
                    message,
                ));
                continue;
            }
        };
        for (name, inner) in instances.in_order() {
            blocks.extend(block(&engine, item, name, inner, defaults, problems));
        }
    }
    blocks.sort_by_key(|block| block.name_span.start);
    refuse_duplicates(&blocks, problems);
    depend::check(&blocks, problems);
    blocks
}

fn block(
    engine: &EngineName,
    outer: &Item,
    name: &str,
    item: &Item,
    defaults: Defaults,
    problems: &mut Vec<Diagnostic>,
) -> Option<Block> {
    let Value::Table(table) = &item.value else {
        let message = format!("`{engine}` needs a name for its instance");
        let hint = format!("write [{engine}.NAME]");
        let found = Diagnostic::new(Code::Missing, outer.key.clone(), message).hint(hint);
        if !problems.contains(&found) {
            problems.push(found);
        }
        return None;
    };
    let name = match InstanceName::new(name) {
        Ok(name) => name,
        Err(error) => {
            let message = format!("the instance name {name:?} {error}");
            problems.push(Diagnostic::new(Code::Name, item.key.clone(), message));
            return None;
        }
    };
    let mut reader = Reader::new(format!("`{name}`"), table.clone());
    let enabled = reader.typed("enabled", "true or false", problems, Value::as_boolean);
    let version = reader.take("version");
    let port = reader.take("port");
    let listen = reader.take("listen");
    let depends_on = reader.take("depends_on");
    let Defaults {
        idle_timeout,
        open_to,
    } = defaults.changed(&mut reader, problems);
    Some(Block {
        enabled: enabled.is_none_or(|at| at.value),
        has_version: version.is_some(),
        version: version.and_then(|item| self::version(&item, problems)),
        idle_timeout,
        open_to,
        depends_on: depends_on
            .map(|item| self::depends_on(item, problems))
            .unwrap_or_default(),
        has_address: port.is_some() || listen.is_some(),
        listens: port
            .and_then(|item| self::port(&item, problems))
            .into_iter()
            .chain(
                listen
                    .map(|item| listens(item, problems))
                    .unwrap_or_default(),
            )
            .collect(),
        engine: engine.clone(),
        engine_span: outer.key.clone(),
        name_span: item.key.clone(),
        rest: reader.into_rest(),
        name,
    })
}

/// A version as it stands in a file: one with a dot needs quotes, for TOML would read a number.
pub fn version_in_toml(version: &Version) -> String {
    let text = version.to_string();
    if text.contains('.') {
        format!("\"{text}\"")
    } else {
        text
    }
}

fn version(item: &Item, problems: &mut Vec<Diagnostic>) -> Option<At<Version>> {
    let text = match &item.value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(text) => {
            // 17.10 and 17.1 are the same number but not the same version.
            let message = "a version with a dot has to be in quotes";
            let found = Diagnostic::new(Code::Value, item.span.clone(), message);
            problems.push(found.hint(format!("write version = \"{text}\"")));
            return None;
        }
        Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            problems.push(wrong_type("version", "a number or a string", item));
            return None;
        }
    };
    match Version::new(&text) {
        Ok(version) => Some(At {
            span: item.span.clone(),
            value: version,
        }),
        Err(error) => {
            let message = format!("{text:?} {error}");
            problems.push(Diagnostic::new(Code::Value, item.span.clone(), message));
            None
        }
    }
}

fn port(item: &Item, problems: &mut Vec<Diagnostic>) -> Option<At<Listen>> {
    let port = item
        .value
        .as_integer()
        .and_then(|number| u16::try_from(number).ok());
    let Some(port) = port.filter(|port| *port != 0) else {
        let mut found = wrong_type("port", "a whole number from 1 to 65535", item);
        if item.value.as_integer().is_some() {
            found.at.text.clear();
        }
        problems.push(found);
        return None;
    };
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    Some(At {
        span: item.span.clone(),
        value: Listen::At(Endpoint::Tcp(address)),
    })
}

fn listens(item: Item, problems: &mut Vec<Diagnostic>) -> Vec<At<Listen>> {
    one_or_many(item)
        .iter()
        .filter_map(|item| listen(item, problems))
        .collect()
}

fn depends_on(item: Item, problems: &mut Vec<Diagnostic>) -> Vec<At<String>> {
    let name = |item: &Item| {
        let Some(name) = item.value.as_text() else {
            problems.push(wrong_type("depends_on", TEXTS, item));
            return None;
        };
        Some(At {
            span: item.span.clone(),
            value: name.to_owned(),
        })
    };
    one_or_many(item).iter().filter_map(name).collect()
}

/// What [`one_or_many`] should have found.
const TEXTS: &str = "a string or an array of strings";

fn one_or_many(item: Item) -> Vec<Item> {
    if let Value::Array(items) = item.value {
        items
    } else {
        vec![item]
    }
}

fn listen(item: &Item, problems: &mut Vec<Diagnostic>) -> Option<At<Listen>> {
    let Value::Text(text) = &item.value else {
        problems.push(wrong_type("listen", TEXTS, item));
        return None;
    };
    let value = match text.as_str() {
        "unix" => Listen::DefaultUnix,
        text => match text.parse() {
            Ok(endpoint) => Listen::At(endpoint),
            Err(error) => {
                let long = matches!(error, doze_contract::endpoint::EndpointError::TooLong(_));
                let code = if long { Code::PathTooLong } else { Code::Value };
                let message = format!("{text:?} {error}");
                let hint = long.then(|| "\"unix\" alone picks a path that fits".to_owned());
                let found = Diagnostic::new(code, item.span.clone(), message);
                problems.push(found.maybe_hint(hint));
                return None;
            }
        },
    };
    Some(At {
        span: item.span.clone(),
        value,
    })
}

fn refuse_duplicates(blocks: &[Block], problems: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&InstanceName, &Block> = BTreeMap::new();
    for block in blocks {
        if let Some(first) = seen.get(&block.name) {
            let message = format!("there are two instances called `{}`", block.name);
            let found = Diagnostic::new(Code::Duplicate, block.name_span.clone(), message)
                .label("and this one")
                .see(first.name_span.clone(), "this one")
                .hint("an instance is called by its name alone, so names are unique in a project");
            problems.push(found);
        }
        seen.entry(&block.name).or_insert(block);
    }
}
