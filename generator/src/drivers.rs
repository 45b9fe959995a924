//! The driver programs: finding them, and asking them in turn.
//!
//! Owns the running driver processes of one command, one per engine. Must not know any engine.

mod talk;

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
    env, fs, io,
    rc::Rc,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, EngineName, Plan,
    plan::{Body, SideEndpoint, Start},
    protocol::{Answer, Call, Check, Checked, ConvergeCall, Converged, Description, PlanCall},
};

use self::talk::{Talk, line, understand};
use crate::memo::Memo;

/// What the file name of every driver begins with; the name of its engine follows.
pub const PREFIX: &str = "doze-driver-";

/// The file name of the driver of an engine.
pub fn file_name(engine: &EngineName) -> String {
    format!("{PREFIX}{engine}")
}

/// Why a driver did not answer.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The program could not be started.
    #[error("cannot start the driver {path}")]
    Spawn {
        /// The program.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program went away in the middle of a conversation.
    #[error("the driver {path} did not answer")]
    Silent {
        /// The program.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it said is not an answer of the protocol.
    #[error("the driver {path} answered out of the protocol")]
    Garbled {
        /// The program.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It answered another question, or describes another engine than it is called for.
    #[error("the driver {path} answered something else than it was asked")]
    OffTopic {
        /// The program.
        path: Utf8PathBuf,
    },
    /// What it answered cannot be done.
    #[error("the driver {path} made a plan that cannot be: {what}")]
    Unsound {
        /// The program.
        path: Utf8PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It could not do what it was asked.
    #[error("the driver {path} says: {message}")]
    Refused {
        /// The program.
        path: Utf8PathBuf,
        /// Its words.
        message: String,
    },
}

/// All drivers that can be used, and those that run.
#[derive(Debug)]
pub struct Drivers {
    programs: BTreeMap<EngineName, Utf8PathBuf>,
    running: RefCell<BTreeMap<EngineName, Talk>>,
    described: RefCell<BTreeMap<EngineName, Description>>,
    memo: Rc<Memo>,
}

impl Drivers {
    /// The drivers that stand beside the doze program, and those that `DOZE_<ENGINE>_DRIVER`
    /// names, which come first.
    pub fn find(programs: &Utf8Path) -> io::Result<Self> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(programs)? {
            let name = entry?.file_name();
            let engine = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if let Some(Ok(engine)) = engine.map(EngineName::new) {
                let path = programs.join(file_name(&engine));
                found.insert(engine, path);
            }
        }
        for (name, path) in env::vars_os() {
            let name = name.to_string_lossy();
            let engine = name
                .strip_prefix("DOZE_")
                .and_then(|name| name.strip_suffix("_DRIVER"));
            let engine = engine.map(|engine| EngineName::new(engine.to_ascii_lowercase()));
            if let (Some(Ok(engine)), Ok(path)) = (engine, Utf8PathBuf::from_path_buf(path.into()))
            {
                found.insert(engine, path);
            }
        }
        Ok(Self {
            programs: found,
            running: RefCell::default(),
            described: RefCell::default(),
            memo: Rc::default(),
        })
    }

    /// Has those that are known to answer the same again be asked no more.
    pub(crate) fn remember(&mut self, memo: Memo) {
        self.memo = Rc::new(memo);
    }

    /// What is known of their answers.
    pub(crate) fn memo(&self) -> Rc<Memo> {
        Rc::clone(&self.memo)
    }

    /// Adds the drivers that a project is supplied with; there are none for their engines yet.
    pub fn add(&mut self, supplied: &BTreeMap<EngineName, Result<Utf8PathBuf, String>>) {
        for (engine, driver) in supplied {
            if let Ok(path) = driver {
                self.programs.insert(engine.clone(), path.clone());
            }
        }
    }

    /// The engines that have a driver.
    pub fn engines(&self) -> impl Iterator<Item = &EngineName> {
        self.programs.keys()
    }

    /// The driver program of an engine.
    pub fn program(&self, engine: &EngineName) -> Option<&Utf8Path> {
        self.programs.get(engine).map(Utf8PathBuf::as_path)
    }

    /// The driver's description of its engine; nothing if no driver knows the engine.
    pub fn describe(&self, engine: &EngineName) -> Result<Option<Description>, DriverError> {
        if self.program(engine).is_none() {
            return Ok(None);
        }
        if let Some(known) = self.described.borrow().get(engine) {
            return Ok(Some(known.clone()));
        }
        let description = self.ask(engine, Call::Describe, |answer| {
            if let Answer::Describe(description) = answer
                && description.engine == *engine
            {
                Some(*description)
            } else {
                None
            }
        })?;
        let mut described = self.described.borrow_mut();
        described.insert(engine.clone(), description.clone());
        Ok(Some(description))
    }

    /// Asks whether a block is right.
    pub fn check(&self, engine: &EngineName, check: Check) -> Result<Checked, DriverError> {
        self.ask(engine, Call::Check(check), |answer| {
            if let Answer::Check(checked) = answer {
                Some(checked)
            } else {
                None
            }
        })
    }

    /// Asks what an activator has to do.
    pub fn plan(&self, engine: &EngineName, plan: PlanCall) -> Result<Body, DriverError> {
        let body = self.ask(engine, Call::Plan(Box::new(plan)), |answer| {
            if let Answer::Plan(body) = answer {
                Some(*body)
            } else {
                None
            }
        })?;
        match flaw(&body) {
            None => Ok(body),
            Some(what) => Err(DriverError::Unsound {
                path: self.programs.get(engine).cloned().unwrap_or_default(),
                what,
            }),
        }
    }

    fn ask<T>(
        &self,
        engine: &EngineName,
        call: Call,
        expect: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, DriverError> {
        let off_topic = |path: &Utf8Path| DriverError::OffTopic {
            path: path.to_owned(),
        };
        let none = Utf8Path::new("");
        let path = self.program(engine).ok_or_else(|| off_topic(none))?;
        let question = line(path, call)?;
        if let Some(known) = self.memo.known(path, &question) {
            return expect(understand(path, known.as_bytes())?).ok_or_else(|| off_topic(path));
        }
        let mut running = self.running.borrow_mut();
        let talk = match running.entry(engine.clone()) {
            Entry::Occupied(talk) => talk.into_mut(),
            Entry::Vacant(place) => place.insert(Talk::start(path)?),
        };
        let said = talk.exchange(path, &question, None)?;
        let answer = expect(understand(path, &said)?).ok_or_else(|| off_topic(path))?;
        if let Ok(said) = String::from_utf8(said) {
            self.memo.keep(path, &question, said);
        }
        Ok(answer)
    }
}

/// Why nobody can do what a plan says, if that is so.
fn flaw(body: &Body) -> Option<&'static str> {
    let is_tcp = |side: &SideEndpoint| matches!(side.endpoint, Endpoint::Tcp(_));
    let needs_init = body.takes_sockets || !body.side.is_empty();
    if !body.side.iter().all(is_tcp) {
        return Some("a side endpoint is not on TCP");
    }
    if needs_init && body.start != Start::OnDemand {
        return Some("nobody holds the addresses of an instance that starts with the project");
    }
    if body.takes_sockets && !matches!(body.upstream, Some(Endpoint::Unix(_))) {
        return Some("an engine that takes sockets has no upstream on a unix socket");
    }
    None
}

/// What a driver program says of its engine, whatever that is.
pub fn describe_program(path: &Utf8Path) -> Result<Description, DriverError> {
    let off_topic = DriverError::OffTopic {
        path: path.to_owned(),
    };
    if let Answer::Describe(description) = Talk::start(path)?.ask(path, Call::Describe)? {
        Ok(*description)
    } else {
        Err(off_topic)
    }
}

/// Asks the driver of a plan to make the structure in its ready engine as declared, or only what
/// that would take; `prune` also takes back what is no longer declared. The engine is `at` another
/// address than the plan says, if that is given. The driver is started as the activator starts it,
/// and has as long as the plan says.
pub fn converge(
    plan: &Plan,
    at: Option<&Endpoint>,
    dry_run: bool,
    prune: bool,
) -> Result<Converged, DriverError> {
    let path = &plan.driver;
    let mut talk = Talk::start_behind(&plan.launcher, path)?;
    let call = Call::Converge(Box::new(ConvergeCall {
        plan: plan.clone(),
        upstream: at.cloned(),
        dry_run,
        prune,
    }));
    let within = plan.body.converge.as_ref().map(|converge| converge.within);
    if let Answer::Converge(converged) = talk.ask_within(path, call, within)? {
        Ok(converged)
    } else {
        Err(DriverError::OffTopic { path: path.clone() })
    }
}
