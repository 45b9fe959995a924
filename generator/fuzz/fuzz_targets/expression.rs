//! Any text as a string with expressions, where a few names have values.
#![no_main]

use std::{borrow::Cow, io};

use camino::Utf8Path;
use doze::{
    diagnostic::{Diagnostic, Source, Sources, Span},
    expression::{
        Budget, Expression, Known, Missing, Place, Reference, Scope, Surroundings, World,
    },
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// Some names of each kind, one of which is sensitive.
struct Few;

impl Scope for Few {
    fn find(&self, reference: &Reference) -> Result<Cow<'_, Known>, Missing> {
        let value = match reference {
            Reference::Variable(_) => json!({ "a": [1, -2.5, null], "b": "ä$${" }),
            Reference::Local(_) => json!(["x", "y", { "z": true }]),
            Reference::EachKey => json!("key"),
            Reference::EachValue => return Err(Missing::Reported),
            Reference::CountIndex => json!(3),
            Reference::Attribute { attribute, .. } => json!(attribute),
        };
        let sensitive = matches!(reference, Reference::Local(_));
        Ok(Cow::Owned(Known { value, sensitive }))
    }

    fn roots(&self) -> Vec<String> {
        ["var", "local", "each", "count", "pg"]
            .map(Into::into)
            .into()
    }
}

impl Surroundings for Few {
    fn env(&self, name: &str) -> Option<String> {
        (name == "A").then(|| "a".to_owned())
    }

    fn file(&self, _: &Span, path: &Utf8Path) -> io::Result<String> {
        match path.as_str() {
            "a" => Ok("{\"a\": 1}".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fuzz_target!(|text: &str| {
    // What has none in it is one.
    let text = match Expression::is_one(text) {
        true => text.to_owned(),
        false => format!("${{{text}}}"),
    };
    let mut sources = Sources::default();
    let place = Place {
        whole: 0..text.len(),
        exact: Some(0),
    };
    let parsed = Expression::parse(&text, place);
    sources.add(Source {
        path: "doze.toml".into(),
        text,
    });
    let show = |problem: Diagnostic| doze_fuzz::render(&sources, &[problem]);
    let expression = match parsed {
        Ok(expression) => expression,
        Err(problem) => return show(problem),
    };
    let world = |budget| World {
        scope: &Few,
        surroundings: &Few,
        budget,
    };
    let budget = Budget::default();
    if let Err(Some(problem)) = expression.references(world(&budget)) {
        show(problem);
    }
    let first = expression.evaluate(world(&budget));
    if let Ok(known) = first {
        // A value depends on nothing but the names.
        let again = expression.evaluate(world(&Budget::default()));
        assert_eq!(again.as_ref().ok(), Some(&known));
    } else if let Err(Some(problem)) = first {
        show(problem);
    }
});
