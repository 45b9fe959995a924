//! Walking an expression: to its value, or to all that it refers to.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use hcl_edit::{
    Decorated, Ident, Span as _,
    expr::{BinaryOperator, Expression as Expr, ForExpr, FuncCall, ObjectKey, UnaryOperator},
    template::{Element, Template},
};
use serde_json::{Map, Number, Value};

use super::{
    Known, Place, Reference, World,
    functions::{self, Call},
};
use crate::diagnostic::{Code, Diagnostic, Span, nearest};

/// Why there is no value; nothing if that has been reported already.
pub(super) type Failed = Option<Box<Diagnostic>>;

/// What was referred to, and where; each once.
pub(super) type Found = BTreeSet<(Reference, usize, usize)>;

pub(super) fn evaluate(
    template: &Template,
    place: &Place,
    world: World<'_>,
) -> Result<Known, Option<Diagnostic>> {
    let walk = Walk::new(place, world, None);
    let value = walk
        .template(template)
        .map_err(|failed| failed.map(|it| *it))?;
    // Each expression can put another layer around what it refers to.
    if depth(&value) > DEEPEST {
        let message = format!("there are more than {DEEPEST} lists and tables in each other");
        let span = place.whole.clone();
        return Err(Some(Diagnostic::new(Code::Expression, span, message)));
    }
    Ok(Known {
        value,
        sensitive: walk.sensitive.into_inner(),
    })
}

/// How many lists and tables may be in each other. Whoever goes through a value calls itself for
/// each; with those of TOML around it, they are fewer than a reader of JSON takes.
const DEEPEST: usize = 32;

fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
    }
}

