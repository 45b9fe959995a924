//! The functions of expressions, and what values do with each other.
//!
//! One table, from which the evaluation and the reference page follow.

mod collection;
mod convert;
mod format;
mod host;
mod number;
mod text;

use std::borrow::Cow;

use hcl_edit::expr::BinaryOperator;
use serde_json::{Number, Value};

use super::World;
use crate::diagnostic::Span;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, as the reference page has them: `text, [default]`, `value...`.
    pub parameters: &'static str,
    /// What it does.
    pub doc: &'static str,
    run: Run,
}

type Run = fn(&Call<'_>) -> Result<Value, String>;

impl Function {
    /// Calls it, after a look at the number of arguments.
    pub(super) fn call(&self, call: &Call<'_>) -> Result<Value, String> {
        let given = call.arguments.len();
        let names = || self.parameters.split(", ").filter(|name| !name.is_empty());
        let open = self.parameters.ends_with("...");
        let least = names()
            .filter(|name| !name.starts_with('[') && !name.ends_with("..."))
            .count();
        if given < least || (!open && given > names().count()) {
            return Err(format!(
                "it takes ({}), not {given} arguments",
                self.parameters
            ));
        }
        (self.run)(call)
    }
}

/// The arguments of a call, and what is around it.
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [Value],
    pub(super) world: World<'a>,
    pub(super) place: &'a Span,
}

impl Call<'_> {
    fn spend(&self, cost: usize) -> Result<(), String> {
        let spent = self.world.budget.spend(cost);
        spent.map_err(|message| message.unwrap_or_default().to_owned())
    }

    fn get(&self, at: usize) -> Result<&Value, String> {
        self.arguments
            .get(at)
            .ok_or_else(|| format!("argument {} is missing", at + 1))
    }

    fn text(&self, at: usize) -> Result<Cow<'_, str>, String> {
        text(self.get(at)?).map_err(|kind| self.expected(at, "a text", kind))
    }

    fn list(&self, at: usize) -> Result<&[Value], String> {
        let value = self.get(at)?;
        let list = value.as_array().map(Vec::as_slice);
        list.ok_or_else(|| self.expected(at, "a list", kind(value)))
    }

    fn map(&self, at: usize) -> Result<&serde_json::Map<String, Value>, String> {
        let value = self.get(at)?;
        let map = value.as_object();
        map.ok_or_else(|| self.expected(at, "a table", kind(value)))
    }

    fn number(&self, at: usize) -> Result<&Number, String> {
        let value = self.get(at)?;
        let number = value.as_number();
        number.ok_or_else(|| self.expected(at, "a number", kind(value)))
    }

    fn integer(&self, at: usize) -> Result<i64, String> {
        let number = self.number(at)?;
        number
            .as_i64()
            .ok_or_else(|| self.expected(at, "a whole number", "a fraction"))
    }

    /// A whole number that counts something.
    fn count(&self, at: usize) -> Result<usize, String> {
        let number = self.integer(at)?;
        usize::try_from(number).map_err(|_| self.expected(at, "not negative", "less than 0"))
    }

    #[expect(clippy::unused_self, reason = "it speaks of this call")]
    fn expected(&self, at: usize, wanted: &str, kind: &str) -> String {
        format!("argument {} has to be {wanted}, and is {kind}", at + 1)
    }
}

/// What messages call a value of this kind.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// A value as a part of a text; the kind of one that cannot be a part of any.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, &'static str> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(show(number))),
        Value::Bool(truth) => Ok(Cow::Borrowed(if *truth { "true" } else { "false" })),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => Err(kind(other)),
    }
}

/// A number without a fraction that is none.
fn show(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0")
        .map_or(text.clone(), ToOwned::to_owned)
}

/// What a single value costs: about half of its bytes.
pub(super) const VALUE: usize = 16;

/// How much a value is, in the currency of [`super::Budget`].
pub(super) fn weight(value: &Value) -> usize {
    let parts = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, it)| VALUE + key.len() + weight(it))
            .sum(),
    };
    VALUE + parts
}

/// Whether two values are the same; numbers are by what they are worth.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// Computes with two numbers, in whole ones as long as that loses nothing.
pub(super) fn arithmetic(
    a: &Number,
    operator: BinaryOperator,
    b: &Number,
) -> Result<Value, String> {
    number::arithmetic(a, operator, b)
}

macro_rules! functions {
    ($($module:ident { $($name:ident($parameters:literal) $doc:literal,)+ })+) => {
        /// All functions, by what they are for.
        pub const FUNCTIONS: &[Function] = &[$($(Function {
            name: stringify!($name),
            parameters: $parameters,
            doc: $doc,
            run: $module::$name,
        },)+)+];
    };
}

functions! {
    text {
    upper("text") "in capital letters",
    lower("text") "in small letters",
    title("text") "every word with a capital letter",
    trim("text, characters") "without these characters at both ends",
    trimspace("text") "without blanks at both ends",
    trimprefix("text, prefix") "without this beginning",
    trimsuffix("text, suffix") "without this end",
    replace("text, old, new") "with every `old` replaced; `old` between slashes is a regular expression",
    split("separator, text") "the parts between separators, as a list",
    join("separator, list") "the items of a list, with separators between them",
    regex("pattern, text") "the first match of a regular expression: its text, or what its groups have matched",
    substr("text, offset, length") "a part, in characters; a negative offset counts from the end, a negative length is the rest",
    strlen("text") "the number of characters",
    chomp("text") "without newlines at the end",
    indent("spaces, text") "with every line but the first moved to the right",
    }
    format {
    format("template, value...") "a text by a template: `%s`, `%d`, `%f`, `%q`, `%v`, `%t`, `%x`, with width and precision",
    formatlist("template, value...") "the same for each item of the lists among the values",
    }
    collection {
    concat("list...") "one list of several",
    length("value") "the number of items, or of characters",
    contains("list, value") "whether a list has this item",
    keys("table") "the keys of a table, sorted",
    values("table") "the values of a table, in the order of its keys",
    lookup("table, key, [default]") "the value of a key, or a default",
    merge("table...") "one table of several; later ones win",
    flatten("list") "the items of a list with the items of lists in it",
    distinct("list") "every item once",
    sort("list") "texts in their order",
    reverse("list") "in the opposite order",
    slice("list, start, end") "the items from `start` to before `end`, counted from 0",
    element("list, index") "one item; behind the last one it starts again",
    coalesce("value...") "the first value that is neither null nor empty",
    range("from, [to], [step]") "numbers up to before `to`; with one argument from 0",
    }
    number {
    abs("number") "without its sign",
    ceil("number") "the next whole number above",
    floor("number") "the next whole number below",
    max("number...") "the greatest",
    min("number...") "the smallest",
    parseint("text, base") "a whole number written in a base from 2 to 36",
    }
    convert {
    jsonencode("value") "as JSON",
    jsondecode("text") "the value that JSON says",
    csvdecode("text") "a table for each line; the first line has the keys",
    toset("list") "every item once, sorted",
    tolist("value") "as a list",
    tomap("table") "as a table",
    tostring("value") "as a text",
    tonumber("value") "as a number",
    tobool("value") "as a boolean",
    }
    host {
    env("name, [default]") "an environment variable; without a default one that is not set is an error",
    file("path") "the text of a file; a relative path is below the folder of this file",
    }
}
