//! Expressions of the file as values of TOML.

use std::collections::BTreeSet;

use hcl_edit::{
    Span,
    expr::{Expression, FuncCall, ObjectKey, Traversal, TraversalOperator},
    template::{Directive, Element, Strip, Template},
    visit::{Visit, visit_func_call, visit_traversal},
};
use serde_json::{Map, Value as Json};

use crate::{
    expression::FUNCTIONS,
    import::{Note, literal, literal_part},
};

/// The text of the file.
pub(super) struct Source<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Instances that are only comments, with their engine: nothing can refer to them.
    absent: BTreeSet<(String, String)>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, absent: BTreeSet<(String, String)>) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self {
            text,
            lines,
            absent,
        }
    }

    pub(super) fn is_absent(&self, name: &str) -> bool {
        self.absent.iter().any(|(_, absent)| absent == name)
    }

    /// The line of a part of the file, from 1 on; 0 if it is not known.
    pub(super) fn line(&self, part: &impl Span) -> u64 {
        let start = part.span().map(|span| span.start);
        let line = start.map(|start| self.lines.partition_point(|line| *line <= start));
        line.and_then(|line| u64::try_from(line).ok()).unwrap_or(0)
    }

    pub(super) fn note(&self, part: &impl Span, at: &str, why: impl Into<String>) -> Note {
        Note::new(self.line(part), at, why)
    }

    pub(super) fn origin(&self, part: &impl Span, at: &str) -> String {
        format!("{at}, line {}", self.line(part))
    }

    /// The text of a part as it stands there.
    pub(super) fn text(&self, part: &impl Span) -> &'a str {
        let text = part.span().and_then(|span| self.text.get(span));
        text.unwrap_or_default().trim()
    }

    /// An expression as a value; nothing if doze cannot evaluate it, which is noted.
    pub(super) fn take(
        &self,
        at: &str,
        expression: &Expression,
        notes: &mut Vec<Note>,
    ) -> Option<Json> {
        let mut judge = Judge {
            absent: &self.absent,
            problem: None,
        };
        judge.visit_expr(expression);
        if let Some(problem) = judge.problem {
            notes.push(self.note(expression, at, problem));
            return None;
        }
        let value = self.value(expression);
        if value.is_none() {
            notes.push(self.note(expression, at, "TOML has no null; leave the key out"));
        }
        value
    }

    fn value(&self, expression: &Expression) -> Option<Json> {
        Some(match expression {
            Expression::Null(_) => return None,
            Expression::Bool(truth) => Json::from(*truth.value()),
            Expression::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Json::from(whole),
                (None, Some(float)) => Json::from(float),
                (None, None) => self.expression(expression),
            },
            Expression::String(text) => Json::from(literal(text.as_str())),
            Expression::Array(items) => items
                .iter()
                .map(|item| self.value(item))
                .collect::<Option<Json>>()?,
            Expression::Object(object) => {
                let mut map = Map::new();
                for (key, value) in object {
                    let Some(key) = key_name(key) else {
                        return Some(self.expression(expression));
                    };
                    map.extend(self.value(value.expr()).map(|value| (literal(&key), value)));
                }
                Json::Object(map)
            }
            Expression::StringTemplate(template) => Json::from(self.template(template.iter())),
            Expression::HeredocTemplate(heredoc) => {
                let mut heredoc = heredoc.clone();
                heredoc.dedent();
                Json::from(self.template(Template::iter(&heredoc.template)))
            }
            Expression::Parenthesis(_)
            | Expression::Variable(_)
            | Expression::Conditional(_)
            | Expression::FuncCall(_)
            | Expression::Traversal(_)
            | Expression::UnaryOp(_)
            | Expression::BinaryOp(_)
            | Expression::ForExpr(_) => self.expression(expression),
        })
    }

    fn expression(&self, expression: &Expression) -> Json {
        Json::from(format!("${{{}}}", self.text(expression)))
    }

    fn template<'e>(&self, elements: impl Iterator<Item = &'e Element>) -> String {
        let element = |element: &Element| match element {
            Element::Literal(text) => literal_part(text.as_str()),
            Element::Interpolation(inner) => {
                let (start, end) = match inner.strip {
                    Strip::None => ("", ""),
                    Strip::Start => ("~", ""),
                    Strip::End => ("", "~"),
                    Strip::Both => ("~", "~"),
                };
                format!("${{{start}{}{end}}}", self.text(&inner.expr))
            }
            Element::Directive(directive) => self.text(directive).to_owned(),
        };
        elements.map(element).collect()
    }
}

/// The key of an object, if it is not computed: `a`, `"a"` or `a.b`.
pub(super) fn key_name(key: &ObjectKey) -> Option<String> {
    match key {
        ObjectKey::Ident(ident) => Some(ident.as_str().to_owned()),
        ObjectKey::Expression(expression) => expression.as_str().map(ToOwned::to_owned),
    }
}

/// Finds what doze does not have.
struct Judge<'a> {
    absent: &'a BTreeSet<(String, String)>,
    problem: Option<String>,
}

impl Visit for Judge<'_> {
    fn visit_directive(&mut self, _: &Directive) {
        self.problem = Some("there are no `%{…}` in texts; use `${… ? … : …}`".to_owned());
    }

    fn visit_func_call(&mut self, call: &FuncCall) {
        let name = call.name.name.as_str();
        if !call.name.namespace.is_empty() || FUNCTIONS.iter().all(|it| it.name != name) {
            self.problem = Some(format!("there is no function `{name}`"));
        }
        visit_func_call(self, call);
    }

    fn visit_traversal(&mut self, traversal: &Traversal) {
        if let Expression::Variable(root) = &traversal.expr
            && self
                .absent
                .iter()
                .any(|(engine, _)| engine == root.as_str())
            && let Some(name) = traversal.operators.first()
            && let TraversalOperator::GetAttr(name) = name.value()
        {
            let root = root.as_str();
            let why = format!("`{root}.{}`: there is no driver for {root}", name.as_str());
            self.problem = Some(why);
        }
        visit_traversal(self, traversal);
    }
}
