//! What the names in expressions stand for, and the way from a table with expressions to one with
//! values.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use camino::Utf8Path;
use serde_json::Value as Json;

use super::toml_tree::{Item, Table, Value};
use crate::{
    diagnostic::{Code, Diagnostic, Sources, Span, nearest},
    expression::{Budget, Known, Missing, Reference, Scope, Surroundings, World},
};

/// Values by name; nothing where what is wrong has been reported.
pub(super) type Names = BTreeMap<String, Option<Known>>;

/// What one stamp of a block knows of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp {
    /// `each.key` and `each.value`.
    pub(super) each: Option<(String, Known)>,
    /// `count.index`.
    pub(super) index: Option<usize>,
}

/// What is known of the instances that were resolved before; nothing of one that is wrong.
pub(super) type Instances = BTreeMap<String, Option<BTreeMap<String, Known>>>;

/// The names that one expression may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visible<'a> {
    pub(super) variables: &'a Names,
    pub(super) locals: &'a Names,
    pub(super) stamp: Option<&'a Stamp>,
    /// Absent where instances are not known yet.
    pub(super) instances: Option<&'a Instances>,
    /// The engines that the project uses.
    pub(super) engines: &'a BTreeSet<String>,
}

fn wrong(message: String, hint: Option<String>) -> Missing {
    Missing::Wrong {
        code: Code::Reference,
        message,
        hint,
    }
}

/// No names.
static NONE: Names = Names::new();
static NO_ENGINES: BTreeSet<String> = BTreeSet::new();

impl<'a> Visible<'a> {
    /// Nothing but functions.
    pub(super) const NOTHING: Visible<'static> = Visible {
        variables: &NONE,
        locals: &NONE,
        stamp: None,
        instances: None,
        engines: &NO_ENGINES,
    };

    fn named(what: &str, names: &'a Names, name: &str) -> Result<&'a Known, Missing> {
        match names.get(name) {
            Some(Some(known)) => Ok(known),
            Some(None) => Err(Missing::Reported),
            None => {
                let known = || names.keys().map(String::as_str);
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => format!("there is no {what} in the project"),
                    None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
                };
                Err(wrong(format!("there is no {what} `{name}`"), Some(hint)))
            }
        }
    }

    fn attribute(
        &self,
        engine: &str,
        instance: &str,
        attribute: &str,
    ) -> Result<&'a Known, Missing> {
        if !self.engines.contains(engine) {
            let known = ["var", "local", "each", "count"].into_iter();
            let known = known.chain(self.engines.iter().map(String::as_str));
            let hint = nearest(engine, known).map(|near| format!("did you mean `{near}`?"));
            return Err(wrong(
                format!("there is no `{engine}` in the project"),
                hint,
            ));
        }
        let Some(instances) = self.instances else {
            return Err(wrong(
                "this is read before any instance is, so it cannot refer to one".to_owned(),
                None,
            ));
        };
        match instances.get(instance) {
            // What is wrong with an instance, or with its name, is told elsewhere.
            None | Some(None) => Err(Missing::Reported),
            Some(Some(attributes)) => attributes.get(attribute).ok_or_else(|| {
                let known = || attributes.keys().map(String::as_str);
                let hint = match nearest(attribute, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", known().collect::<Vec<_>>().join(", ")),
                };
                wrong(format!("`{instance}` has no `{attribute}`"), Some(hint))
            }),
        }
    }
}

impl Scope for Visible<'_> {
    fn find(&self, reference: &Reference) -> Result<Cow<'_, Known>, Missing> {
        let plain = |value: Json| {
            Cow::Owned(Known {
                value,
                sensitive: false,
            })
        };
        let each = || {
            let each = self.stamp.and_then(|stamp| stamp.each.as_ref());
            each.ok_or_else(|| {
                let hint = "only an instance with `for_each` has it".to_owned();
                wrong(format!("there is no {reference} here"), Some(hint))
            })
        };
        match reference {
            Reference::Variable(name) => {
                Self::named("variable", self.variables, name).map(Cow::Borrowed)
            }
            Reference::Local(name) => Self::named("local", self.locals, name).map(Cow::Borrowed),
            Reference::EachKey => Ok(plain(each()?.0.as_str().into())),
            Reference::EachValue => Ok(Cow::Borrowed(&each()?.1)),
            Reference::CountIndex => {
                let index = self.stamp.and_then(|stamp| stamp.index);
                let index = index.ok_or_else(|| {
                    let hint = "only an instance with `count` has it".to_owned();
                    wrong("there is no count.index here".to_owned(), Some(hint))
                })?;
                Ok(plain(index.into()))
            }
            Reference::Attribute {
                engine,
                instance,
                attribute,
            } => self
                .attribute(engine, instance, attribute)
                .map(Cow::Borrowed),
        }
    }

    fn roots(&self) -> Vec<String> {
        let own = ["var", "local", "each", "count"].map(ToOwned::to_owned);
        own.into_iter()
            .chain(self.engines.iter().cloned())
            .collect()
    }
}

