//! Functions of texts.

use regex_lite::Regex;
use serde_json::Value;

use super::{Call, VALUE, text as as_text};

pub(super) fn upper(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.to_uppercase().into())
}

pub(super) fn lower(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.to_lowercase().into())
}

pub(super) fn title(call: &Call<'_>) -> Result<Value, String> {
    let mut inside = false;
    let mut titled = String::new();
    for c in call.text(0)?.chars() {
        if inside {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    Ok(titled.into())
}

pub(super) fn trim(call: &Call<'_>) -> Result<Value, String> {
    let characters: Vec<_> = call.text(1)?.chars().collect();
    Ok(call.text(0)?.trim_matches(characters.as_slice()).into())
}

pub(super) fn trimspace(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.trim().into())
}

pub(super) fn trimprefix(call: &Call<'_>) -> Result<Value, String> {
    let (text, prefix) = (call.text(0)?, call.text(1)?);
    Ok(text.strip_prefix(&*prefix).unwrap_or(&text).into())
}

pub(super) fn trimsuffix(call: &Call<'_>) -> Result<Value, String> {
    let (text, suffix) = (call.text(0)?, call.text(1)?);
    Ok(text.strip_suffix(&*suffix).unwrap_or(&text).into())
}

pub(super) fn replace(call: &Call<'_>) -> Result<Value, String> {
    let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let pattern = old.strip_prefix('/').and_then(|old| old.strip_suffix('/'));
    if let Some(pattern) = pattern {
        let pattern = compile(call, pattern, &text)?;
        let groups = new.matches('$').count();
        for found in pattern.find_iter(&text) {
            // To find one that is short may take a look at all the rest.
            let rest = text.len() - found.start() + 16;
            call.spend(rest.saturating_mul(old.len() + 16))?;
            call.spend(new.len() + found.len().saturating_mul(groups))?;
        }
        return Ok(pattern.replace_all(&text, &*new).into());
    }
    let matches = if old.is_empty() {
        text.len() + 1
    } else {
        text.matches(&*old).count()
    };
    call.spend(matches.saturating_mul(new.len()).saturating_add(text.len()))?;
    Ok(text.replace(&*old, &new).into())
}

pub(super) fn split(call: &Call<'_>) -> Result<Value, String> {
    let (separator, text) = (call.text(0)?, call.text(1)?);
    let part = |text: &str| {
        call.spend(VALUE + text.len())?;
        Ok(Value::from(text))
    };
    if separator.is_empty() {
        let mut letter = [0; 4];
        return text
            .chars()
            .map(|c| part(c.encode_utf8(&mut letter)))
            .collect();
    }
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    text.split(&*separator).map(part).collect()
}

pub(super) fn join(call: &Call<'_>) -> Result<Value, String> {
    let separator = call.text(0)?;
    let mut joined = String::new();
    for (at, item) in call.list(1)?.iter().enumerate() {
        let item = as_text(item).map_err(|kind| format!("item {at} of the list is {kind}"))?;
        call.spend(item.len() + separator.len())?;
        if at > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&item);
    }
    Ok(joined.into())
}

pub(super) fn regex(call: &Call<'_>) -> Result<Value, String> {
    let (pattern, text) = (call.text(0)?, call.text(1)?);
    let pattern = compile(call, &pattern, &text)?;
    let found = pattern
        .captures(&text)
        .ok_or("it matches nothing in the text")?;
    let group = |at| found.get(at).map_or(Value::Null, |it| it.as_str().into());
    let names: Vec<_> = pattern.capture_names().collect();
    let named = |(at, name): (usize, Option<&str>)| Some((name?.to_owned(), group(at)));
    let named: serde_json::Map<_, _> = names
        .iter()
        .copied()
        .enumerate()
        .filter_map(named)
        .collect();
    Ok(match (names.len(), named.is_empty()) {
        (_, false) => Value::Object(named),
        (..=1, true) => group(0),
        (groups, true) => (1..groups).map(group).collect(),
    })
}

/// The search takes as many steps as the two are long, multiplied.
fn compile(call: &Call<'_>, pattern: &str, text: &str) -> Result<Regex, String> {
    call.spend((pattern.len() + 16).saturating_mul(text.len() + 16))?;
    Regex::new(pattern).map_err(|error| format!("this is no regular expression: {error}"))
}

pub(super) fn substr(call: &Call<'_>) -> Result<Value, String> {
    let text = call.text(0)?;
    let (offset, length) = (call.integer(1)?, call.integer(2)?);
    let skip = usize::try_from(offset).unwrap_or_else(|_| {
        let back = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        text.chars().count().saturating_sub(back)
    });
    let take = usize::try_from(length).unwrap_or(usize::MAX);
    let part: String = text.chars().skip(skip).take(take).collect();
    Ok(part.into())
}

pub(super) fn strlen(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.chars().count().into())
}

pub(super) fn chomp(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.trim_end_matches(['\n', '\r']).into())
}

pub(super) fn indent(call: &Call<'_>) -> Result<Value, String> {
    let (spaces, text) = (call.count(0)?, call.text(1)?);
    let lines = text.matches('\n').count();
    call.spend(lines.saturating_mul(spaces).saturating_add(text.len()))?;
    let deep = format!("\n{}", " ".repeat(if lines == 0 { 0 } else { spaces }));
    Ok(text.replace('\n', &deep).into())
}
