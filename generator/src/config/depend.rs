//! Which instance needs which: what `depends_on` says and what references imply, and what can be
//! wrong with it.
//!
//! Needs nothing but the names, so what is wrong is known before any driver is asked.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::{InstanceName, plan::Condition};

use super::{
    block::{Block, TEXTS, one_or_many},
    reader::{At, wrong_type},
    scope::{Evaluator, Visible},
    toml_tree::{Item, Table, Value},
};
use crate::{
    diagnostic::{Code, Diagnostic, Span, nearest},
    expression::Reference,
};

/// When another instance is good enough for the one that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is held, and has to be in this condition first.
    Held(Condition),
    /// Its address is there; whoever connects to it wakes it.
    Lazy,
}

/// Another instance that a block speaks of.
#[derive(Debug, Clone)]
pub(super) struct Need {
    pub(super) name: At<String>,
    /// Of a reference: the engine that it names.
    pub(super) engine: Option<String>,
    pub(super) wish: Wish,
}

/// What the keys of a block refer to.
pub(super) fn referred(
    table: &Table,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Need> {
    referred_by(table.0.values().collect(), visible, evaluator, problems)
}

/// The same of some items.
pub(super) fn referred_by(
    mut open: Vec<&Item>,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    while let Some(item) = open.pop() {
        match &item.value {
            Value::Expression(expression) => {
                match expression.references(evaluator.world(visible)) {
                    Ok(found) => needs.extend(found.into_iter().filter_map(need)),
                    Err(problem) => problems.extend(problem),
                }
            }
            Value::Array(items) => open.extend(items),
            Value::Table(table) => open.extend(table.0.values()),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
    needs.sort_by_key(|need| need.name.span.start);
    needs
}

fn need((reference, span): (Reference, Span)) -> Option<Need> {
    let Reference::Attribute {
        engine, instance, ..
    } = reference
    else {
        return None;
    };
    Some(Need {
        name: At {
            span,
            value: instance,
        },
        engine: Some(engine),
        wish: Wish::Held(Condition::Healthy),
    })
}

/// What `depends_on` says: a name, a list of names, or a table of conditions by name.
pub(super) fn declared(item: Item, problems: &mut Vec<Diagnostic>) -> Vec<Need> {
    if let Value::Table(table) = &item.value {
        let pairs = table.in_order().into_iter();
        return pairs
            .filter_map(|(name, item)| conditioned(name, item, problems))
            .collect();
    }
    let name = |item: &Item| {
        let Some(name) = item.value.as_text() else {
            let expected = format!("{TEXTS}, or a table");
            problems.push(wrong_type("depends_on", &expected, item));
            return None;
        };
        Some(declared_need(
            name,
            item.span.clone(),
            Wish::Held(Condition::Healthy),
        ))
    };
    one_or_many(item).iter().filter_map(name).collect()
}

fn conditioned(name: &str, item: &Item, problems: &mut Vec<Diagnostic>) -> Option<Need> {
    const WORDS: [&str; 3] = ["healthy", "started", "lazy"];
    let Some(word) = item.value.as_text() else {
        problems.push(wrong_type(
            name,
            "\"healthy\", \"started\" or \"lazy\"",
            item,
        ));
        return None;
    };
    let wish = match word {
        "healthy" => Wish::Held(Condition::Healthy),
        "started" => Wish::Held(Condition::Started),
        "lazy" => Wish::Lazy,
        other => {
            let message = format!("there is no condition `{other}`");
            let found = Diagnostic::new(Code::Value, item.span.clone(), message);
            problems.push(found.hint(match nearest(other, WORDS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the conditions are {}", WORDS.join(", ")),
            }));
            return None;
        }
    };
    Some(declared_need(name, item.key.clone(), wish))
}

/// `app`, or `postgres.app`.
fn declared_need(text: &str, span: Span, wish: Wish) -> Need {
    Need {
        name: At {
            span,
            value: text.to_owned(),
        },
        engine: None,
        wish,
    }
}

/// All blocks by name, and their engines.
#[derive(Debug)]
pub(super) struct Known<'a>(BTreeMap<&'a str, &'a Block>, BTreeSet<&'a str>);

impl<'a> Known<'a> {
    pub(super) fn new(blocks: &'a [Block]) -> Self {
        let named = blocks.iter().map(|block| (block.name.as_str(), block));
        let engines = blocks.iter().map(|block| block.engine.as_str());
        Self(named.collect(), engines.collect())
    }

    /// The block that a need is for. `depends_on` may put the engine in front of the name.
    pub(super) fn get(&self, need: &Need) -> Option<&'a Block> {
        let name = need.name.value.as_str();
        let plain = self.0.get(name).copied();
        let engine = need.engine.as_deref();
        match plain {
            Some(block) => engine
                .is_none_or(|it| it == block.engine.as_str())
                .then_some(block),
            None if engine.is_none() => {
                let (engine, name) = name.split_once('.')?;
                let block = self.0.get(name).copied()?;
                (block.engine.as_str() == engine).then_some(block)
            }
            None => None,
        }
    }
}

impl Known<'_> {
    /// What is wrong with a need, of a block or of an output. Nothing is said of an engine that
    /// nobody has: the expression itself is wrong then.
    fn check(
        &self,
        need: &Need,
        block: Option<&Block>,
        hint: bool,
    ) -> Result<(), Option<Diagnostic>> {
        match self.get(need) {
            None => {
                let used = |engine: &String| self.1.contains(engine.as_str());
                let sound = need.engine.as_ref().is_none_or(used);
                Err(sound.then(|| unknown(self, block, need, hint)))
            }
            Some(other) if block.is_none_or(|block| block.enabled) && !other.enabled => {
                Err(Some(disabled(block, &need.name, other)))
            }
            Some(_) => Ok(()),
        }
    }
}