/// One walk through one expression.
pub(super) struct Walk<'a> {
    pub(super) place: &'a Place,
    pub(super) world: World<'a>,
    /// A sensitive value went into it.
    pub(super) sensitive: Cell<bool>,
    /// The variables of the `for` around, the innermost last.
    pub(super) loops: RefCell<Vec<(String, Value)>>,
    pub(super) found: Option<RefCell<Found>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(place: &'a Place, world: World<'a>, found: Option<RefCell<Found>>) -> Self {
        Self {
            place,
            world,
            sensitive: Cell::new(false),
            loops: RefCell::default(),
            found,
        }
    }

    pub(super) fn spend(&self, expr: &Expr, cost: usize) -> Result<(), Failed> {
        let spent = self.world.budget.spend(cost);
        spent.map_err(|message| self.wrong(expr.span(), message?))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "whatever failed is either this or nothing"
    )]
    pub(super) fn wrong(&self, at: Option<Span>, message: impl Into<String>) -> Failed {
        let span = self.place.part(at);
        Some(Box::new(Diagnostic::new(Code::Expression, span, message)))
    }

    pub(super) fn template(&self, template: &Template) -> Result<Value, Failed> {
        if let Some(Element::Interpolation(only)) = template.as_single_element() {
            return self.value(&only.expr);
        }
        let mut text = String::new();
        for element in template {
            match element {
                Element::Literal(literal) => text.push_str(literal.as_str()),
                Element::Interpolation(part) => {
                    let value = self.value(&part.expr)?;
                    let part_text = functions::text(&value).map_err(|kind| {
                        let message = format!("{kind} cannot be a part of a string");
                        self.wrong(part.expr.span(), message)
                    })?;
                    self.spend(&part.expr, part_text.len())?;
                    text.push_str(&part_text);
                }
                Element::Directive(_) => {
                    return Err(self.wrong(None, "`%{` is not known here"));
                }
            }
        }
        Ok(Value::String(text))
    }

    pub(super) fn value(&self, expr: &Expr) -> Result<Value, Failed> {
        self.spend(expr, functions::VALUE)?;
        match expr {
            Expr::Null(_) => Ok(Value::Null),
            Expr::Bool(truth) => Ok(Value::Bool(*truth.value())),
            Expr::Number(number) => self.number(expr, number.value()),
            Expr::String(text) => Ok(Value::String(text.value().clone())),
            Expr::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Expr::Object(object) => {
                let mut map = Map::new();
                for (key, item) in object {
                    let key = match key {
                        ObjectKey::Ident(name) => name.to_string(),
                        ObjectKey::Expression(key) => self.key(key)?,
                    };
                    map.insert(key, self.value(item.expr())?);
                }
                Ok(Value::Object(map))
            }
            Expr::StringTemplate(template) => {
                let parts: Template = template.iter().cloned().collect();
                self.template(&parts)
            }
            Expr::HeredocTemplate(heredoc) => self.template(&heredoc.template),
            Expr::Parenthesis(inner) => self.value(inner.inner()),
            Expr::Variable(name) => {
                let root = name.to_string();
                self.looped(expr, &root)?
                    .map_or_else(|| Err(self.rootless(expr, &root)), Ok)
            }
            Expr::Conditional(it) => {
                if self.truth(&it.cond_expr)? {
                    self.value(&it.true_expr)
                } else {
                    self.value(&it.false_expr)
                }
            }
            Expr::FuncCall(call) => self.call(expr, call),
            Expr::Traversal(traversal) => self.traversal(expr, traversal),
            Expr::UnaryOp(it) => match (*it.operator.value(), self.value(&it.expr)?) {
                (UnaryOperator::Not, Value::Bool(truth)) => Ok(Value::Bool(!truth)),
                (UnaryOperator::Neg, Value::Number(number)) => {
                    let zero = Number::from(0);
                    functions::arithmetic(&zero, BinaryOperator::Minus, &number)
                        .map_err(|message| self.wrong(expr.span(), message))
                }
                (operator, value) => Err(self.wrong(
                    it.expr.span(),
                    format!(
                        "`{}` does not go with {}",
                        operator.as_str(),
                        functions::kind(&value)
                    ),
                )),
            },
            Expr::BinaryOp(it) => {
                self.binary(expr, &it.lhs_expr, *it.operator.value(), &it.rhs_expr)
            }
            Expr::ForExpr(it) => self.comprehension(it),
        }
    }

    pub(super) fn number(&self, expr: &Expr, number: &hcl_edit::Number) -> Result<Value, Failed> {
        let whole = number.as_i64().map(Value::from);
        let any = || {
            number
                .as_f64()
                .and_then(Number::from_f64)
                .map(Value::Number)
        };
        whole
            .or_else(any)
            .ok_or_else(|| self.wrong(expr.span(), "this number is out of range"))
    }

    pub(super) fn truth(&self, expr: &Expr) -> Result<bool, Failed> {
        let value = self.value(expr)?;
        value.as_bool().ok_or_else(|| {
            let message = format!(
                "this has to be true or false, not {}",
                functions::kind(&value)
            );
            self.wrong(expr.span(), message)
        })
    }

    pub(super) fn key(&self, expr: &Expr) -> Result<String, Failed> {
        let value = self.value(expr)?;
        let key = functions::text(&value);
        key.map(Into::into)
            .map_err(|kind| self.wrong(expr.span(), format!("{kind} cannot be a key")))
    }

    pub(super) fn binary(
        &self,
        expr: &Expr,
        left: &Expr,
        operator: BinaryOperator,
        right: &Expr,
    ) -> Result<Value, Failed> {
        match operator {
            BinaryOperator::And => Ok(Value::Bool(self.truth(left)? && self.truth(right)?)),
            BinaryOperator::Or => Ok(Value::Bool(self.truth(left)? || self.truth(right)?)),
            BinaryOperator::Eq | BinaryOperator::NotEq => {
                let same = functions::equal(&self.value(left)?, &self.value(right)?);
                Ok(Value::Bool(same == (operator == BinaryOperator::Eq)))
            }
            BinaryOperator::LessEq
            | BinaryOperator::GreaterEq
            | BinaryOperator::Less
            | BinaryOperator::Greater
            | BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Mul
            | BinaryOperator::Div
            | BinaryOperator::Mod => match (self.value(left)?, self.value(right)?) {
                (Value::Number(a), Value::Number(b)) => functions::arithmetic(&a, operator, &b)
                    .map_err(|message| self.wrong(expr.span(), message)),
                (a, b) => Err(self.wrong(
                    expr.span(),
                    format!(
                        "`{}` does not go with {} and {}",
                        operator.as_str(),
                        functions::kind(&a),
                        functions::kind(&b)
                    ),
                )),
            },
        }
    }

    pub(super) fn call(&self, expr: &Expr, call: &FuncCall) -> Result<Value, Failed> {
        let name = self.function(call)?;
        let mut arguments = Vec::new();
        let last = call.args.len().saturating_sub(1);
        for (at, argument) in call.args.iter().enumerate() {
            let value = self.value(argument)?;
            if call.args.expand_final() && at == last && value.is_array() {
                arguments.extend(value.as_array().cloned().unwrap_or_default());
            } else {
                arguments.push(value);
            }
        }
        let place = self.place.part(expr.span());
        let asked = Call {
            arguments: &arguments,
            world: self.world,
            place: &place,
        };
        name.call(&asked)
            .map_err(|message| self.wrong(expr.span(), format!("{}: {message}", name.name)))
    }

    pub(super) fn function(&self, call: &FuncCall) -> Result<&'static functions::Function, Failed> {
        let name = call.name.name.as_str();
        let known = functions::FUNCTIONS.iter().find(|it| it.name == name);
        let known = known.filter(|_| !call.name.is_namespaced());
        known.ok_or_else(|| {
            let near = nearest(name, functions::FUNCTIONS.iter().map(|it| it.name));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let span = self.place.part(call.name.name.span());
            let found = Diagnostic::new(
                Code::Expression,
                span,
                format!("there is no function `{name}`"),
            );
            Some(Box::new(found.maybe_hint(hint)))
        })
    }

    /// The value of a variable of a `for`.
    pub(super) fn looped(&self, expr: &Expr, name: &str) -> Result<Option<Value>, Failed> {
        let loops = self.loops.borrow();
        let Some((_, value)) = loops.iter().rev().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        self.spend(expr, functions::weight(value))?;
        Ok(Some(value.clone()))
    }

    pub(super) fn is_looped(&self, name: &str) -> bool {
        self.loops.borrow().iter().any(|(known, _)| known == name)
    }

    pub(super) fn comprehension(&self, it: &ForExpr) -> Result<Value, Failed> {
        let (mut list, mut map) = (Vec::new(), Map::new());
        for pair in self.pairs(&it.intro.collection_expr)? {
            self.inside(it, pair, || self.iteration(it, &mut list, &mut map))?;
        }
        Ok(if it.key_expr.is_some() {
            Value::Object(map)
        } else {
            Value::Array(list)
        })
    }

    /// What a `for` goes through.
    pub(super) fn pairs(&self, collection: &Expr) -> Result<Vec<(Value, Value)>, Failed> {
        match self.value(collection)? {
            Value::Array(items) => Ok((0..items.len()).map(Value::from).zip(items).collect()),
            Value::Object(map) => {
                let pairs = map.into_iter();
                Ok(pairs
                    .map(|(key, value)| (Value::String(key), value))
                    .collect())
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                let kind = functions::kind(&other);
                let message = format!("`for` goes through a list or a table, not {kind}");
                Err(self.wrong(collection.span(), message))
            }
        }
    }

    /// Does something with the variables of a `for`.
    pub(super) fn inside(
        &self,
        it: &ForExpr,
        (key, value): (Value, Value),
        work: impl FnOnce() -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let depth = self.loops.borrow().len();
        let name = |name: &Decorated<Ident>| name.to_string();
        let key = it.intro.key_var.as_ref().map(|it| (name(it), key));
        let both = key.into_iter().chain([(name(&it.intro.value_var), value)]);
        self.loops.borrow_mut().extend(both);
        let done = work();
        self.loops.borrow_mut().truncate(depth);
        done
    }

    pub(super) fn iteration(
        &self,
        it: &ForExpr,
        list: &mut Vec<Value>,
        map: &mut Map<String, Value>,
    ) -> Result<(), Failed> {
        if let Some(condition) = &it.cond
            && !self.truth(&condition.expr)?
        {
            return Ok(());
        }
        let value = self.value(&it.value_expr)?;
        let Some(key) = &it.key_expr else {
            list.push(value);
            return Ok(());
        };
        let name = self.key(key)?;
        if it.grouping {
            let group = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(group) = group {
                group.push(value);
            }
        } else if map.contains_key(&name) {
            return Err(self.wrong(key.span(), format!("the key `{name}` comes twice")));
        } else {
            map.insert(name, value);
        }
        Ok(())
    }
}
