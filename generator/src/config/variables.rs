//! `[variables]`: what may differ from one machine, one run or one person to the next.

use serde_json::Value as Json;

use super::{
    Inputs,
    reader::{Reader, wrong_type},
    scope::{Evaluator, Names, Visible},
    toml_tree::{self, Item, Table, Value},
};
use crate::{
    diagnostic::{Code, Diagnostic, Source, Sources, Span, nearest},
    expression::Known,
};

/// What a variable is declared as.
#[derive(Debug)]
pub(super) struct Variable {
    name: String,
    span: Span,
    kind: Option<Kind>,
    default: Option<Item>,
    sensitive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Number,
    Bool,
    List,
    Map,
    Any,
}

const KINDS: [(&str, Kind); 6] = [
    ("string", Kind::String),
    ("number", Kind::Number),
    ("bool", Kind::Bool),
    ("list", Kind::List),
    ("map", Kind::Map),
    ("any", Kind::Any),
];

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Integer(_) | Value::Float(_) => Self::Number,
            Value::Boolean(_) => Self::Bool,
            Value::Array(_) => Self::List,
            Value::Table(_) => Self::Map,
            Value::Text(_) | Value::Expression(_) | Value::Datetime(_) => Self::String,
        }
    }

    fn word(self) -> &'static str {
        let mut words = KINDS.iter().filter(|(_, kind)| *kind == self);
        words.next().map_or("any", |(word, _)| word)
    }

    /// A value as it stands in a file.
    fn take(self, value: &Value) -> Option<Json> {
        let json = value.to_json();
        let fits = match self {
            Self::String => json.is_string(),
            Self::Number => json.is_number(),
            Self::Bool => json.is_boolean(),
            Self::List => json.is_array(),
            Self::Map => json.is_object(),
            Self::Any => true,
        };
        fits.then_some(json)
    }

    /// A value as it stands on the command line or in the environment: a text as it is, anything
    /// else as TOML writes it.
    fn read(self, text: &str) -> Option<Json> {
        if self == Self::String {
            return Some(text.into());
        }
        let (mut table, problems) = toml_tree::parse(&format!("value = {text}"), 0);
        let value = table
            .0
            .remove("value")
            .filter(|_| problems.is_empty() && table.0.is_empty());
        match value {
            Some(item) => self.take(&item.value),
            None if self == Self::Any => Some(text.into()),
            None => None,
        }
    }
}

/// Reads `[variables.NAME]`.
pub(super) fn declared(reader: &mut Reader, problems: &mut Vec<Diagnostic>) -> Vec<Variable> {
    let table = reader.typed("variables", "a table", problems, |value| {
        value.as_table().cloned()
    });
    let table = table.map(|at| at.value).unwrap_or_default();
    let all = table.in_order().into_iter();
    all.filter_map(|(name, item)| variable(name, item, problems))
        .collect()
}

fn variable(name: &str, item: &Item, problems: &mut Vec<Diagnostic>) -> Option<Variable> {
    let Value::Table(table) = &item.value else {
        let found = wrong_type(name, "a table", item);
        problems.push(found.hint(format!("write [variables.{name}] with a `default`")));
        return None;
    };
    let mut reader = Reader::new(format!("the variable `{name}`"), table.clone());
    let word = reader.text("type", problems);
    let default = reader.take("default");
    drop(reader.text("description", problems));
    let sensitive = reader.typed("sensitive", "true or false", problems, Value::as_boolean);
    reader.finish(problems);
    let kind = word.as_ref().and_then(|word| {
        let known = KINDS.iter().find(|(known, _)| *known == word.value);
        if known.is_none() {
            let words = KINDS.map(|(word, _)| word);
            let message = format!("there is no type `{}`", word.value);
            let found = Diagnostic::new(Code::Value, word.span.clone(), message);
            problems.push(found.hint(match nearest(&word.value, words) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the types are {}", words.join(", ")),
            }));
        }
        known.map(|(_, kind)| *kind)
    });
    Some(Variable {
        name: name.to_owned(),
        span: item.key.clone(),
        kind,
        default,
        sensitive: sensitive.is_some_and(|at| at.value),
    })
}

