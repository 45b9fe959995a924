//! What is wrong with a `doze.toml`, as data, and as a picture of the place.
//!
//! Must not know what can be wrong: whoever finds a problem describes it here.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::output::harmless;

/// A text with its path, for pointing into it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it was read from, as messages show it.
    pub path: Utf8PathBuf,
    /// What it says.
    pub text: String,
}

/// A place in the [`Sources`] of a project, in bytes from the beginning of the first.
pub type Span = Range<usize>;

/// All texts of a project, one behind the other, so that a [`Span`] is a place in one of them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: Vec<(usize, Source)>,
    secrets: BTreeSet<String>,
    covered: Vec<Span>,
}

impl Sources {
    /// Adds a text, and tells where it begins.
    pub fn add(&mut self, source: Source) -> usize {
        // The place behind the last byte belongs to a text, too.
        let end = |(start, source): &(usize, Source)| start + source.text.len() + 1;
        let start = self.texts.last().map_or(0, end);
        self.texts.push((start, source));
        start
    }

    /// The text in which a place is, and where it begins.
    pub fn at(&self, place: usize) -> Option<(usize, &Source)> {
        let behind = self.texts.partition_point(|(start, _)| *start <= place);
        let (start, source) = self.texts.get(behind.checked_sub(1)?)?;
        Some((*start, source))
    }

    /// The folder of the text in which a place is.
    pub fn folder(&self, place: &Span) -> &Utf8Path {
        let folder = self.at(place.start).and_then(|(_, it)| it.path.parent());
        folder.unwrap_or(Utf8Path::new("."))
    }

    /// The path of the first text.
    pub fn main(&self) -> &Utf8Path {
        let first = self.texts.first();
        first.map_or(Utf8Path::new("the project"), |(_, source)| &source.path)
    }

    /// Adds texts that are never to be shown.
    pub fn hide(&mut self, secrets: &[String]) {
        for secret in secrets {
            if !secret.is_empty() && !self.secrets.contains(secret) {
                self.secrets.insert(secret.clone());
            }
        }
    }

    /// Makes pictures show the place, and not what stands there.
    pub fn cover(&mut self, place: Span) {
        self.covered.push(place);
    }

    /// A text that begins at this place, as pictures show it: every place in it stays where it is.
    fn shown<'a>(&self, start: usize, text: &'a str) -> Cow<'a, str> {
        let end = start + text.len();
        let here = |place: &&Span| start <= place.start && place.end <= end;
        let mut shown = Cow::Borrowed(text);
        for place in self.covered.iter().filter(here) {
            let span = inside(text, &(place.start - start..place.end - start));
            let hidden = text.get(span.clone()).unwrap_or_default().bytes();
            let stars: String = hidden
                .map(|b| if b == b'\n' { '\n' } else { '*' })
                .collect();
            shown.to_mut().replace_range(span, &stars);
        }
        shown
    }

    /// The words without what is never to be shown.
    pub fn without_secrets(&self, words: &str) -> String {
        let mut places: Vec<Span> = Vec::new();
        for secret in &self.secrets {
            // Messages quote what they repeat.
            let quoted = format!("{secret:?}");
            let inner = quoted.trim_matches('"');
            for form in [secret.as_str(), inner]
                .into_iter()
                .filter(|it| !it.is_empty())
            {
                let found = words.match_indices(form);
                places.extend(found.map(|(at, form)| at..at + form.len()));
            }
        }
        // One secret may be a part of another, or overlap it.
        places.sort_by_key(|place| place.start);
        let (mut shown, mut end) = (String::new(), 0);
        for place in places {
            if place.start >= end {
                shown += words.get(end..place.start).unwrap_or_default();
                shown += "(sensitive)";
            }
            end = end.max(place.end);
        }
        shown + words.get(end..).unwrap_or_default()
    }
}

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
    /// An expression that cannot be read or computed.
    Expression = 15,
    /// A reference to something that is not there.
    Reference = 16,
    /// A variable without a value, or with one that is not of its type.
    Variable = 17,
    /// Two files that say the same thing.
    Merge = 18,
    /// `count` or `for_each` that makes no instances.
    Stamp = 19,
    /// A profile that is not there.
    Profile = 20,
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

/// Problems in the order of their places, each once, without what is never to be shown.
pub fn ordered(sources: &Sources, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut ordered: Vec<_> = diagnostics.to_vec();
    ordered.sort_by_key(|d| (d.at.span.start, d.code));
    ordered.dedup();
    for found in &mut ordered {
        let labels = found.see.iter_mut().map(|see| &mut see.text);
        let words = [&mut found.message, &mut found.at.text].into_iter();
        for words in words.chain(labels).chain(&mut found.hint) {
            *words = sources.without_secrets(words);
        }
    }
    ordered
}

/// The most problems that are drawn; a block can make thousands of them at one place.
const DRAWN: usize = 100;

/// Draws the problems in the order of their places, one blank line between them.
pub fn render(sources: &Sources, diagnostics: &[Diagnostic], colour: bool) -> String {
    let ordered = ordered(sources, diagnostics);
    let drawn = ordered.iter().take(DRAWN);
    let mut pictures: Vec<_> = drawn.map(|d| picture(sources, d, colour)).collect();
    if let more @ 1.. = ordered.len() - pictures.len() {
        pictures.push(format!("and {more} more"));
    }
    pictures.join("\n\n")
}

