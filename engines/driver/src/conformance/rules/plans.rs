//! What a plan has to be, without running it. It must not know any engine.

use camino::Utf8Path;
use doze_contract::{
    Endpoint, Plan,
    plan::{Hello, Readiness, Start},
};
use serde_json::{Map, Value};

use super::{Subject, secrets};
use crate::conformance::{
    World, WorldError,
    report::{Flaw, Rules, demand, same},
};

/// Each is a file name, which is all that a name has to be.
const NAMES: [&str; 5] = [
    r#"it's "a" \n %s 100% $HOME ${x} `id`"#,
    " blank at both ends ",
    "--größe → 漢字",
    "#;&@:?=,+|<>*~!^()[]{}",
    "a name of sixty-three bytes, which is the longest one there is",
];

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
        "plan: any name of an instance, if the engine can have it at all",
        || {
            for name in NAMES {
                let plan = match world.plan(name, &subject.block) {
                    // A problem with it is an answer as well.
                    Err(WorldError::Problems(_)) => continue,
                    plan => plan?,
                };
                paths(&plan)?;
                members(&plan)?;
            }
            Ok(())
        },
    );
    secrets::planned(rules, world, subject);
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
