//! The structure inside the engines: whether it is as declared, and making it so.
//!
//! A live engine is asked by its driver. One that is asleep converges itself when it wakes; what it
//! was converged for last stands in its data.

use std::{
    fs, io,
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
};

use camino::Utf8Path;
use doze_contract::{
    Plan,
    error::chain,
    protocol::{Change, Converged, Kept},
};

use super::{
    Compiled,
    observed::{Observed, is_ready},
    wake,
};
use crate::{
    awake,
    changes::{Left, Structure, statements},
    drivers::{self, DriverError},
    failure::Failure,
    fsx,
    output::{complain, harmless, print_lines},
};

/// The files in a data directory with the fingerprints that it was provisioned and converged for.
const PROVISIONED: &str = "doze-provisioned";
const CONVERGED: &str = "doze-converged";

/// What is not as declared inside the engines.
pub(super) struct Found {
    /// What is changed about it.
    pub(super) structure: Vec<Structure>,
    /// What stays so.
    pub(super) kept: Vec<Left>,
}

/// The instances whose structure is not as declared, as far as that can be told without waking
/// one; with `prune` also those that have to wake for it to be told what they no longer declare.
/// All that are awake are asked at once.
pub(super) fn pending(
    compiled: &Compiled,
    observed: &Observed,
    prune: bool,
) -> Result<Found, Failure> {
    thread::scope(|scope| {
        let ask = |plan| {
            let old = running(plan, observed);
            let asked = old.map(|old| scope.spawn(move || ask(plan, &old, prune)));
            (plan, asked)
        };
        let asked: Vec<_> = compiled.plans.iter().map(ask).collect();
        let mut found = Found {
            structure: Vec::new(),
            kept: Vec::new(),
        };
        for (plan, asked) in asked {
            let converged = asked.map(joined).transpose()?.flatten();
            let (changes, kept) = converged.map(|it| (it.changes, it.kept)).unzip();
            found.kept.extend(left(plan, kept.unwrap_or_default()));
            found.structure.extend(of_instance(plan, changes, prune)?);
        }
        Ok(found)
    })
}

/// What stays in an instance.
fn left(plan: &Plan, kept: Vec<Kept>) -> impl Iterator<Item = Left> {
    kept.into_iter().map(|kept| Left {
        instance: plan.instance.clone(),
        kept,
    })
}

/// What is not as declared of one instance, whose live engine would be changed so.
fn of_instance(
    plan: &Plan,
    changes: Option<Vec<Change>>,
    prune: bool,
) -> Result<Option<Structure>, Failure> {
    let Some(declared) = &plan.body.converge else {
        return Ok(None);
    };
    let read = |name: &str| {
        let path = plan.paths.data.join(name);
        fsx::read(&path).map_err(Failure::io(format!("read {path}")))
    };
    // What was never provisioned is made as declared, for its first client.
    if read(PROVISIONED)?.is_none() {
        return Ok(None);
    }
    let is_stamped = read(CONVERGED)?.is_some_and(|stamp| stamp == declared.fingerprint);
    let is_settled = changes.as_ref().map_or(!prune, Vec::is_empty);
    if is_stamped && is_settled {
        return Ok(None);
    }
    Ok(Some(Structure {
        instance: plan.instance.clone(),
        engine: plan.engine.clone(),
        changes,
        prune,
        is_stamped,
    }))
}

/// The plan of the engine that runs, if that is ready, and one that the driver of the new plan knows to
/// find.
fn running(plan: &Plan, observed: &Observed) -> Option<Plan> {
    let is_ready = observed.awake.get(&plan.instance).is_some_and(is_ready);
    let old = observed.installed_plan(&plan.instance);
    let same = |old: &Plan| old.engine == plan.engine && old.body.upstream == plan.body.upstream;
    old.filter(|old| plan.body.converge.is_some() && is_ready && same(old))
}