fn picture(sources: &Sources, diagnostic: &Diagnostic, colour: bool) -> String {
    let code = diagnostic.code.to_string();
    let mut group = Level::ERROR
        .primary_title(diagnostic.message.as_str())
        .id(code.as_str())
        .elements([] as [Snippet<'_, Annotation<'_>>; 0]);
    // The place to edit comes first, and with it whatever is in the same text.
    let home = sources.at(diagnostic.at.span.start).map(|(start, _)| start);
    let elsewhere = |see: &&Label| sources.at(see.span.start).map(|(start, _)| start) != home;
    let near = diagnostic.see.iter().filter(|see| !elsewhere(see));
    if let Some(start) = home {
        group = group.elements(snippet(sources, start, Some(&diagnostic.at), near));
    }
    for see in diagnostic.see.iter().filter(elsewhere) {
        if let Some((start, _)) = sources.at(see.span.start) {
            group = group.elements(snippet(sources, start, None, [see].into_iter()));
        }
    }
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

/// The lines of one text with what is to be said about them.
fn snippet<'a>(
    sources: &'a Sources,
    start: usize,
    primary: Option<&Label>,
    context: impl Iterator<Item = &'a Label>,
) -> Option<Snippet<'a, Annotation<'a>>> {
    let (_, source) = sources.at(start)?;
    let annotate = |kind: AnnotationKind, label: &Label| {
        let text = (!label.text.is_empty()).then(|| label.text.clone());
        let span = label.span.start.saturating_sub(start)..label.span.end.saturating_sub(start);
        kind.span(inside(&source.text, &span)).label(text)
    };
    let snippet = Snippet::source(sources.shown(start, &source.text))
        .path(source.path.as_str())
        .annotations(primary.map(|label| annotate(AnnotationKind::Primary, label)))
        .annotations(context.map(|see| annotate(AnnotationKind::Context, see)));
    Some(snippet)
}

/// The problems for a program: an array of objects, each with `code`, `message`, `hint`, the place
/// to edit and further places, with lines and columns counted from 1, columns in characters.
pub fn to_json(sources: &Sources, diagnostics: &[Diagnostic]) -> serde_json::Value {
    let place = |label: &Label| {
        let (start, source) = sources.at(label.span.start)?;
        let span = label.span.start - start..label.span.end.saturating_sub(start);
        let span = inside(&source.text, &span);
        let point = |at: usize| {
            let before = source.text.get(..at).unwrap_or_default();
            let line = before.rfind('\n').map_or(0, |newline| newline + 1);
            let column = before.get(line..).unwrap_or_default().chars().count() + 1;
            json!({ "line": before.matches('\n').count() + 1, "column": column })
        };
        let label = (!label.text.is_empty()).then_some(&label.text);
        let (start, end) = (point(span.start), point(span.end));
        Some(json!({ "file": source.path, "start": start, "end": end, "label": label }))
    };
    let one = |d: &Diagnostic| {
        json!({
            "code": d.code.to_string(),
            "message": d.message,
            "at": place(&d.at),
            "see": d.see.iter().filter_map(place).collect::<Vec<_>>(),
            "hint": d.hint,
        })
    };
    ordered(sources, diagnostics).iter().map(one).collect()
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

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add(Source {
            path: "doze.toml".into(),
            text: text.into(),
        });
        sources
    }

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
        let source = sources("[postgres.a]\nport = 5432\n[postgres.b]\nport = 5432\n");
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
    fn not_more_is_drawn_than_anybody_reads() {
        let source = sources("a");
        let found: Vec<_> = (0..250)
            .map(|at| Diagnostic::new(Code::Value, 0..1, format!("wrong: {at}")))
            .collect();
        let drawn = render(&source, &found, false);
        assert_eq!(drawn.matches("error[D005]").count(), 100);
        assert!(drawn.ends_with("and 150 more"), "{drawn}");
        assert_eq!(to_json(&source, &found).as_array().unwrap().len(), 250);
    }

    #[test]
    fn a_secret_is_hidden_whole_though_others_are_a_part_of_it() {
        let mut sources = sources("");
        let secrets = ["s3", "s3cret", "ret!", "e", "\n", "\""];
        sources.hide(&secrets.map(ToOwned::to_owned));
        let hidden = |words: &str| sources.without_secrets(words);
        assert_eq!(
            hidden("it is s3cret! here"),
            "it is (sensitive) h(sensitive)r(sensitive)"
        );
        assert_eq!(hidden("a\\nb"), "a(sensitive)b");
        assert_eq!(hidden("nothing"), "nothing");
    }

    #[test]
    fn a_span_outside_the_text_draws_what_there_is() {
        let source = sources("ü");
        let found = Diagnostic::new(Code::Syntax, 1..99, "broken");
        assert!(render(&source, &[found], false).contains("broken"));
    }

    #[test]
    fn what_is_covered_is_not_in_the_picture_and_everything_else_is_where_it_was() {
        let text = "a = \"gehé\"\nb = 1\n";
        let mut sources = sources(text);
        sources.cover(4..11);
        let found = Diagnostic::new(Code::Variable, 4..11, "no").see(12..13, "see");
        let picture = render(&sources, &[found], false);
        assert!(!picture.contains("geh"), "{picture}");
        assert!(picture.contains("1 | a = *******\n"), "{picture}");
        assert!(picture.contains("2 | b = 1\n  | - see"), "{picture}");
    }
}
