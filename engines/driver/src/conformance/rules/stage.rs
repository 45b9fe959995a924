//! What the rules of a running engine have in common: an instance that can be booted, and its
//! clients. It must not know any rule.

use std::cell::RefCell;

use doze_contract::Plan;

use super::Subject;
use crate::conformance::{
    Client, Engine, World,
    door::Door,
    engine::contains,
    practice,
    report::{Flaw, boxed, demand},
};

/// An instance, with a door in front of it.
pub(super) struct Stage<'a> {
    pub(super) world: World,
    door: Door,
    subject: &'a Subject,
    /// What a client has stored last.
    stored: RefCell<Option<String>>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(world: World, door: Door, subject: &'a Subject) -> Self {
        Self {
            world,
            door,
            subject,
            stored: RefCell::default(),
        }
    }

    /// Boots the engine, and greets it.
    pub(super) fn boot(&self, plan: &Plan) -> Result<Engine, Flaw> {
        let engine = Engine::boot(&self.world, plan).map_err(boxed)?;
        self.lead_to(&engine);
        greets(&engine)?;
        Ok(engine)
    }

    /// Leads clients to this engine from now on.
    pub(super) fn lead_to(&self, engine: &Engine) {
        self.door.lead_to(engine.plan().body.upstream.as_ref());
    }

    /// The clients that are here; without any, why.
    fn clients(&self, plan: &Plan) -> Result<Vec<&Client>, Flaw> {
        if plan.body.connection.url.is_none() {
            return Err(Flaw::unfit("the instance has no URL"));
        }
        let Some(practice) = &self.subject.practice else {
            let why = "nobody has told how a client of this engine stores something";
            return Err(Flaw::NotRun(why.to_owned()));
        };
        let here: Vec<_> = practice.clients.iter().flatten().collect();
        if here.is_empty() {
            let missing = practice.clients.iter().find_map(|it| it.as_ref().err());
            let why = "there is no client of this engine".to_owned();
            return Err(missing.map_or(Flaw::NotRun(why), |it| Flaw::Missing(it.clone())));
        }
        Ok(here)
    }

    /// Has each client store something, and all of them ask for it.
    pub(super) fn store(&self, plan: &Plan) -> Result<(), Flaw> {
        for client in self.clients(plan)? {
            let text = format!("größe 100% $HOME {}", client.name);
            *self.stored.borrow_mut() = None;
            practice::run(&mut (client.ask)(plan, Some(&text)))?;
            *self.stored.borrow_mut() = Some(text);
            if let Err(flaw) = self.fetch(plan) {
                // Nobody knows what is there.
                *self.stored.borrow_mut() = None;
                return Err(flaw);
            }
        }
        Ok(())
    }

    /// Has each client ask for what was stored last.
    pub(super) fn fetch(&self, plan: &Plan) -> Result<(), Flaw> {
        let clients = self.clients(plan)?;
        let stored = self.stored.borrow();
        let Some(stored) = stored.as_ref() else {
            return Err(Flaw::NotRun("nothing was stored".to_owned()));
        };
        for client in clients {
            let came = practice::run(&mut (client.ask)(plan, None))?;
            demand(came.contains(stored.as_str()), || {
                format!("expected {stored:?}\ncame     {came:?}, by {}", client.name)
            })?;
        }
        Ok(())
    }

    /// That there are two clients.
    pub(super) fn has_two(&self, plan: &Plan) -> Result<(), Flaw> {
        let [only] = self.clients(plan)?[..] else {
            return Ok(());
        };
        let practice = self.subject.practice.iter();
        let missing = practice
            .flat_map(|it| &it.clients)
            .find_map(|it| it.as_ref().err());
        let why = format!("there is one alone: {}", only.name);
        Err(missing.map_or(Flaw::NotRun(why), |it| Flaw::Missing(it.clone())))
    }

    /// Runs the client program of the plan, which has nothing to say.
    pub(super) fn shell(&self, plan: &Plan) -> Result<(), Flaw> {
        let Some(client) = &plan.body.connection.client else {
            return Err(Flaw::unfit("the plan names no client program"));
        };
        let Some(mut shell) = practice::shell(plan) else {
            return Err(Flaw::Missing(format!(
                "no {}",
                client.programs.join(" or ")
            )));
        };
        let before = self.door.heard();
        let ended = practice::run(&mut shell);
        if self.door.heard() > before {
            return ended.map(drop);
        }
        let why = "it asks nothing before it is told what to ask".to_owned();
        Err(Flaw::NotRun(match ended {
            Err(Flaw::Broken(said)) => format!("{why}; {said}"),
            Ok(_) | Err(Flaw::NotRun(_) | Flaw::Missing(_) | Flaw::Unfit(_)) => why,
        }))
    }
}

/// Whether its hello is answered, if it has one.
pub(super) fn greets(engine: &Engine) -> Result<(), Flaw> {
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
