//! What a plan has to be, without running it. It must not know any engine.

use camino::Utf8Path;
use doze_contract::{
    Endpoint, Plan,
    plan::{Hello, Member, Readiness, Start},
};
use serde_json::{Map, Value, json};

use super::{Subject, needed, properties};
use crate::conformance::{
    World,
    report::{Flaw, Rules, demand, same},
};

/// What a password is in a plan that is made to look for it.
const SECRET: &str = "xyzzy-4711";

/// Puts the rules of plans to the test, and gives what a client of the engine says first.
pub(super) fn check(
    rules: &mut Rules<'_>,
    world: &World,
    subject: &Subject,
) -> Result<Hello, Flaw> {
    let plan = rules.rule(
        "plan: made for programs and folders that are not there",
        || Ok(world.plan("app", &subject.block)?),
    );
    let plan = plan.as_ref().map_err(Clone::clone);
    rules.last(
        "plan: the same answer each time, in another process as well",
        || same(&world.plan("app", &subject.block)?, plan.clone()?),
    );
    rules.last(
        "plan: writes and listens in the run folder, works in its own folders",
        || paths(plan.clone()?),
    );
    rules.last(
        "plan: a program to spawn, an absolute path, with time to start and to stop",
        || members(plan.clone()?),
    );
    rules.last(
        "plan: a start, an upstream and a readiness that agree",
        || agreement(plan.clone()?),
    );
    rules.last("plan: a hello whose answer can be recognised", || {
        let hello = said_first(plan.clone()?)?;
        demand(!hello.ready.0.is_empty(), || "`ready` is empty".to_owned())?;
        demand(hello.busy.iter().all(|busy| !busy.0.is_empty()), || {
            "one of `busy` is empty".to_owned()
        })
    });
    rules.last(
        "plan: a variable, and the URL of the first endpoint",
        || connection(world, plan.clone()?, &subject.block),
    );
    rules.last(
        "plan: a value for each attribute that the description tells",
        || {
            let told: Vec<_> = world.description().attributes.keys().collect();
            let came: Vec<_> = plan.clone()?.body.connection.attributes.keys().collect();
            same(&came, &told)
        },
    );
    rules.last(
        "plan: no secret on a command line or in an environment",
        || seclusion(world, subject),
    );
    plan.and_then(|plan| said_first(plan).cloned())
}

fn said_first(plan: &Plan) -> Result<&Hello, Flaw> {
    let hello = plan.body.hello.as_ref();
    hello.ok_or_else(|| Flaw::unfit("the engine has no hello"))
}

/// An instance owns its `run` folder and its data directory, and nothing else.
fn paths(plan: &Plan) -> Result<(), Flaw> {
    let run = &plan.paths.run;
    let own = |path: &Utf8Path| path.starts_with(run) || path.starts_with(&plan.paths.data);
    for file in &plan.body.files {
        demand(file.path.parent() == Some(run), || {
            format!("{} is not a file in {run}", file.path)
        })?;
    }
    match &plan.body.upstream {
        None => {}
        Some(Endpoint::Unix(path)) if path.starts_with(run) => {}
        // What the init system does not hold is for the instance to bind.
        Some(upstream) if is_bound_by_itself(plan) && plan.endpoints.contains(upstream) => {}
        Some(upstream @ (Endpoint::Unix(_) | Endpoint::Tcp(_))) => {
            return Err(Flaw::Broken(format!(
                "{upstream} is no unix socket in {run}"
            )));
        }
    }
    for member in &plan.body.members {
        let mut paths = Vec::from_iter(&member.pid_file);
        // A program of the user's own works where the user says.
        if member.own.is_none() {
            paths.push(&member.cwd);
        }
        if let Readiness::FileLine { path, .. } = &member.ready {
            paths.push(path);
        }
        for path in paths {
            demand(own(path), || format!("{path} belongs to somebody else"))?;
        }
    }
    Ok(())
}

