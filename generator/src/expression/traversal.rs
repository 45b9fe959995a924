//! Names with dots and brackets: what they stand for, and the way into a value.

use std::borrow::Cow;

use hcl_edit::{
    Decorated, Span as _,
    expr::{Expression as Expr, Traversal, TraversalOperator},
};
use serde_json::Value;

use super::{
    Missing, Reference,
    eval::{Failed, Walk},
    functions,
};
use crate::diagnostic::{Code, Diagnostic, Span, nearest};

/// A reference, where it stands, and the words behind it.
type Referred<'o> = (Reference, Span, &'o [&'o TraversalOperator]);

impl Walk<'_> {
    pub(super) fn traversal(&self, expr: &Expr, traversal: &Traversal) -> Result<Value, Failed> {
        let operators: Vec<_> = traversal.operators.iter().map(Decorated::value).collect();
        let (mut value, mut rest) = self.start(expr, &traversal.expr, &operators)?;
        while let Some((operator, next)) = rest.split_first() {
            rest = next;
            if matches!(
                operator,
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_)
            ) {
                let items = match self.owned(expr, value)? {
                    Value::Array(items) => items,
                    Value::Null => Vec::new(),
                    other @ (Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Object(_)) => vec![other],
                };
                let follow = |item| self.follow_all(expr, Cow::Owned(item), rest);
                return items.into_iter().map(follow).collect();
            }
            value = self.follow(expr, value, operator)?;
        }
        self.owned(expr, value)
    }

    /// A value for oneself.
    fn owned(&self, expr: &Expr, value: Cow<'_, Value>) -> Result<Value, Failed> {
        if let Cow::Borrowed(value) = value {
            self.spend(expr, functions::weight(value))?;
        }
        Ok(value.into_owned())
    }

    /// What a traversal begins with, and what is left of it then.
    fn start<'o>(
        &self,
        expr: &Expr,
        first: &Expr,
        operators: &'o [&'o TraversalOperator],
    ) -> Result<(Cow<'_, Value>, &'o [&'o TraversalOperator]), Failed> {
        let Expr::Variable(name) = first else {
            return Ok((Cow::Owned(self.value(first)?), operators));
        };
        if let Some(value) = self.looped(expr, name.as_str())? {
            return Ok((Cow::Owned(value), operators));
        }
        let (reference, span, rest) = self.reference(expr, name.as_str(), operators)?;
        Ok((self.find(&reference, span)?, rest))
    }

    fn follow_all(
        &self,
        expr: &Expr,
        mut value: Cow<'_, Value>,
        operators: &[&TraversalOperator],
    ) -> Result<Value, Failed> {
        for operator in operators {
            value = self.follow(expr, value, operator)?;
        }
        self.owned(expr, value)
    }

    fn follow<'v>(
        &self,
        expr: &Expr,
        value: Cow<'v, Value>,
        operator: &TraversalOperator,
    ) -> Result<Cow<'v, Value>, Failed> {
        self.spend(expr, 1)?;
        let (key, at) = self.step(expr, operator)?;
        let found = match value {
            Cow::Borrowed(value) => part(value, &key).map(|found| found.map(Cow::Borrowed)),
            Cow::Owned(value) => part(&value, &key).map(|found| found.cloned().map(Cow::Owned)),
        };
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.wrong(at, format!("there is no `{key}` in it"))),
            Err(kind) => Err(self.wrong(at, format!("{kind} has no `{key}`"))),
        }
    }

    fn step(
        &self,
        expr: &Expr,
        operator: &TraversalOperator,
    ) -> Result<(String, Option<Span>), Failed> {
        match operator {
            TraversalOperator::GetAttr(name) => Ok((name.to_string(), name.span())),
            TraversalOperator::Index(key) => Ok((self.key(key)?, key.span())),
            TraversalOperator::LegacyIndex(at) => Ok((at.value().to_string(), at.span())),
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                Err(self.wrong(expr.span(), "`*` goes with a list"))
            }
        }
    }

    /// What the first words of a traversal stand for, where they stand, and the words after them.
    pub(super) fn reference<'o>(
        &self,
        expr: &Expr,
        root: &str,
        operators: &'o [&'o TraversalOperator],
    ) -> Result<Referred<'o>, Failed> {
        let own = matches!(root, "var" | "local" | "each" | "count");
        let wanted = if own { 1 } else { 2 };
        let Some((words, rest)) = operators.split_at_checked(wanted) else {
            return Err(self.rootless(expr, root));
        };
        let mut keys = Vec::new();
        let mut end = None;
        for word in words {
            let (key, at) = self.step(expr, word)?;
            keys.push(key);
            end = at.or(end);
        }
        let start = expr.span().map(|span| span.start);
        let range = start.zip(end).map(|(start, end)| start..end.end);
        let span = self.place.part(range);
        let mut keys = keys.into_iter();
        let first = keys.next().unwrap_or_default();
        let reference = match (root, first.as_str(), keys.next()) {
            ("var", ..) => Reference::Variable(first),
            ("local", ..) => Reference::Local(first),
            ("each", "key", None) => Reference::EachKey,
            ("each", "value", None) => Reference::EachValue,
            ("count", "index", None) => Reference::CountIndex,
            ("each", ..) => {
                let found =
                    Diagnostic::new(Code::Reference, span, format!("there is no `each.{first}`"));
                return Err(Some(Box::new(
                    found.hint("there are each.key and each.value"),
                )));
            }
            ("count", ..) => {
                let found = Diagnostic::new(
                    Code::Reference,
                    span,
                    format!("there is no `count.{first}`"),
                );
                return Err(Some(Box::new(found.hint("there is count.index"))));
            }
            (engine, _, attribute) => Reference::Attribute {
                engine: engine.to_owned(),
                instance: first,
                attribute: attribute.unwrap_or_default(),
            },
        };
        Ok((reference, span, rest))
    }

    fn find(&self, reference: &Reference, span: Span) -> Result<Cow<'_, Value>, Failed> {
        match self.world.scope.find(reference) {
            Ok(known) => {
                if known.sensitive {
                    self.sensitive.set(true);
                }
                Ok(match known {
                    Cow::Borrowed(known) => Cow::Borrowed(&known.value),
                    Cow::Owned(known) => Cow::Owned(known.value),
                })
            }
            Err(Missing::Reported) => Err(None),
            Err(Missing::Wrong {
                code,
                message,
                hint,
            }) => {
                let found = Diagnostic::new(code, span, message).maybe_hint(hint);
                Err(Some(Box::new(found)))
            }
        }
    }

    /// A word that is not followed by all that makes it a reference.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "whatever failed is either this or nothing"
    )]
    pub(super) fn rootless(&self, expr: &Expr, root: &str) -> Failed {
        let span = self.place.part(expr.span());
        let roots = self.world.scope.roots();
        let hint = match root {
            "var" => "write var.NAME".to_owned(),
            "local" => "write local.NAME".to_owned(),
            "each" => "write each.key or each.value".to_owned(),
            "count" => "write count.index".to_owned(),
            engine if roots.iter().any(|known| known == engine) => {
                format!("write {engine}.NAME.ATTRIBUTE, such as {engine}.app.url")
            }
            other => match nearest(other, roots.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("put quotes around a text: \"{other}\""),
            },
        };
        let message = format!("`{root}` alone has no value");
        let found = Diagnostic::new(Code::Reference, span, message);
        Some(Box::new(found.hint(hint)))
    }
}

/// What a value has under a key, or its kind if it has no keys.
fn part<'v>(value: &'v Value, key: &str) -> Result<Option<&'v Value>, &'static str> {
    match value {
        Value::Object(map) => Ok(map.get(key)),
        Value::Array(items) => Ok(key.parse().ok().and_then(|at: usize| items.get(at))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(functions::kind(value))
        }
    }
}
