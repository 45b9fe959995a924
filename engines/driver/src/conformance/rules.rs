//! The rules that every driver has to keep, put to its program. It must not know any engine.

mod blocks;
mod converging;
mod description;
mod plans;
mod refusals;
mod running;
mod secrets;
mod stage;
mod talk;

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, Version,
    plan::Start,
    protocol::{Description, Toolchain},
};
use serde_json::{Map, Value};

use stage::Stage;

use super::{
    Finding, Outcome, Practice, Session, World, WorldError,
    door::Door,
    report::{Flaw, Rules},
    toolchain::not_shown,
};

/// A driver to be tested, and with what.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The driver, as an absolute path.
    pub program: Utf8PathBuf,
    /// The engine to run, or why there is none; of no matter if the engine has no versions.
    pub toolchain: Result<Toolchain, String>,
    /// A right block, best one that uses as many keys as possible.
    pub block: Map<String, Value>,
    /// The texts in it that nobody else may see. Without any, keys that are called `password`,
    /// `secret` or `token` are given some.
    pub secrets: Vec<String>,
    /// How the engine is used, from somebody who knows it. Without it the rules that take clients
    /// are not run.
    pub practice: Option<Practice>,
}

/// Puts every rule to the test and tells what comes of each.
///
/// # Errors
/// If the surroundings fail the test. Whatever is up to the driver is a finding.
pub fn test(subject: &Subject, told: &mut dyn FnMut(Finding)) -> Result<(), WorldError> {
    let mut rules = Rules::new(told);
    let program = subject.program.as_path();
    let Ok(about) = talk::describe(&mut rules, program) else {
        return Ok(());
    };
    let subject = &{
        let mut whole = subject.clone();
        whole.block.extend(needed(&about, &subject.block));
        whole
    };
    if description::majors(&mut rules, &about).is_err() {
        return Ok(());
    }
    let newest = about.majors.last().cloned();
    // They take their time, so the rest goes on meanwhile.
    let refusals = refusals::start(program)?;
    talk::check(&mut rules, program, &about);
    description::check(&mut rules, &about);

    let imagined = newest.map(|newest| imagined(&about, newest));
    let world = World::new(program, imagined.as_ref())?;
    blocks::check(&mut rules, &world, subject);
    let hello = plans::check(&mut rules, &world, subject);

    let stage = match &subject.toolchain {
        _ if about.majors.is_empty() => Ok(stage(World::new(program, None)?, subject)?),
        Ok(toolchain) => Ok(stage(World::new(program, toolchain)?, subject)?),
        Err(why) => Err(Flaw::Missing(why.clone())),
    };
    running::check(&mut rules, stage.as_ref(), subject);
    refusals::check(&mut rules, program, refusals, &hello);
    Ok(())
}

/// The world with a door for its first endpoint. What starts with its project binds its endpoints
/// itself, and so has none.
fn stage(world: World, subject: &Subject) -> Result<Stage<'_>, WorldError> {
    let door = Door::open()?;
    let mut endpoints = world.endpoints().to_vec();
    if let Some(first) = endpoints.first_mut() {
        *first = Endpoint::tcp(door.address())?;
    }
    let world = world.at(endpoints);
    let plan = world.plan("app", &subject.block);
    let by_itself = plan.is_ok_and(|plan| matches!(plan.body.start, Start::WithProject(_)));
    let world = if by_itself {
        world.at(Vec::new())
    } else {
        world
    };
    Ok(Stage::new(world, door, subject))
}

/// As [`test`], and gives the rules that are not known to be kept, for the tests of a driver. What
/// takes a program that is not here is said to be skipped.
///
/// # Errors
/// As [`test`].
pub fn broken(subject: &Subject) -> Result<Vec<String>, WorldError> {
    let mut found = Vec::new();
    test(subject, &mut |finding| match &finding.outcome {
        Outcome::Broken(_) | Outcome::NotRun(_) => found.push(finding.to_string()),
        Outcome::Missing(what) => not_shown(&format!("{}: {what}", finding.rule)),
        Outcome::Kept | Outcome::Unfit(_) => {}
    })?;
    Ok(found)
}

/// What no instance can do without: as `given`, else the first example that the schema tells.
fn needed(about: &Description, given: &Map<String, Value>) -> Map<String, Value> {
    let required = about.schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let entry = |name: &str| {
        let property = about.schema.get("properties")?.get(name)?;
        let value = given.get(name).or(property.pointer("/examples/0"))?;
        Some((name.to_owned(), value.clone()))
    };
    names.filter_map(entry).collect()
}

/// A toolchain that is not there, for what may not look at the machine.
fn imagined(about: &Description, version: Version) -> Toolchain {
    let folder = Utf8PathBuf::from("/nonexistent/engine/bin");
    let server = about.toolchain.servers.first();
    Toolchain {
        server: folder.join(server.map_or("server", String::as_str)),
        folder,
        version,
    }
}

fn session(program: &Utf8Path) -> Result<Session, Flaw> {
    Ok(Session::start(&[], program)?)
}

/// The keys that a schema tells, with what it says of each.
fn properties(about: &Description) -> Vec<(&str, &Value)> {
    let properties = about.schema.get("properties").and_then(Value::as_object);
    let pairs = properties.into_iter().flatten();
    pairs.map(|(name, value)| (name.as_str(), value)).collect()
}