/// Where files have values that are never to be shown, right or wrong. One of a name that nobody
/// declares may be meant for a sensitive variable.
pub(super) fn hidden(declared: &[Variable], files: &[Table]) -> Vec<Span> {
    let shows = |name: &str| {
        let variable = declared.iter().find(|variable| variable.name == name);
        variable.is_some_and(|variable| !variable.sensitive)
    };
    let filed = files.iter().flat_map(Table::in_order);
    let filed = filed.filter(|(name, _)| !shows(name)).map(|(_, item)| item);
    let sensitive = declared.iter().filter(|variable| variable.sensitive);
    let defaults = sensitive.filter_map(|variable| variable.default.as_ref());
    let mut open: Vec<&Item> = filed.chain(defaults).collect();
    let mut spans = Vec::new();
    while let Some(item) = open.pop() {
        match &item.value {
            Value::Array(items) => open.extend(items),
            Value::Table(table) => open.extend(table.0.values()),
            Value::Text(_)
            | Value::Expression(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => spans.push(item.span.clone()),
        }
    }
    spans
}

/// A value from outside of all files.
#[derive(Debug)]
pub(super) struct Given {
    name: String,
    text: String,
    span: Span,
}

/// The values that the environment and the command line give, the strongest last. Messages point
/// to where they are from, and never show them.
pub(super) fn given(declared: &[Variable], inputs: &Inputs, sources: &mut Sources) -> Vec<Given> {
    let mut all = Vec::new();
    let mut add = |path: &str, name: &str, shown: String, text: String| {
        let end = shown.len();
        let path = path.into();
        let start = sources.add(Source { path, text: shown });
        let (name, span) = (name.to_owned(), start..start + end);
        all.push(Given { name, text, span });
    };
    for variable in declared.iter().filter(|_| !inputs.isolated) {
        let shown = format!("DOZE_VAR_{}", variable.name);
        let sound = !variable.name.contains(['=', '\0']);
        if let Some(Ok(text)) = sound.then(|| std::env::var(&shown)) {
            add("the environment", &variable.name, shown, text);
        }
    }
    for (name, text) in &inputs.variables {
        add("--var", name, name.clone(), text.clone());
    }
    all
}

/// Gives each variable its value: that of the command line, else of the environment, else of the
/// last `*.auto.toml` that has one, else its default.
pub(super) fn values(
    declared: &[Variable],
    files: &[Table],
    given: &[Given],
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Names {
    refuse_unknown(declared, files, given, problems);
    let value = |variable: &Variable| {
        let value = variable.value(files, given, evaluator, problems);
        if let Some(value) = value.as_ref().filter(|_| variable.sensitive) {
            evaluator.hide(value);
        }
        let known = value.map(|value| Known {
            value,
            sensitive: variable.sensitive,
        });
        (variable.name.clone(), known)
    };
    declared.iter().map(value).collect()
}

fn refuse_unknown(
    declared: &[Variable],
    files: &[Table],
    given: &[Given],
    problems: &mut Vec<Diagnostic>,
) {
    let names = || declared.iter().map(|variable| variable.name.as_str());
    let files = files.iter().flat_map(Table::in_order);
    let files = files.map(|(name, item)| (name, &item.key));
    let given = given.iter().map(|given| (given.name.as_str(), &given.span));
    for (name, span) in files.chain(given) {
        if names().any(|known| known == name) {
            continue;
        }
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared.is_empty() => "the project declares none".to_owned(),
            None => format!(
                "the variables are {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("there is no variable `{name}`");
        problems.push(Diagnostic::new(Code::Variable, span.clone(), message).hint(hint));
    }
}

impl Variable {
    fn value(
        &self,
        files: &[Table],
        given: &[Given],
        evaluator: &Evaluator<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Json> {
        let default = self.default.as_ref();
        let kind = self
            .kind
            .unwrap_or_else(|| default.map_or(Kind::String, |it| Kind::of(&it.value)));
        if let Some(given) = given.iter().rev().find(|given| given.name == self.name) {
            let value = kind.read(&given.text);
            if value.is_none() {
                problems.push(self.unfit(given.span.clone(), kind));
            }
            return value;
        }
        let filed = files.iter().rev().find_map(|file| file.0.get(&self.name));
        let Some(item) = filed.or(default) else {
            let name = &self.name;
            let message = format!("the variable `{name}` has no value");
            let found = Diagnostic::new(Code::Variable, self.span.clone(), message);
            problems.push(found.hint(format!(
                "add a `default`, or give it by --var {name}=VALUE or DOZE_VAR_{name}"
            )));
            return None;
        };
        // A default may ask the machine; there is nothing else yet that it could refer to.
        let item = evaluator.item(item, &Visible::NOTHING, problems).value?;
        let value = kind.take(&item.value);
        if value.is_none() {
            let found = self.unfit(item.span.clone(), kind);
            problems.push(found.label(format!("this is {}", item.value.kind())));
        }
        value
    }

    fn unfit(&self, span: Span, kind: Kind) -> Diagnostic {
        let message = format!("the variable `{}` is a {}", self.name, kind.word());
        Diagnostic::new(Code::Variable, span, message).see(self.span.clone(), "declared here")
    }
}