/// What the driver would do to the live engine of the old plan; nothing if it has fallen asleep
/// meanwhile.
fn ask(plan: &Plan, old: &Plan, prune: bool) -> Result<Option<Converged>, Failure> {
    // The new address of one whose upstream nobody else knows is not held yet.
    let at = match plan.body.upstream {
        Some(_) => None,
        None => old.endpoints.first(),
    };
    match drivers::converge(plan, at, true, prune) {
        Ok(converged) => Ok(Some(converged)),
        Err(error) => match awake::status(&plan.paths.status_socket) {
            Ok(Some(status)) if is_ready(&status) => Err(failed(plan, error)),
            _ => Ok(None),
        },
    }
}

fn failed(plan: &Plan, source: DriverError) -> Failure {
    Failure::Structure {
        instance: plan.instance.to_string(),
        source,
    }
}

/// Makes the structure of these instances as declared, all at once, and prints what that took. Each
/// is woken, which converges it if its data is not of the declared structure, and held meanwhile,
/// so that nobody else does what is done here.
pub(super) fn converge(compiled: &Compiled, structure: &[Structure]) -> Result<(), Failure> {
    let mut all: Vec<(&Plan, &Structure)> = Vec::new();
    for of in structure {
        let mut plans = compiled.plans.iter();
        all.extend(
            plans
                .find(|plan| plan.instance == of.instance)
                .zip(Some(of)),
        );
    }
    let done: Vec<_> = thread::scope(|scope| {
        let running = all
            .iter()
            .map(|(plan, of)| scope.spawn(|| converge_one(plan, of.prune)));
        let running: Vec<_> = running.collect();
        running.into_iter().map(joined).collect()
    });
    let mut exit = None;
    for ((plan, of), done) in all.into_iter().zip(done) {
        match done {
            Ok((lines, kept)) => {
                print_lines(&lines).map_err(Failure::io("print"))?;
                // What could be shown before was.
                for left in left(plan, kept).filter(|_| of.changes.is_none()) {
                    complain(format_args!("{}", left.note()));
                }
            }
            Err(failure) => {
                let (instance, why) = (&plan.instance, harmless(&chain(&failure)));
                complain(format_args!("error: {instance}: {why}\n"));
                exit = Some(failure.exit());
            }
        }
    }
    exit.map_or(Ok(()), |exit| Err(Failure::Told(exit)))
}

/// The statements that it took, and what stays.
fn converge_one(plan: &Plan, prune: bool) -> Result<(Vec<String>, Vec<Kept>), Failure> {
    let name = plan.instance.as_str();
    let log = &plan.paths.log;
    let before = fs::read(log).map_or(0, |said| said.len());
    let _hold = wake::ready(name, wake::call(name, &plan.paths.wake_socket)?)?;
    let said = said_since(log, before).map_err(Failure::io(format!("read {log}")))?;
    let mut lines = converged_by_boot(name, &said);
    let done = drivers::converge(plan, None, false, prune).map_err(|error| failed(plan, error))?;
    lines.extend(statements(name, &done.changes));
    stamp(plan)?;
    Ok((lines, done.kept))
}

/// Notes what the data was converged for, as the activator does after a boot.
fn stamp(plan: &Plan) -> Result<(), Failure> {
    let Some(declared) = &plan.body.converge else {
        return Ok(());
    };
    let path = plan.paths.data.join(CONVERGED);
    let write = || match fsx::read(&path)? {
        Some(stamp) if stamp == declared.fingerprint => Ok(()),
        _ => fsx::replace(&path, &declared.fingerprint, 0o600),
    };
    write().map_err(Failure::io(format!("write {path}")))
}

/// What came to a log since it was so long; all of a new one.
fn said_since(log: &Utf8Path, before: usize) -> io::Result<String> {
    let said = fs::read(log)?;
    let new = said.get(before..).unwrap_or(&said);
    Ok(String::from_utf8_lossy(new).into_owned())
}

/// The statements of an activator's lines, such as `doze: TIME converged: STATEMENT`.
fn converged_by_boot(name: &str, said: &str) -> Vec<String> {
    let ours = said.lines().filter_map(|line| line.strip_prefix("doze: "));
    let statements = ours.filter_map(|line| Some(line.split_once(" converged: ")?.1));
    statements
        .map(|statement| format!("{name}: {}", harmless(statement)))
        .collect()
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