/// What a block needs, each instance once; what `depends_on` says of one goes before what
/// references imply.
pub(super) fn of<'a>(known: &Known<'a>, block: &Block) -> Vec<(&'a InstanceName, Wish)> {
    let mut all: Vec<(&InstanceName, Wish)> = Vec::new();
    let mut seen = BTreeSet::new();
    let (implied, declared): (Vec<_>, Vec<_>) =
        block.needs.iter().partition(|need| need.engine.is_some());
    for need in declared.into_iter().chain(implied) {
        if let Some(other) = known.get(need)
            && seen.insert(&other.name)
        {
            all.push((&other.name, need.wish));
        }
    }
    all
}

/// The problems that are worth a look at the names of all instances.
const HINTED: usize = 100;

/// The circles that are told: a project can have as many as instances, each as long as all of them.
const CIRCLES: usize = 20;

/// Reports what cannot be depended on, by blocks or by outputs.
pub(super) fn check(blocks: &[Block], outputs: &[Need], problems: &mut Vec<Diagnostic>) {
    let known = Known::new(blocks);
    let of_blocks = blocks
        .iter()
        .flat_map(|block| block.needs.iter().map(move |need| (need, Some(block))));
    let of_outputs = outputs.iter().map(|need| (need, None));
    // All stamps of a block say the same thing.
    let mut told = BTreeSet::new();
    for (need, block) in of_blocks.chain(of_outputs) {
        let said = (need.name.span.start, &need.name.value);
        if !told.contains(&said)
            && let Err(found) = known.check(need, block, told.len() < HINTED)
        {
            told.insert(said);
            problems.extend(found);
        }
    }
    circles(blocks, &known, problems);
}