/// The machine, as far as expressions may see it.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) sources: &'a Sources,
    /// There is nothing to see.
    pub(super) isolated: bool,
}

/// The longest file that an expression reads, in bytes.
const LONGEST: u64 = 1 << 20;

impl Surroundings for Machine<'_> {
    fn env(&self, name: &str) -> Option<String> {
        // The name of a variable is not empty, and has no `=` and no NUL in it (environ(7)).
        let sound = !self.isolated && !name.is_empty() && !name.contains(['=', '\0']);
        sound.then(|| std::env::var(name).ok()).flatten()
    }

    fn file(&self, place: &Span, path: &Utf8Path) -> io::Result<String> {
        if self.isolated {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = self.sources.folder(place).join(path);
        // Opening a pipe or a device could wait for ever.
        let about = fs::metadata(&path)?;
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if about.len() > LONGEST {
            let message = format!(
                "it has {} bytes, and at most {LONGEST} are read",
                about.len()
            );
            return Err(io::Error::other(message));
        }
        fs::read_to_string(path)
    }
}

/// Evaluates, and keeps what must not be shown.
#[derive(Debug)]
pub(super) struct Evaluator<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) budget: Budget,
    pub(super) secrets: RefCell<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(sources: &'a Sources, isolated: bool) -> Self {
        Self {
            machine: Machine { sources, isolated },
            budget: Budget::default(),
            secrets: RefCell::default(),
        }
    }

    pub(super) fn world<'b>(&'b self, names: &'b Visible<'b>) -> World<'b> {
        World {
            scope: names,
            surroundings: &self.machine,
            budget: &self.budget,
        }
    }

    /// The table with values in the place of expressions. A key whose value is null is left out,
    /// and so is one that has none; then `sound` becomes false. Whether something sensitive went
    /// into it is told as well.
    pub(super) fn table(
        &self,
        table: &Table,
        names: &Visible<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Evaluated<Table> {
        let mut done = Evaluated::of(Table::default());
        for (key, item) in &table.0 {
            let item = self.item(item, names, problems);
            if let Some(item) = done.with(item) {
                done.value.0.insert(key.clone(), item);
            }
        }
        done
    }

    /// The same with a single item.
    pub(super) fn item(
        &self,
        item: &Item,
        names: &Visible<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Evaluated<Option<Item>> {
        let with = |value| Item {
            key: item.key.clone(),
            span: item.span.clone(),
            value,
        };
        match &item.value {
            Value::Expression(expression) => match expression.evaluate(self.world(names)) {
                Ok(known) => {
                    if known.sensitive {
                        self.hide(&known.value);
                    }
                    Evaluated {
                        value: Value::from_json(known.value, &item.span).map(with),
                        sensitive: known.sensitive,
                        sound: true,
                    }
                }
                Err(problem) => {
                    problems.extend(problem);
                    Evaluated {
                        value: None,
                        sensitive: false,
                        sound: false,
                    }
                }
            },
            Value::Array(items) => {
                let mut done = Evaluated::of(Vec::new());
                for item in items {
                    let item = self.item(item, names, problems);
                    if let Some(item) = done.with(item) {
                        done.value.push(item);
                    }
                }
                done.map(|items| Some(with(Value::Array(items))))
            }
            Value::Table(table) => {
                let table = self.table(table, names, problems);
                table.map(|table| Some(with(Value::Table(table))))
            }
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => Evaluated::of(Some(item.clone())),
        }
    }

    /// Keeps every text in a value from being shown.
    pub(super) fn hide(&self, value: &Json) {
        match value {
            Json::Null | Json::Bool(_) => {}
            Json::Number(number) => self.secrets.borrow_mut().push(number.to_string()),
            Json::String(text) => self.secrets.borrow_mut().push(text.clone()),
            Json::Array(items) => items.iter().for_each(|item| self.hide(item)),
            Json::Object(map) => map.values().for_each(|item| self.hide(item)),
        }
    }
}

/// A value with what was noticed on the way to it.
#[derive(Debug)]
pub(super) struct Evaluated<T> {
    pub(super) value: T,
    /// Something sensitive is in it.
    pub(super) sensitive: bool,
    /// Nothing is missing in it.
    pub(super) sound: bool,
}

impl<T> Evaluated<T> {
    fn of(value: T) -> Self {
        Self {
            value,
            sensitive: false,
            sound: true,
        }
    }

    fn with<U>(&mut self, part: Evaluated<U>) -> U {
        self.sensitive |= part.sensitive;
        self.sound &= part.sound;
        part.value
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> Evaluated<U> {
        Evaluated {
            value: f(self.value),
            sensitive: self.sensitive,
            sound: self.sound,
        }
    }
}
