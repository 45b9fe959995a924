//! What `check` says of blocks that follow from the schema alone. It must not know any engine's
//! keys.

use doze_contract::{
    InstanceName,
    protocol::{Check, Checked, Problem},
};
use serde_json::{Map, Value, json};

use super::{Subject, needed, properties};
use crate::conformance::{
    Session, World,
    report::{Flaw, Rules, demand, same},
};

/// A value that no message may repeat.
const SECRET: &str = "xyzzy-4711";

pub(super) fn check(rules: &mut Rules<'_>, world: &World, subject: &Subject) {
    let needed = || needed(world.description(), &subject.block);
    rules.last(
        "check: the same answer each time, in another process as well",
        || {
            for block in [needed(), unknown()] {
                let once = ask(world, &mut world.session()?, block.clone())?;
                let again = ask(world, &mut world.session()?, block)?;
                same(&again, &once)?;
            }
            Ok(())
        },
    );
    rules.last(
        "check: every default that the schema tells is filled in, and right",
        || {
            let mut session = world.session()?;
            let filled = ask(world, &mut session, needed())?.block;
            for (name, property) in properties(world.description()) {
                let Some(default) = property.get("default") else {
                    continue;
                };
                demand(filled.get(name) == Some(default), || {
                    format!(
                        "expected {name} = {default}\ncame     {:?}",
                        filled.get(name)
                    )
                })?;
                let mut alone = needed();
                alone.insert(name.to_owned(), default.clone());
                let problems = ask(world, &mut session, alone)?.problems;
                demand(problems.is_empty(), || {
                    format!("{name} = {default}: {problems:?}")
                })?;
            }
            Ok(())
        },
    );
    rules.last(
        "check: what it answered is right, and stays as it is",
        || {
            let mut session = world.session()?;
            let Value::Object(block) = ask(world, &mut session, needed())?.block else {
                return Err(Flaw::Broken("the block is no object".to_owned()));
            };
            let again = ask(world, &mut session, block.clone())?;
            demand(again.problems.is_empty(), || {
                format!("{:?}", again.problems)
            })?;
            same(&again.block, &Value::Object(block))
        },
    );
    rules.last("check: a wrong value is told with its path", || {
        let mut session = world.session()?;
        for (name, property) in properties(world.description()) {
            let takes_lists = match property.get("type") {
                Some(Value::Array(kinds)) => kinds.contains(&json!("array")),
                kind => kind == Some(&json!("array")),
            };
            let wrong = if takes_lists { json!({}) } else { json!([]) };
            let block = Map::from_iter([(name.to_owned(), wrong)]);
            told(&ask(world, &mut session, block)?, name, false)?;
        }
        Ok(())
    });
    rules.last(
        "check: unknown keys are told with their paths, all at once",
        || {
            let mut session = world.session()?;
            let block = unknown();
            let checked = ask(world, &mut session, block.clone())?;
            block.keys().try_for_each(|name| told(&checked, name, true))
        },
    );
    rules.last(
        "check: no problem repeats a value that may be a secret",
        || {
            let mut session = world.session()?;
            for (name, property) in properties(world.description()) {
                // Who may choose from a list chooses no secret.
                if property.get("enum").is_some() {
                    continue;
                }
                let text = format!("{SECRET}\0\n");
                for value in [
                    json!(text),
                    json!([SECRET]),
                    json!({ "x": { "password": [SECRET], "settings": text } }),
                    json!({ "x": text, "y": [SECRET] }),
                ] {
                    let block = Map::from_iter([(name.to_owned(), value)]);
                    for Problem { message, hint, .. } in ask(world, &mut session, block)?.problems {
                        let said = format!("{message} {}", hint.unwrap_or_default());
                        demand(!said.contains(SECRET), || format!("`{name}`: {said}"))?;
                    }
                }
            }
            Ok(())
        },
    );
}

/// Keys that no engine has.
fn unknown() -> Map<String, Value> {
    ["no such key", "%s", ""]
        .map(|name| (name.to_owned(), json!(1)))
        .into_iter()
        .collect()
}

fn told(checked: &Checked, name: &str, key: bool) -> Result<(), Flaw> {
    let here = |p: &Problem| p.at == [name] && p.key == key;
    demand(checked.problems.iter().any(here), || {
        format!(
            "expected a problem with \"at\": [{name:?}], \"key\": {key}\ncame     {:?}",
            checked.problems
        )
    })
}

fn ask(world: &World, session: &mut Session, block: Map<String, Value>) -> Result<Checked, Flaw> {
    let call = Check {
        instance: InstanceName::new("app")?,
        version: world.version().cloned(),
        block,
        endpoints: world.endpoints().to_vec(),
    };
    Ok(session.check(call)?)
}
