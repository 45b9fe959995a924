//! From one kind of value to another.

use serde_json::{Map, Value};

use super::{Call, kind, text, weight};

/// The longest text that is decoded, in bytes.
const LONGEST: usize = 1 << 20;

pub(super) fn jsonencode(call: &Call<'_>) -> Result<Value, String> {
    let value = call.get(0)?;
    call.spend(weight(value))?;
    Ok(value.to_string().into())
}

pub(super) fn jsondecode(call: &Call<'_>) -> Result<Value, String> {
    let text = bounded(call)?;
    serde_json::from_str(&text).map_err(|error| format!("the text is no JSON: {error}"))
}

pub(super) fn csvdecode(call: &Call<'_>) -> Result<Value, String> {
    let text = bounded(call)?;
    let wrong = |error: csv::Error| format!("the text is no CSV: {error}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let keys = reader.headers().map_err(wrong)?.clone();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let pairs = keys.iter().zip(&record);
        let line: Map<_, _> = pairs
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let line = Value::Object(line);
        call.spend(weight(&line))?;
        lines.push(line);
    }
    Ok(Value::Array(lines))
}

fn bounded(call: &Call<'_>) -> Result<String, String> {
    let text = call.text(0)?;
    call.spend(text.len())?;
    if text.len() > LONGEST {
        return Err(format!(
            "the text has {} bytes, and at most {LONGEST} are read",
            text.len()
        ));
    }
    Ok(text.into_owned())
}

pub(super) fn toset(call: &Call<'_>) -> Result<Value, String> {
    let list = call.list(0)?;
    call.spend(list.iter().map(weight).sum())?;
    let mut items = list.to_vec();
    items.sort_by_cached_key(ToString::to_string);
    items.dedup();
    Ok(Value::Array(items))
}

pub(super) fn tolist(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::Array(call.list(0)?.to_vec()))
}

pub(super) fn tomap(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::Object(call.map(0)?.clone()))
}

pub(super) fn tostring(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.text(0)?.into())
}

pub(super) fn tonumber(call: &Call<'_>) -> Result<Value, String> {
    let value = call.get(0)?;
    if value.is_number() {
        return Ok(value.clone());
    }
    let text = text(value).map_err(|kind| call.expected(0, "a number or a text", kind))?;
    let number: Option<Value> = serde_json::from_str(text.trim()).ok();
    let number = number.filter(Value::is_number);
    number.ok_or_else(|| "the text is no number".to_owned())
}

pub(super) fn tobool(call: &Call<'_>) -> Result<Value, String> {
    let value = call.get(0)?;
    let read = match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => value.as_bool(),
    };
    let truth = read.map(Value::from);
    truth.ok_or_else(|| call.expected(0, "true or false", kind(value)))
}
