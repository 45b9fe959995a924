//! What is wrong with a `doze.toml`, as data, and as a picture of the place.
//!
//! Must not know what can be wrong: whoever finds a problem describes it here.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use camino::Utf8PathBuf;

use crate::output::harmless;

/// A text with its path, for pointing into it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it was read from, as messages show it.
    pub path: Utf8PathBuf,
    /// What it says.
    pub text: String,
}

/// A place in the source, in bytes.
pub type Span = Range<usize>;

/// A place, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The words at it; may be empty.
    pub text: String,
}

/// One problem: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable name of the kind of problem.
    pub code: Code,
    /// What is wrong, as one sentence without its full stop.
    pub message: String,
    /// The place that has to be edited.
    pub at: Label,
    /// Other places that belong to it.
    pub see: Vec<Label>,
    /// What to do.
    pub hint: Option<String>,
}

/// The kinds of problem. The numbers are stable; `docs/reference/diagnostics.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Code {
    /// The text is not TOML.
    Syntax = 1,
    /// A key that nothing reads.
    UnknownKey = 2,
    /// A block of an engine that no driver knows.
    UnknownEngine = 3,
    /// A key that has to be there is not.
    Missing = 4,
    /// A value of the wrong type or out of its range.
    Value = 5,
    /// A text that is not a duration.
    Duration = 6,
    /// Two instances claim one address.
    Conflict = 7,
    /// No toolchain provides the version.
    Toolchain = 8,
    /// A path is too long for a unix socket.
    PathTooLong = 9,
    /// Two instances of one name.
    Duplicate = 10,
    /// A text that is not a name.
    Name = 11,
    /// An instance depends on one that is not there.
    Dependency = 12,
    /// Instances depend on each other in a circle.
    Circle = 13,
    /// A version that the driver of the engine does not know.
    UnknownVersion = 14,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D{:03}", *self as u16)
    }
}

impl Diagnostic {
    /// A problem at one place, with nothing written at it.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let at = Label {
            span,
            text: String::new(),
        };
        Self {
            code,
            message: message.into(),
            at,
            see: Vec::new(),
            hint: None,
        }
    }

    /// Writes something at the place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.at.text = text.into();
        self
    }

    /// Points to another place.
    #[must_use]
    pub fn see(mut self, span: Span, text: impl Into<String>) -> Self {
        self.see.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(harmless(&text.into()));
        self
    }

    /// Says what to do, if there is something to say.
    #[must_use]
    pub fn maybe_hint(mut self, text: Option<String>) -> Self {
        self.hint = text.map(|text| harmless(&text));
        self
    }
}

/// Draws all problems in the order of their places, one blank line between them.
pub fn render(source: &Source, diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut ordered: Vec<_> = diagnostics.iter().collect();
    ordered.sort_by_key(|d| (d.at.span.start, d.code));
    ordered.dedup();
    let pictures: Vec<_> = ordered
        .into_iter()
        .map(|d| picture(source, d, colour))
        .collect();
    pictures.join("\n\n")
}

fn picture(source: &Source, diagnostic: &Diagnostic, colour: bool) -> String {
    let code = diagnostic.code.to_string();
    let annotate = |kind: AnnotationKind, label: &Label| {
        let text = (!label.text.is_empty()).then(|| label.text.clone());
        kind.span(inside(&source.text, &label.span)).label(text)
    };
    let snippet = Snippet::source(source.text.as_str())
        .path(source.path.as_str())
        .annotation(annotate(AnnotationKind::Primary, &diagnostic.at))
        .annotations(
            diagnostic
                .see
                .iter()
                .map(|see| annotate(AnnotationKind::Context, see)),
        );
    let mut group = Level::ERROR
        .primary_title(diagnostic.message.as_str())
        .id(code.as_str())
        .element(snippet);
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

/// The span cut to the text and to whole characters: a renderer may not be handed anything else.
fn inside(text: &str, span: &Span) -> Span {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

/// The candidate that `word` was probably meant to be, for "did you mean".
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let close = |candidate: &&str| distance(candidate) <= 1 + candidate.chars().count() / 4;
    candidates.into_iter().filter(close).min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_a_slip_of_the_finger_and_not_another_word() {
        let engines = ["postgres", "valkey", "s3"];
        assert_eq!(nearest("postgers", engines), Some("postgres"));
        assert_eq!(nearest("valky", engines), Some("valkey"));
        assert_eq!(nearest("mysql", engines), None);
        assert_eq!(nearest("sqs", engines), None);
    }

    #[test]
    fn both_places_are_drawn_in_one_picture() {
        let source = Source {
            path: "doze.toml".into(),
            text: "[postgres.a]\nport = 5432\n[postgres.b]\nport = 5432\n".into(),
        };
        let found = Diagnostic::new(Code::Conflict, 45..49, "127.0.0.1:5432 is claimed twice")
            .label("claimed again by `b`")
            .see(20..24, "claimed by `a`")
            .hint("give one of them another port");
        insta::assert_snapshot!(render(&source, &[found], false), @r"
        error[D007]: 127.0.0.1:5432 is claimed twice
         --> doze.toml:4:8
          |
        2 | port = 5432
          |        ---- claimed by `a`
        3 | [postgres.b]
        4 | port = 5432
          |        ^^^^ claimed again by `b`
          |
          = help: give one of them another port
        ");
    }

    #[test]
    fn a_span_outside_the_text_draws_what_there_is() {
        let source = Source {
            path: "doze.toml".into(),
            text: "ü".into(),
        };
        let found = Diagnostic::new(Code::Syntax, 1..99, "broken");
        assert!(render(&source, &[found], false).contains("broken"));
    }
}
