//! Passwords: they may hold anything, and nobody else may see them. It must not know which keys of an
//! engine are some.

use doze_contract::{Plan, plan::Member};
use serde_json::{Map, Value, json};

use super::{Subject, needed, properties, running::NAME, stage::Stage};
use crate::conformance::{
    World,
    report::{Flaw, Rules, boxed, demand},
};

/// What a password is in a plan that is made to look for it.
const SECRET: &str = "xyzzy-4711";

/// What SQL, shells, URLs, units and configuration files treat in their own ways.
pub(super) const HOSTILE: [&str; 3] = [
    r#"it's "a" \n \x41 %s 100% $HOME ${x} `id` #;&@:/?=,+"#,
    "--größe → 漢字",
    " blank at both ends ",
];

/// A block with passwords, and these.
type Secretive = (Map<String, Value>, Vec<String>);

/// The passwords of the subject, or some that are made up for the keys that are called so.
fn secretive(world: &World, subject: &Subject) -> Result<Secretive, Flaw> {
    let own = |member: &Member| member.own.is_some();
    let plan = world.plan("app", &subject.block)?;
    if plan.body.members.iter().all(own) {
        return Err(Flaw::unfit("the program is the user's own"));
    }
    if subject.secrets.is_empty() {
        guessed(world, subject)
    } else {
        Ok((subject.block.clone(), subject.secrets.clone()))
    }
}

/// Command lines can be read by every user of the machine, and environments by whatever the user runs. A
/// client has no better place for a password than its environment.
pub(super) fn planned(rules: &mut Rules<'_>, world: &World, subject: &Subject) {
    rules.last(
        "plan: no secret on a command line or in an environment",
        || {
            let (block, secrets) = secretive(world, subject)?;
            seclusion(&world.plan("app", &block)?, &secrets)
        },
    );
    rules.last("plan: any text is a password, and stays one", || {
        let (block, secrets) = secretive(world, subject)?;
        for text in HOSTILE {
            let (block, secrets) = replaced(&block, &secrets, text);
            seclusion(&world.plan("app", &block)?, &secrets)?;
        }
        Ok(())
    });
}

/// Such passwords in the engine itself.
pub(super) fn check<'a>(
    rules: &mut Rules<'_>,
    again: impl Fn() -> Result<(&'a Stage<'a>, &'a Plan), Flaw>,
    subject: &Subject,
) {
    let let_in = rules.rule(
        "password: with any text for one the engine boots and converges",
        || {
            let (stage, _) = again()?;
            let world = &stage.world;
            let (block, secrets) = secretive(world, subject)?;
            let mut let_in = Ok(());
            for text in HOSTILE {
                let plan = world.plan(NAME, &replaced(&block, &secrets, text).0)?;
                world.provision(&plan)?;
                let engine = stage.boot(&plan)?;
                if plan.body.converge.is_some() {
                    world.converge(engine.plan(), false)?;
                }
                let_in = let_in.and_then(|()| stage.fetch(engine.plan()));
                engine.stop().map_err(boxed)?;
            }
            Ok(let_in)
        },
    );
    rules.last("password: clients are let in with it", || let_in?);
}

fn seclusion(plan: &Plan, secrets: &[String]) -> Result<(), Flaw> {
    let mut words = Vec::new();
    for member in &plan.body.members {
        words.extend(&member.argv);
        words.extend(member.env.iter().flat_map(|(name, value)| [name, value]));
    }
    let client = plan.body.connection.client.iter();
    words.extend(client.flat_map(|client| &client.args));
    for word in words {
        demand(secrets.iter().all(|secret| !word.contains(secret)), || {
            format!("there is one in {word:?}")
        })?;
    }
    Ok(())
}

/// The block with other secrets, each of which begins with `text`. No two are the same.
fn replaced(block: &Map<String, Value>, secrets: &[String], text: &str) -> Secretive {
    let numbered = |number| match number {
        0 => text.to_owned(),
        _ => format!("{text}{number}"),
    };
    let others: Vec<_> = (0..secrets.len()).map(numbered).collect();
    let entries = block.iter();
    let block = entries.map(|(key, value)| (key.clone(), exchanged(value, secrets, &others)));
    (block.collect(), others)
}

/// A value in which each of some texts is another one.
fn exchanged(value: &Value, texts: &[String], others: &[String]) -> Value {
    match value {
        Value::String(text) => {
            let found = texts.iter().position(|it| it == text);
            let other = found.and_then(|at| others.get(at));
            Value::from(other.unwrap_or(text).as_str())
        }
        Value::Array(values) => values
            .iter()
            .map(|it| exchanged(it, texts, others))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), exchanged(value, texts, others)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A block with a secret for each key that is called so, in tables with names as well.
fn guessed(world: &World, subject: &Subject) -> Result<(Map<String, Value>, Vec<String>), Flaw> {
    let of = |properties: Vec<(&str, &Value)>| -> Map<_, _> {
        properties
            .into_iter()
            .filter(|(name, property)| is_called(name) && property.get("enum").is_none())
            .map(|(name, _)| (name.to_owned(), Value::from(SECRET)))
            .collect()
    };
    let mut block = of(properties(world.description()));
    for (name, property) in properties(world.description()) {
        let keys = property.pointer("/additionalProperties/properties");
        let keys = keys.and_then(Value::as_object).into_iter().flatten();
        let table = of(keys.map(|(name, key)| (name.as_str(), key)).collect());
        if !table.is_empty() {
            block.insert(name.to_owned(), json!({ "x": table }));
        }
    }
    if block.is_empty() {
        let why = "no key is called password, secret or token";
        return Err(Flaw::NotRun(why.to_owned()));
    }
    block.extend(needed(world.description(), &subject.block));
    Ok((block, vec![SECRET.to_owned()]))
}

fn is_called(name: &str) -> bool {
    ["password", "secret", "token"]
        .iter()
        .any(|it| name.contains(it))
}
