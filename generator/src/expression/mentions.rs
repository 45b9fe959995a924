//! All that an expression refers to, without its value.

use std::cell::RefCell;

use hcl_edit::{
    Decorated,
    expr::{Expression as Expr, ObjectKey, Traversal, TraversalOperator},
    template::{Element, Template},
};
use serde_json::Value;

use super::{
    Place, Reference, World,
    eval::{Failed, Walk},
    functions,
};
use crate::diagnostic::{Diagnostic, Span};

pub(super) fn references(
    template: &Template,
    place: &Place,
    world: World<'_>,
) -> Result<Vec<(Reference, Span)>, Option<Diagnostic>> {
    let walk = Walk::new(place, world, Some(RefCell::default()));
    let told = walk.mentions(template);
    told.map_err(|failed| failed.map(|it| *it))?;
    let found = walk.found.map(RefCell::into_inner).unwrap_or_default();
    let found = found.into_iter();
    Ok(found
        .map(|(reference, start, end)| (reference, start..end))
        .collect())
}

impl Walk<'_> {
    fn mentions(&self, template: &Template) -> Result<(), Failed> {
        for element in template {
            if let Element::Interpolation(part) = element {
                self.mentioned(&part.expr)?;
            }
        }
        Ok(())
    }

    fn mentioned(&self, expr: &Expr) -> Result<(), Failed> {
        self.spend(expr, functions::VALUE)?;
        match expr {
            Expr::Null(_) | Expr::Bool(_) | Expr::Number(_) | Expr::String(_) => {}
            Expr::Variable(name) => {
                let root = name.to_string();
                if !self.is_looped(&root) {
                    return Err(self.rootless(expr, &root));
                }
            }
            Expr::Array(items) => {
                for item in items {
                    self.mentioned(item)?;
                }
            }
            Expr::Object(object) => {
                for (key, item) in object {
                    if let ObjectKey::Expression(key) = key {
                        self.mentioned(key)?;
                    }
                    self.mentioned(item.expr())?;
                }
            }
            Expr::StringTemplate(template) => {
                let parts: Template = template.iter().cloned().collect();
                self.mentions(&parts)?;
            }
            Expr::HeredocTemplate(heredoc) => self.mentions(&heredoc.template)?,
            Expr::Parenthesis(inner) => self.mentioned(inner.inner())?,
            Expr::Conditional(it) => {
                self.mentioned(&it.cond_expr)?;
                self.mentioned(&it.true_expr)?;
                self.mentioned(&it.false_expr)?;
            }
            Expr::FuncCall(call) => {
                self.function(call)?;
                for argument in &call.args {
                    self.mentioned(argument)?;
                }
            }
            Expr::UnaryOp(it) => self.mentioned(&it.expr)?,
            Expr::BinaryOp(it) => {
                self.mentioned(&it.lhs_expr)?;
                self.mentioned(&it.rhs_expr)?;
            }
            Expr::Traversal(traversal) => self.mentioned_traversal(expr, traversal)?,
            Expr::ForExpr(it) => {
                self.mentioned(&it.intro.collection_expr)?;
                // What it goes through is usually known by now; an index may depend on it.
                let pairs = match self.pairs(&it.intro.collection_expr) {
                    Ok(pairs) => pairs,
                    Err(failed) if self.world.budget.is_spent() => return Err(failed),
                    Err(_) => vec![(Value::Null, Value::Null)],
                };
                for pair in pairs {
                    self.inside(it, pair, || {
                        let parts = it.key_expr.iter().chain([&it.value_expr]);
                        let mut parts = parts.chain(it.cond.iter().map(|cond| &cond.expr));
                        parts.try_for_each(|part| self.mentioned(part))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn mentioned_traversal(&self, expr: &Expr, traversal: &Traversal) -> Result<(), Failed> {
        let operators: Vec<_> = traversal.operators.iter().map(Decorated::value).collect();
        let mut rest = operators.as_slice();
        if let Expr::Variable(name) = &traversal.expr {
            if !self.is_looped(name.as_str()) {
                let (reference, span, behind) = self.reference(expr, name.as_str(), &operators)?;
                if let Some(found) = &self.found {
                    let place = (reference, span.start, span.end);
                    found.borrow_mut().insert(place);
                }
                rest = behind;
            }
        } else {
            self.mentioned(&traversal.expr)?;
        }
        for operator in rest {
            if let TraversalOperator::Index(key) = operator {
                self.mentioned(key)?;
            }
        }
        Ok(())
    }
}
