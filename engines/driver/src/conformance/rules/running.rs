//! One life of an instance with the real engine, as its plan says. It must not know any engine.

use std::{fs, os::unix::fs::PermissionsExt};

use doze_contract::Plan;
use serde_json::{Map, Value, json};

use super::{Subject, properties};
use crate::conformance::{
    Engine, World,
    engine::contains,
    processes,
    report::{Flaw, Rules, boxed, demand, same},
};

/// An instance may be called almost anything.
const NAME: &str = r#"50% "it's" $HOME \ü"#;

pub(super) fn check(rules: &mut Rules<'_>, world: Result<&World, &Flaw>, subject: &Subject) {
    let block = &subject.block;
    let world = world.map_err(Clone::clone);
    let plan = rules.rule("provision: a data directory, for its owner alone", || {
        let world = world.clone()?;
        let plan = world.plan(NAME, block)?;
        world.provision(&plan)?;
        let mode = fs::metadata(&plan.paths.data)?.permissions().mode() & 0o777;
        demand(mode == 0o700, || {
            format!("expected mode 700\ncame     {mode:03o}")
        })?;
        Ok(plan)
    });
    let ready = || Ok((world.clone()?, plan.as_ref().map_err(Clone::clone)?));
    rules.last(
        "provision: no harm to what is provisioned, and no process left",
        || {
            let (world, plan) = ready()?;
            world.provision(plan)?;
            let left = processes::of(&world.path(""));
            demand(left.is_empty(), || format!("left: {left:?}"))
        },
    );
    let first = rules.rule(
        "boot: ready in time, and only its owner can connect",
        || {
            let (world, plan) = ready()?;
            Engine::boot(world, plan).map_err(boxed)
        },
    );
    rules.last("boot: the hello is answered", || {
        let engine = first.as_ref().map_err(Clone::clone)?;
        if engine.plan().body.hello.is_none() {
            return Err(Flaw::unfit("the engine has no hello"));
        }
        greets(engine)
    });
    if plan.as_ref().is_ok_and(|plan| plan.body.converge.is_some()) {
        let running = || {
            // Its plan says where it listens.
            let engine = first.as_ref().map_err(Clone::clone)?;
            Ok((world.clone()?, engine.plan()))
        };
        converges(rules, running, &subject.secrets);
    }
    let stopped = rules.rule("stop: as the plan says, in time", || {
        first?.stop().map_err(boxed)?;
        Ok(())
    });
    let again = || stopped.clone().and_then(|()| ready());
    rules.last(
        "stop: booted again, and stopped by the signal alone, in time",
        || {
            let engine = boot(again()?)?;
            engine.stop_by_signal().map_err(boxed)?;
            Ok(())
        },
    );
    rules.last("kill -9: booted again, and again", || {
        for _ in 0..2 {
            let (world, plan) = again()?;
            let engine = boot((world, plan))?;
            drop(engine);
            processes::end_all(&world.path("")).map_err(Flaw::Broken)?;
        }
        boot(again()?)?.stop().map_err(boxed)?;
        Ok(())
    });
    rules.last("another fingerprint: provisioned again, and booted", || {
        let (world, plan) = again()?;
        let other = changed(world, plan, block);
        world.provision(&other)?;
        boot((world, &other))?.stop().map_err(boxed)?;
        Ok(())
    });
    if let Ok(world) = world {
        // What a broken rule may have left; that is told already.
        drop(processes::end_all(&world.path("")));
    }
}

/// What is declared inside the running engine.
fn converges<'a>(
    rules: &mut Rules<'_>,
    running: impl Fn() -> Result<(&'a World, &'a Plan), Flaw>,
    secrets: &[String],
) {
    let said = rules.rule(
        "converge: a dry run says what is to be done, and does nothing",
        || {
            let (world, plan) = running()?;
            let said = world.converge(plan, true)?;
            same(&world.converge(plan, true)?, &said)?;
            Ok(said)
        },
    );
    let said = said.as_ref().map_err(Clone::clone);
    rules.last("converge: nothing that it says holds a secret", || {
        for change in said.clone()? {
            let text = format!("{} {}", change.object, change.statement);
            let told = secrets.iter().any(|secret| text.contains(secret));
            demand(!told, || format!("there is one in {text:?}"))?;
        }
        Ok(())
    });
    let done = rules.rule("converge: does what the dry run said", || {
        let (world, plan) = running()?;
        same(&world.converge(plan, false)?, said.clone()?)
    });
    rules.last("converge: a second time has nothing to do", || {
        done?;
        let (world, plan) = running()?;
        same(&world.converge(plan, false)?, &Vec::new())?;
        same(&world.converge(plan, true)?, &Vec::new())
    });
}

fn boot((world, plan): (&World, &Plan)) -> Result<Engine, Flaw> {
    let engine = Engine::boot(world, plan).map_err(boxed)?;
    greets(&engine)?;
    Ok(engine)
}

/// Whether its hello is answered, if it has one.
fn greets(engine: &Engine) -> Result<(), Flaw> {
    let Some(hello) = &engine.plan().body.hello else {
        return Ok(());
    };
    let came = engine.hello().map_err(boxed)?;
    let ready = &hello.ready.0;
    demand(contains(&came, ready), || {
        format!(
            "expected {}\ncame     {}",
            ready.escape_ascii(),
            came.escape_ascii()
        )
    })
}

/// The plan of a block with another fingerprint: the first that turning a switch or choosing
/// another word gives. Where there is none, the same plan is provisioned as if it were another.
fn changed(world: &World, plan: &Plan, block: &Map<String, Value>) -> Plan {
    for (name, property) in properties(world.description()) {
        let words = property.get("enum").and_then(Value::as_array);
        let switch = [json!(true), json!(false)];
        for value in words.map_or(switch.as_slice(), Vec::as_slice) {
            let mut other = block.clone();
            other.insert(name.to_owned(), value.clone());
            // A switch may be something else, or wrong together with others.
            if let Ok(other) = world.plan(NAME, &other)
                && other.body.provision.fingerprint != plan.body.provision.fingerprint
            {
                return other;
            }
        }
    }
    let mut other = plan.clone();
    other.body.provision.fingerprint.push_str(", changed");
    other
}
