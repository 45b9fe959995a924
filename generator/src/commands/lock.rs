//! `doze lock`: what the project is pinned to, for every target; and moving the pins.

use std::collections::BTreeMap;

use doze_contract::exit::Exit;
use doze_registry::pins::{Pins, Source};

use super::Context;
use crate::{
    failure::Failure,
    output::print_lines,
    supply::{Reach, Supply},
};

/// Pins what is not pinned, and adds the digests of all targets.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let (mut supply, before) = open(context)?;
    resolve(context, &mut supply)?;
    supply.complete()?;
    supply.write()?;
    say(&before, supply.pins())
}

/// Chooses everything anew.
pub(super) fn upgrade(context: &Context, check: bool) -> Result<(), Failure> {
    let (mut supply, before) = open(context)?;
    supply.unpin();
    resolve(context, &mut supply)?;
    supply.complete()?;
    if !check {
        supply.write()?;
    }
    let changed = !changes(&before, supply.pins()).is_empty();
    say(&before, supply.pins())?;
    if check && changed {
        return Err(Failure::Told(Exit::Drift));
    }
    Ok(())
}

fn open(context: &Context) -> Result<(Supply, Pins), Failure> {
    let supply = Supply::open(&context.file()?, &context.dirs, Reach::Registries)?;
    let before = supply.pins().clone();
    Ok((supply, before))
}

/// Drivers and programs are needed as well, for only they tell which version a system has.
fn resolve(context: &Context, supply: &mut Supply) -> Result<(), Failure> {
    let mut drivers = context.drivers()?;
    context.resolve(context.file()?, &mut drivers, supply)?;
    Ok(())
}

fn say(before: &Pins, after: &Pins) -> Result<(), Failure> {
    print_lines(&changes(before, after)).map_err(Failure::io("print"))
}

/// What moved, appeared and went.
fn changes(before: &Pins, after: &Pins) -> Vec<String> {
    let (before, after) = (facts(before), facts(after));
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let line = |name: &&String| match (before.get(*name), after.get(*name)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => Some(format!("{name}: {old} -> {new}")),
        (None, Some(new)) => Some(format!("{name}: {new}")),
        (Some(old), None) => Some(format!("{name}: {old}, not declared any more")),
        (None, None) => None,
    };
    names.iter().filter_map(line).collect()
}

/// What is pinned, for people.
fn facts(pins: &Pins) -> BTreeMap<String, String> {
    let engines = pins.engines.iter().flat_map(|(engine, pins)| {
        pins.iter().map(move |(declared, pin)| {
            let source = match &pin.source {
                Source::System => "the operating system".to_owned(),
                Source::Registry(archives) => archives.registry.to_string(),
            };
            let what = format!("{} from {source}", pin.version);
            (format!("{engine} {declared}"), what)
        })
    });
    let modules = pins.modules.iter().map(|(engine, pin)| {
        let what = format!("{} from {}", pin.version, pin.archives.registry);
        (format!("driver of {engine}"), what)
    });
    engines.chain(modules).collect()
}
