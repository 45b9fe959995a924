//! Functions of lists and tables.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Call, VALUE, equal, kind, text, weight};

pub(super) fn concat(call: &Call<'_>) -> Result<Value, String> {
    let mut all = Vec::new();
    for at in 0..call.arguments.len() {
        let list = call.list(at)?;
        call.spend(list.iter().map(weight).sum())?;
        all.extend_from_slice(list);
    }
    Ok(Value::Array(all))
}

pub(super) fn length(call: &Call<'_>) -> Result<Value, String> {
    match call.get(0)? {
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        Value::String(text) => Ok(text.chars().count().into()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
            Err(call.expected(0, "a list, a table or a text", kind(other)))
        }
    }
}

pub(super) fn contains(call: &Call<'_>) -> Result<Value, String> {
    let wanted = call.get(1)?;
    let list = call.list(0)?;
    call.spend(list.len())?;
    Ok(list.iter().any(|item| equal(item, wanted)).into())
}

pub(super) fn keys(call: &Call<'_>) -> Result<Value, String> {
    let map = call.map(0)?;
    call.spend(map.keys().map(|key| VALUE + key.len()).sum())?;
    Ok(map.keys().map(|key| Value::from(key.as_str())).collect())
}

pub(super) fn values(call: &Call<'_>) -> Result<Value, String> {
    let map = call.map(0)?;
    call.spend(map.values().map(weight).sum())?;
    Ok(map.values().cloned().collect())
}

pub(super) fn lookup(call: &Call<'_>) -> Result<Value, String> {
    let key = call.text(1)?;
    let found = call.map(0)?.get(&*key).or_else(|| call.arguments.get(2));
    found
        .cloned()
        .ok_or_else(|| format!("there is no `{key}` in the table"))
}

pub(super) fn merge(call: &Call<'_>) -> Result<Value, String> {
    let mut all = Map::new();
    for at in 0..call.arguments.len() {
        let map = call.map(at)?;
        call.spend(map.values().map(|it| VALUE + weight(it)).sum())?;
        all.extend(map.clone());
    }
    Ok(Value::Object(all))
}

pub(super) fn flatten(call: &Call<'_>) -> Result<Value, String> {
    let mut flat = Vec::new();
    let list = call.list(0)?;
    call.spend(list.iter().map(weight).sum())?;
    // The next items to look at are at the end.
    let mut open: Vec<&Value> = list.iter().rev().collect();
    while let Some(item) = open.pop() {
        if let Value::Array(items) = item {
            open.extend(items.iter().rev());
        } else {
            flat.push(item.clone());
        }
    }
    Ok(Value::Array(flat))
}

pub(super) fn distinct(call: &Call<'_>) -> Result<Value, String> {
    let list = call.list(0)?;
    call.spend(list.iter().map(weight).sum())?;
    let mut seen = BTreeSet::new();
    let first = |item: &&Value| seen.insert(item.to_string());
    Ok(list.iter().filter(first).cloned().collect())
}

pub(super) fn sort(call: &Call<'_>) -> Result<Value, String> {
    let list = call.list(0)?;
    let mut texts = Vec::with_capacity(list.len());
    for item in list {
        let text = text(item).map_err(|kind| call.expected(0, "a list of texts", kind))?;
        call.spend(VALUE + text.len())?;
        texts.push(text.into_owned());
    }
    texts.sort();
    Ok(texts.into())
}

pub(super) fn reverse(call: &Call<'_>) -> Result<Value, String> {
    let list = call.list(0)?;
    call.spend(list.iter().map(weight).sum())?;
    Ok(list.iter().rev().cloned().collect())
}

pub(super) fn slice(call: &Call<'_>) -> Result<Value, String> {
    let (list, start, end) = (call.list(0)?, call.count(1)?, call.count(2)?);
    let part = list
        .get(start..end)
        .ok_or_else(|| format!("the list has no items from {start} to before {end}"))?;
    call.spend(part.iter().map(weight).sum())?;
    Ok(part.iter().cloned().collect())
}

pub(super) fn element(call: &Call<'_>) -> Result<Value, String> {
    let (list, at) = (call.list(0)?, call.count(1)?);
    let at = at.checked_rem(list.len()).ok_or("the list is empty")?;
    Ok(list.get(at).cloned().unwrap_or_default())
}

pub(super) fn coalesce(call: &Call<'_>) -> Result<Value, String> {
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let found = call.arguments.iter().find(|value| !empty(value));
    found
        .cloned()
        .ok_or_else(|| "every argument is null or empty".to_owned())
}

pub(super) fn range(call: &Call<'_>) -> Result<Value, String> {
    let first = call.integer(0)?;
    let (from, to) = match call.arguments.len() {
        1 => (0, first),
        _ => (first, call.integer(1)?),
    };
    let down = to < from;
    let step = match call.arguments.len() {
        ..=2 if down => -1,
        ..=2 => 1,
        _ => call.integer(2)?,
    };
    if step == 0 || (step < 0) != down && to != from {
        return Err("with this step it never ends".to_owned());
    }
    let mut numbers = Vec::new();
    let mut at = from;
    while if down { at > to } else { at < to } {
        call.spend(VALUE)?;
        numbers.push(Value::from(at));
        let Some(next) = at.checked_add(step) else {
            break;
        };
        at = next;
    }
    Ok(Value::Array(numbers))
}
