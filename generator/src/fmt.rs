//! The one look of a `doze.toml`: spaces, blank lines, and arrays over several lines.
//!
//! Pure. Comments, the order, and how a value is written stay; what the text means cannot change.
//! Must not know what the keys are for.

use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, KeyMut, RawString, Table, Value};

/// The indentation of an item in an array over several lines.
const INDENT: &str = "    ";

/// The text in its one look; nothing if it is not TOML.
pub fn format(text: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let trailing = above(document.trailing().as_str()?);
    let mut is_first = true;
    table(document.as_table_mut(), &mut is_first);
    document.set_trailing(trailing);
    let formatted = document.to_string();
    let formatted = formatted.trim_start_matches('\n').trim_end();
    let formatted = if formatted.is_empty() {
        String::new()
    } else {
        format!("{formatted}\n")
    };
    // A look that says something else, or would be another one the next time, is none.
    let meaning = |text: &str| text.parse::<toml::Table>().ok();
    (meaning(text)? == meaning(&formatted)?).then_some(formatted)
}

/// The keys of a table, then its tables. The first one of a file has no blank line before it.
fn table(it: &mut Table, is_first: &mut bool) {
    for (mut key, item) in it.iter_mut() {
        match item {
            Item::Value(value) => {
                leaf(&mut key, *is_first);
                *is_first = false;
                whole(value);
            }
            Item::Table(inner) if inner.is_dotted() => {
                clear(key.dotted_decor_mut());
                table(inner, is_first);
            }
            Item::Table(inner) => {
                clear(key.leaf_decor_mut());
                clear(key.dotted_decor_mut());
                header(inner, is_first);
            }
            Item::ArrayOfTables(all) => {
                clear(key.leaf_decor_mut());
                clear(key.dotted_decor_mut());
                for inner in all.iter_mut() {
                    header(inner, is_first);
                }
            }
            Item::None => {}
        }
    }
}

/// A table with a line of its own, and a blank one before that.
fn header(it: &mut Table, is_first: &mut bool) {
    if !it.is_implicit() {
        let comments = above(text(it.decor().prefix()));
        let blank = if comments.starts_with('\n') { "" } else { "\n" };
        let suffix = behind(text(it.decor().suffix()));
        *it.decor_mut() = Decor::new(format!("{blank}{comments}"), suffix);
        *is_first = false;
    }
    table(it, is_first);
}

/// The key of a line, with the comments above it.
fn leaf(key: &mut KeyMut<'_>, is_first: bool) {
    let comments = above(text(key.leaf_decor().prefix()));
    let comments = if is_first {
        comments.trim_start_matches('\n').to_owned()
    } else {
        comments
    };
    *key.leaf_decor_mut() = Decor::new(comments, " ");
    clear(key.dotted_decor_mut());
}

/// The value of a line, with the comment behind it.
fn whole(it: &mut Value) {
    let suffix = behind(text(it.decor().suffix()));
    inside(it, 0);
    *it.decor_mut() = Decor::new(" ", suffix);
}

/// What is inside a value.
fn inside(it: &mut Value, depth: usize) {
    match it {
        Value::Array(all) => array(all, depth),
        Value::InlineTable(all) => inline(all, depth),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}

/// An array stays on one line, or on several if it was on several.
fn array(it: &mut Array, depth: usize) {
    let decor = |value: &Value| {
        let decor = value.decor();
        [
            text(decor.prefix()).to_owned(),
            text(decor.suffix()).to_owned(),
        ]
    };
    let decors: Vec<_> = it.iter().map(decor).collect();
    // A comment between a value and its comma has no better place.
    if decors.iter().any(|[_, suffix]| suffix.contains('#')) {
        return;
    }
    let trailing = it.trailing().as_str().unwrap_or_default().to_owned();
    let mut texts = decors.iter().flatten();
    let is_long = trailing.contains('\n') || texts.any(|text| text.contains('\n'));
    for (number, (value, [prefix, _])) in it.iter_mut().zip(&decors).enumerate() {
        inside(value, depth + 1);
        let prefix = match (is_long, number) {
            (true, _) => lines(prefix, depth + 1),
            (false, 0) => String::new(),
            (false, _) => " ".into(),
        };
        *value.decor_mut() = Decor::new(prefix, "");
    }
    it.set_trailing_comma(is_long && !it.is_empty());
    it.set_trailing(if is_long {
        lines(&trailing, depth)
    } else {
        String::new()
    });
}

/// A table on one line. One over several lines or with dotted keys stays as it is.
fn inline(it: &mut InlineTable, depth: usize) {
    let is_long = |decor: &Decor| {
        [decor.prefix(), decor.suffix()]
            .into_iter()
            .any(|raw| text(raw).contains(['\n', '#']))
    };
    let mut stays = it
        .trailing()
        .as_str()
        .is_none_or(|it| it.contains(['\n', '#']));
    for (key, value) in it.iter_mut() {
        stays |= is_long(key.leaf_decor()) || is_long(value.decor());
        stays |= matches!(value, Value::InlineTable(inner) if inner.is_dotted());
    }
    if stays {
        return;
    }
    let last = it.len();
    for (number, (mut key, value)) in it.iter_mut().enumerate() {
        *key.leaf_decor_mut() = Decor::new(" ", " ");
        inside(value, depth);
        let suffix = if number + 1 == last { " " } else { "" };
        *value.decor_mut() = Decor::new(" ", suffix);
    }
    it.set_trailing_comma(false);
    it.set_trailing("");
}

/// Comments and blank lines above a line: no blanks around them, and of blank lines in a row one.
fn above(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').map(str::trim).collect();
    // Behind the last line break is the indentation.
    lines.pop();
    lines.dedup_by(|next, line| next.is_empty() && line.is_empty());
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// A comment behind a value: where it was, for a column of them may be straight.
fn behind(text: &str) -> String {
    let comment = text.trim();
    if comment.is_empty() {
        return String::new();
    }
    let blanks = text.len() - text.trim_start().len();
    format!("{}{comment}", " ".repeat(blanks.max(1)))
}

/// What stands before an item of an array, or its end, that has a line of its own.
fn lines(text: &str, depth: usize) -> String {
    let indent = INDENT.repeat(depth);
    let (same, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut out = behind(same);
    let comments = rest
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let inner = if depth == 0 { INDENT } else { &indent };
    for comment in comments {
        out.extend(["\n", inner, comment]);
    }
    out + "\n" + &indent
}

fn clear(decor: &mut Decor) {
    *decor = Decor::new("", "");
}

fn text(raw: Option<&RawString>) -> &str {
    raw.and_then(RawString::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