fn unknown(known: &Known<'_>, block: Option<&Block>, need: &Need, hint: bool) -> Diagnostic {
    let name = need.name.value.as_str();
    let span = need.name.span.clone();
    let message = match &need.engine {
        Some(engine) => format!("there is no {engine} instance `{name}`"),
        None => format!("there is no instance `{name}`"),
    };
    let found = Diagnostic::new(Code::Dependency, span, message);
    if let Some(other) = known.0.get(name) {
        return found.hint(format!("`{name}` is a {} instance", other.engine));
    }
    if !hint {
        return found;
    }
    let own = block.map(|block| block.name.as_str());
    let others = || known.0.keys().copied().filter(|other| Some(*other) != own);
    let stamped = others().filter(|other| {
        other
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('_'))
    });
    let stamped: Vec<_> = stamped.take(3).collect();
    found.hint(match (nearest(name, others()), stamped.as_slice()) {
        (_, [first, ..]) => format!(
            "there are several of it: {}; write one of them, such as `{first}`",
            stamped.join(", ")
        ),
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, _) if others().next().is_none() => "there is no other instance".into(),
        (None, _) => {
            let some: Vec<_> = others().take(20).collect();
            format!("the other instances are {}", some.join(", "))
        }
    })
}

fn disabled(block: Option<&Block>, needed: &At<String>, other: &Block) -> Diagnostic {
    let message = match block {
        Some(block) => format!(
            "`{}` depends on `{}`, which is disabled",
            block.name, other.name
        ),
        None => format!("`{}` is disabled", other.name),
    };
    Diagnostic::new(Code::Dependency, needed.span.clone(), message)
        .see(other.name_span.clone(), "this one has `enabled = false`")
        .hint(format!("enable `{}`, or disable both", other.name))
}

/// A step of the way from one block to the next.
struct Step<'a> {
    block: &'a Block,
    /// What was not looked at yet.
    rest: std::slice::Iter<'a, Need>,
    /// Where the way goes on.
    taken: Option<&'a Need>,
}

impl<'a> Step<'a> {
    fn to(block: &'a Block) -> Self {
        Self {
            block,
            rest: block.needs.iter(),
            taken: None,
        }
    }
}

/// Follows every dependency once, in the order of the file, and reports each that leads back to
/// where the way has come from. A `lazy` one of `depends_on` leads nowhere: nobody waits for it.
fn circles(blocks: &[Block], known: &Known<'_>, problems: &mut Vec<Diagnostic>) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut told = 0;
    for block in blocks {
        if done.contains(block.name.as_str()) {
            continue;
        }
        let mut way = vec![Step::to(block)];
        let mut on_the_way = BTreeSet::from([block.name.as_str()]);
        while let Some(step) = way.last_mut() {
            let mut waits = step
                .rest
                .by_ref()
                .filter(|need| need.engine.is_some() || need.wish != Wish::Lazy);
            step.taken = waits.next();
            let Some(taken) = step.taken else {
                done.insert(step.block.name.as_str());
                on_the_way.remove(step.block.name.as_str());
                way.pop();
                continue;
            };
            let Some(next) = known.get(taken) else {
                continue;
            };
            let name = next.name.as_str();
            if on_the_way.contains(name) {
                let back = way.iter().position(|step| step.block.name == next.name);
                if told < CIRCLES {
                    problems.extend(circle(way.get(back.unwrap_or(0)..).unwrap_or_default()));
                }
                told += 1;
            } else if !done.contains(name) {
                on_the_way.insert(name);
                way.push(Step::to(next));
            }
        }
    }
}

/// The last step is the one to edit, for the others were there when it was written.
fn circle(steps: &[Step<'_>]) -> Option<Diagnostic> {
    let (last, before) = steps.split_last()?;
    let label = |step: &Step<'_>| {
        let taken = step.taken?;
        let verb = if taken.engine.is_some() {
            "refers to"
        } else {
            "depends on"
        };
        let text = format!("`{}` {verb} `{}`", step.block.name, taken.name.value);
        Some((taken.name.span.clone(), text))
    };
    let (span, text) = label(last)?;
    let found = if before.is_empty() {
        let message = format!("`{}` depends on itself", last.block.name);
        Diagnostic::new(Code::Circle, span, message)
    } else {
        let message = "these instances depend on each other in a circle";
        Diagnostic::new(Code::Circle, span, message).label(text)
    };
    let seen = before.iter().filter_map(label);
    Some(seen.fold(found, |found, (span, text)| found.see(span, text)))
}
