//! One `[ENGINE.NAME]` block: the part of it that the core reads itself.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use doze_contract::{Endpoint, EngineName, InstanceName, Version, duration, plan::OpenTo};
use doze_units::Limits;

use super::{
    depend::{self, Need},
    limits,
    reader::{At, Reader, wrong_type},
    scope::{Evaluator, Stamp, Visible},
    stamp,
    toml_tree::{Item, Table, Value},
};
use crate::diagnostic::{Code, Diagnostic, Span, nearest};

/// The keys that the core reads in every block.
pub(super) const META_KEYS: [&str; 10] = [
    "version",
    "port",
    "listen",
    "count",
    "for_each",
    "depends_on",
    "enabled",
    "idle_timeout",
    "open_to",
    "limits",
];

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
    /// What it says and refers to of other instances.
    pub(super) needs: Vec<Need>,
    pub(super) limits: Limits,
    /// What it knows of itself, if it is one of several of its block.
    pub(super) stamp: Stamp,
    pub(super) open_to: OpenTo,
    pub(super) listens: Vec<At<Listen>>,
    /// Whether `port` or `listen` stands there, right or wrong.
    pub(super) has_address: bool,
    /// Whether `version` stands there, right or wrong.
    pub(super) has_version: bool,
    /// The engine's own keys, with their expressions; one table for all stamps of a block.
    pub(super) rest: Rc<Table>,
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

/// What holds for an instance that does not say otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
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

/// `[defaults]`: what holds for all instances.
pub(super) fn defaults(
    reader: &mut Reader,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Defaults {
    let table = reader.typed("defaults", "a table", problems, |value| {
        value.as_table().cloned()
    });
    let Some(table) = table else {
        return Defaults::default();
    };
    let table = evaluator.table(&table.value, visible, problems);
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

/// All instances that a block makes.
pub(super) fn instances(
    engine: &EngineName,
    outer: &Item,
    name: &str,
    item: &Item,
    reading: &Reading<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Block> {
    let Value::Table(table) = &item.value else {
        let message = format!("`{engine}` needs a name for its instance");
        let hint = format!("write [{engine}.NAME]");
        let found = Diagnostic::new(Code::Missing, outer.key.clone(), message).hint(hint);
        if !problems.contains(&found) {
            problems.push(found);
        }
        return Vec::new();
    };
    let mut meta = table.clone();
    let rest = meta
        .0
        .extract_if(.., |key, _| !META_KEYS.contains(&key.as_str()));
    let rest = Rc::new(Table(rest.collect()));
    let (count, for_each) = (meta.0.remove("count"), meta.0.remove("for_each"));
    let stamps = stamp::stamps(
        name,
        count.as_ref(),
        for_each.as_ref(),
        &reading.visible,
        reading.evaluator,
        problems,
    );
    let mut blocks = Vec::with_capacity(stamps.len());
    for (name, stamp) in stamps {
        let name = match InstanceName::new(name.as_str()) {
            Ok(name) => name,
            Err(error) => {
                let message = format!("the instance name {name:?} {error}");
                problems.push(Diagnostic::new(Code::Name, item.key.clone(), message));
                break;
            }
        };
        let place = (outer.key.clone(), item.key.clone());
        blocks.push(block(
            engine.clone(),
            name,
            place,
            &meta,
            &rest,
            stamp,
            reading,
            problems,
        ));
    }
    blocks
}

/// What blocks are read with.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) visible: Visible<'a>,
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) defaults: Defaults,
}

#[expect(clippy::too_many_arguments, reason = "a block is made of all of them")]
fn block(
    engine: EngineName,
    name: InstanceName,
    (engine_span, name_span): (Span, Span),
    meta: &Table,
    rest: &Rc<Table>,
    stamp: Stamp,
    reading: &Reading<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Block {
    let (has_version, has_address) = (
        meta.0.contains_key("version"),
        meta.0.contains_key("port") || meta.0.contains_key("listen"),
    );
    let visible = Visible {
        stamp: Some(&stamp),
        ..reading.visible
    };
    let meta = reading.evaluator.table(meta, &visible, problems).value;
    let mut needs = depend::referred(rest, &visible, reading.evaluator, problems);
    let mut reader = Reader::new(format!("`{name}`"), meta);
    let enabled = reader.typed("enabled", "true or false", problems, Value::as_boolean);
    let version = reader.take("version");
    let port = reader.take("port");
    let listen = reader.take("listen");
    if let Some(item) = reader.take("depends_on") {
        needs.extend(depend::declared(item, problems));
    }
    let limits = reader.take("limits");
    let Defaults {
        idle_timeout,
        open_to,
    } = reading.defaults.changed(&mut reader, problems);
    Block {
        enabled: enabled.is_none_or(|at| at.value),
        has_version,
        version: version.and_then(|item| self::version(&item, problems)),
        idle_timeout,
        open_to,
        needs,
        limits: limits
            .map(|item| limits::limits(&item, problems))
            .unwrap_or_default(),
        has_address,
        listens: port
            .and_then(|item| self::port(&item, problems))
            .into_iter()
            .chain(
                listen
                    .map(|item| listens(item, problems))
                    .unwrap_or_default(),
            )
            .collect(),
        engine,
        engine_span,
        name_span,
        rest: Rc::clone(rest),
        stamp,
        name,
    }
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
        Value::Expression(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
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

/// What [`one_or_many`] should have found.
pub(super) const TEXTS: &str = "a string or an array of strings";

pub(super) fn one_or_many(item: Item) -> Vec<Item> {
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
