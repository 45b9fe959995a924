//! What is declared inside a running engine. It must not know what that is.

use doze_contract::Plan;

use super::{Subject, stage::Stage};
use crate::conformance::{
    World, practice,
    report::{Flaw, Rules, demand, same},
};

pub(super) fn check<'a>(
    rules: &mut Rules<'_>,
    running: impl Fn() -> Result<(&'a Stage<'a>, &'a Plan), Flaw>,
    subject: &Subject,
) {
    let running = || {
        let (stage, plan) = running()?;
        if plan.body.converge.is_none() {
            return Err(Flaw::unfit("the engine has no structure"));
        }
        Ok((&stage.world, plan))
    };
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
            let mut secrets = subject.secrets.iter();
            let told = secrets.any(|secret| text.contains(secret));
            demand(!told, || format!("there is one in {text:?}"))?;
        }
        Ok(())
    });
    let done = rules.rule("converge: does what the dry run said", || {
        let (world, plan) = running()?;
        same(&world.converge(plan, false)?, said.clone()?)
    });
    rules.last("converge: a second time has nothing to do", || {
        done.clone()?;
        let (world, plan) = running()?;
        same(&world.converge(plan, false)?, &Vec::new())?;
        silent(world, plan)
    });
    rules.last(
        "drift: what was changed by hand is told, and mended",
        || {
            done?;
            let (world, plan) = running()?;
            let Some(drift) = subject.practice.as_ref().and_then(|it| it.drift) else {
                let why = "nobody has told how to change something by hand";
                return Err(Flaw::NotRun(why.to_owned()));
            };
            practice::run(&mut drift(plan))?;
            let said = world.converge(plan, true)?;
            demand(!said.is_empty(), || "it is not seen".to_owned())?;
            same(&world.converge(plan, false)?, &said)?;
            silent(world, plan)
        },
    );
}

/// That a dry run has nothing to say.
pub(super) fn silent(world: &World, plan: &Plan) -> Result<(), Flaw> {
    same(&world.converge(plan, true)?, &Vec::new())
}
