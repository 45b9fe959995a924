//! One life of an instance with the real engine, as its plan says. It must not know any engine.

use std::{fs, os::unix::fs::PermissionsExt};

use doze_contract::Plan;
use serde_json::{Map, Value, json};

use super::{
    Subject, converging, properties, secrets,
    stage::{Stage, greets},
};
use crate::conformance::{
    Engine, World, processes,
    report::{Flaw, Rules, boxed, demand},
};

/// An instance may be called almost anything.
pub(super) const NAME: &str = r#"50% "it's" $HOME \ü"#;

pub(super) fn check(rules: &mut Rules<'_>, stage: Result<&Stage<'_>, &Flaw>, subject: &Subject) {
    let block = &subject.block;
    let stage = stage.map_err(Clone::clone);
    let plan = rules.rule("provision: a data directory, for its owner alone", || {
        let world = &stage.clone()?.world;
        let plan = world.plan(NAME, block)?;
        world.provision(&plan)?;
        let mode = fs::metadata(&plan.paths.data)?.permissions().mode() & 0o777;
        demand(mode == 0o700, || {
            format!("expected mode 700\ncame     {mode:03o}")
        })?;
        Ok(plan)
    });
    let ready = || Ok((stage.clone()?, plan.as_ref().map_err(Clone::clone)?));
    rules.last(
        "provision: no harm to what is provisioned, and no process left",
        || {
            let (stage, plan) = ready()?;
            stage.world.provision(plan)?;
            let left = processes::of(&stage.world.path(""));
            demand(left.is_empty(), || format!("left: {left:?}"))
        },
    );
    let first = rules.rule(
        "boot: ready in time, and only its owner can connect",
        || {
            let (stage, plan) = ready()?;
            let engine = Engine::boot(&stage.world, plan).map_err(boxed)?;
            stage.lead_to(&engine);
            Ok(engine)
        },
    );
    // Its plan says where it listens.
    let running = || {
        let engine = first.as_ref().map_err(Clone::clone)?;
        Ok((stage.clone()?, engine.plan()))
    };
    rules.last("boot: the hello is answered", || {
        let engine = first.as_ref().map_err(Clone::clone)?;
        if engine.plan().body.hello.is_none() {
            return Err(Flaw::unfit("the engine has no hello"));
        }
        greets(engine)
    });
    converging::check(rules, running, subject);
    rules.last("client: the program that the plan names is let in", || {
        let (stage, plan) = running()?;
        stage.shell(plan)
    });
    let stored = rules.rule("client: what one stores the others have", || {
        let (stage, plan) = running()?;
        stage.store(plan)
    });
    rules.last(
        "client: two that have nothing in common are let in by what the plan says",
        || {
            stored.clone()?;
            let (stage, plan) = running()?;
            stage.has_two(plan)
        },
    );
    let stopped = rules.rule("stop: as the plan says, in time", || {
        first?.stop().map_err(boxed)?;
        Ok(())
    });
    let again = || stopped.clone().and_then(|()| ready());
    rules.last(
        "stop: booted again, and stopped by the signal alone, in time",
        || {
            let (stage, plan) = again()?;
            stage.boot(plan)?.stop_by_signal().map_err(boxed)?;
            Ok(())
        },
    );
    wakes(rules, again, &stored);
    killed(rules, again);
    let kept = rules.rule(
        "clone: a copy of a stopped data directory boots beside the original",
        || cloned(again()?, block),
    );
    rules.last("clone: what was stored is in both", || kept?);
    secrets::check(rules, again, subject);
    rules.last("another fingerprint: provisioned again, and booted", || {
        let (stage, plan) = again()?;
        let other = changed(&stage.world, plan, block);
        stage.world.provision(&other)?;
        stage.boot(&other)?.stop().map_err(boxed)?;
        Ok(())
    });
    if let Ok(stage) = stage {
        // What a broken rule may have left; that is told already.
        drop(processes::end_all(&stage.world.path("")));
    }
}

/// What is there at the next wake.
fn wakes<'a>(
    rules: &mut Rules<'_>,
    again: impl Fn() -> Result<(&'a Stage<'a>, &'a Plan), Flaw>,
    stored: &Result<(), Flaw>,
) {
    rules.last("wake: what was stored before the sleep is there", || {
        stored.clone()?;
        let (stage, plan) = again()?;
        let engine = stage.boot(plan)?;
        stage.fetch(engine.plan())?;
        engine.stop().map_err(boxed)?;
        Ok(())
    });
    rules.last("wake: nothing is left to converge", || {
        let (stage, plan) = again()?;
        if plan.body.converge.is_none() {
            return Err(Flaw::unfit("the engine has no structure"));
        }
        let engine = stage.boot(plan)?;
        converging::silent(&stage.world, engine.plan())?;
        engine.stop().map_err(boxed)?;
        Ok(())
    });
}

/// What the death of processes does.
fn killed<'a>(rules: &mut Rules<'_>, again: impl Fn() -> Result<(&'a Stage<'a>, &'a Plan), Flaw>) {
    let kept = rules.rule(
        "crash: one member dead, whichever, the others stop in time, and it boots again",
        || {
            let (stage, plan) = again()?;
            let mut kept = Ok(());
            for member in 0..plan.body.members.len() {
                stage.boot(plan)?.crash(member).map_err(boxed)?;
                kept = kept.and(after_death((stage, plan))?);
            }
            Ok(kept)
        },
    );
    rules.last("crash: what was stored is there", || kept?);
    let kept = rules.rule("kill -9: booted again, and again", || {
        let (stage, plan) = again()?;
        let mut kept = Ok(());
        for _ in 0..2 {
            drop(stage.boot(plan)?);
            kept = kept.and(after_death((stage, plan))?);
        }
        Ok(kept)
    });
    rules.last("kill -9: what was stored is there", || kept?);
}

/// Boots what died, and gives whether all that was stored is there.
fn after_death((stage, plan): (&Stage<'_>, &Plan)) -> Result<Result<(), Flaw>, Flaw> {
    // Who notices the death of another by himself may take his time.
    processes::end_all(&stage.world.path("")).map_err(Flaw::Broken)?;
    let engine = stage.boot(plan)?;
    let kept = stage.fetch(engine.plan());
    engine.stop().map_err(boxed)?;
    Ok(kept)
}

/// Boots a clone beside its original, and gives whether all that was stored is in both.
fn cloned(
    (stage, plan): (&Stage<'_>, &Plan),
    block: &Map<String, Value>,
) -> Result<Result<(), Flaw>, Flaw> {
    if plan.body.members.iter().all(|member| member.own.is_some()) {
        return Err(Flaw::unfit("the data are the user's own"));
    }
    let clone = stage.world.clone_of(NAME, block)?;
    stage.world.provision(&clone)?;
    let original = stage.boot(plan)?;
    let clone = stage.boot(&clone)?;
    if clone.plan().body.converge.is_some() {
        converging::silent(&stage.world, clone.plan())?;
    }
    let kept = stage.fetch(clone.plan());
    clone.stop().map_err(boxed)?;
    stage.lead_to(&original);
    let kept = kept.and_then(|()| stage.fetch(original.plan()));
    original.stop().map_err(boxed)?;
    Ok(kept)
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