fn is_bound_by_itself(plan: &Plan) -> bool {
    matches!(plan.body.start, Start::WithProject(_))
}

/// What is asked of an upstream needs one, and an activator carries connections to one alone.
fn agreement(plan: &Plan) -> Result<(), Flaw> {
    let body = &plan.body;
    let (named, chosen) = (body.upstream.is_some(), body.chosen.is_some());
    demand(!(named && chosen), || {
        "the upstream is named, and to be chosen".to_owned()
    })?;
    demand(named || chosen || is_bound_by_itself(plan), || {
        "clients start it, and there is no upstream for them".to_owned()
    })?;
    demand(!(chosen && is_bound_by_itself(plan)), || {
        "the upstream is chosen for nobody".to_owned()
    })?;
    for member in &body.members {
        let asks = match &member.ready {
            Readiness::Hello => {
                demand(body.hello.is_some(), || {
                    format!("`{}` is ready by a hello that is not there", member.name)
                })?;
                true
            }
            Readiness::Connect { at } | Readiness::Http { at, .. } => at.is_none(),
            Readiness::FileLine { .. }
            | Readiness::Exec { .. }
            | Readiness::Output { .. }
            | Readiness::Alive { .. } => member.stop.say.is_some(),
        };
        demand(!asks || named || chosen, || {
            format!("`{}` needs an upstream", member.name)
        })?;
    }
    Ok(())
}

fn members(plan: &Plan) -> Result<(), Flaw> {
    demand(!plan.body.members.is_empty(), || {
        "there is no member".to_owned()
    })?;
    for member in &plan.body.members {
        let name = &member.name;
        let program = member.argv.first();
        demand(
            program.is_some_and(|program| program.starts_with('/')),
            || format!("the program of `{name}` is {program:?}"),
        )?;
        let times = [member.ready_within, member.stop.within];
        demand(times.iter().all(|time| !time.is_zero()), || {
            format!("`{name}` has no time")
        })?;
        if let Readiness::FileLine { line, .. } = &member.ready {
            demand(*line > 0, || "lines are counted from 1".to_owned())?;
        }
    }
    Ok(())
}

fn connection(world: &World, plan: &Plan, block: &Map<String, Value>) -> Result<(), Flaw> {
    let connection = &plan.body.connection;
    let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if let Some(variable) = &connection.variable {
        let right = variable.starts_with(|c: char| name(c) && !c.is_ascii_digit());
        demand(right && variable.chars().all(name), || {
            format!("{variable:?} is no name of a variable")
        })?;
    }
    let mut session = world.session()?;
    let block = world.checked(&mut session, "app", block)?;
    let mut call = world.plan_call("app", block)?;
    call.endpoints.reverse();
    let other = session.plan(call)?.connection.url;
    demand(connection.url.is_some(), || "there is no URL".to_owned())?;
    demand(other != connection.url, || {
        format!("two endpoints have the URL {other:?}")
    })
}

/// Command lines can be read by every user of the machine, and environments by whatever the user runs. A
/// client has no better place for a password than its environment.
fn seclusion(world: &World, subject: &Subject) -> Result<(), Flaw> {
    let own = |member: &Member| member.own.is_some();
    let plan = world.plan("app", &subject.block)?;
    if plan.body.members.iter().all(own) {
        return Err(Flaw::unfit("the program is the user's own"));
    }
    let (block, secrets) = if subject.secrets.is_empty() {
        guessed(world, subject)?
    } else {
        (subject.block.clone(), subject.secrets.clone())
    };
    let plan = world.plan("app", &block)?;
    let mut words = Vec::new();
    for member in &plan.body.members {
        words.extend(&member.argv);
        words.extend(member.env.iter().flat_map(|(name, value)| [name, value]));
    }
    words.extend(
        plan.body
            .connection
            .client
            .iter()
            .flat_map(|client| &client.args),
    );
    for word in words {
        demand(secrets.iter().all(|secret| !word.contains(secret)), || {
            format!("there is one in {word:?}")
        })?;
    }
    Ok(())
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
