//! What a service may use: `mem_limit`, `cpus`, `pids_limit` and `deploy.resources.limits`.

use serde_json::{Map, Value as Json, json};

use super::reader::{Entry, Reader};
use crate::import::Note;

/// Takes the keys out of a service, as those of doze's `limits`.
pub(super) fn read(service: &mut Reader, notes: &mut Vec<Note>) -> Map<String, Json> {
    let mut limits = Map::new();
    for (key, kind) in [
        ("mem_limit", "memory"),
        ("cpus", "cpu"),
        ("pids_limit", "tasks"),
    ] {
        if let Some(entry) = service.take(key) {
            add(&mut limits, kind, &entry, notes);
        }
    }
    let why = |_: &str| "there is one engine, on this machine".to_owned();
    let Some(deploy) = service.take("deploy") else {
        return limits;
    };
    let mut deploy = deploy.reader(notes);
    if let Some(resources) = deploy.take("resources") {
        let mut resources = resources.reader(notes);
        if let Some(entry) = resources.take("limits") {
            let mut keys = entry.reader(notes);
            for (key, kind) in [("memory", "memory"), ("cpus", "cpu"), ("pids", "tasks")] {
                if let Some(entry) = keys.take(key) {
                    add(&mut limits, kind, &entry, notes);
                }
            }
            keys.finish(notes, why);
        }
        resources.finish(notes, why);
    }
    deploy.finish(notes, why);
    limits
}

fn add(limits: &mut Map<String, Json>, kind: &str, entry: &Entry, notes: &mut Vec<Note>) {
    let text = entry.node.text().unwrap_or_default();
    let value = match kind {
        "memory" => memory(text).map(Json::from),
        "cpu" => cpu(text).map(Json::from),
        _ => text
            .parse::<u32>()
            .ok()
            .filter(|tasks| *tasks >= 8)
            .map(|tasks| json!(tasks)),
    };
    match value {
        Some(value) => drop(limits.insert(kind.to_owned(), value)),
        None => notes.push(entry.note("is no limit that doze takes")),
    }
}

/// The smallest memory that doze takes.
const SMALLEST: u64 = 16 << 20;

/// A number of bytes with a unit of 1024 in the largest unit that it is a multiple of.
fn memory(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at_checked(end)?;
    let unit: u64 = match unit.trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    let bytes = number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|bytes| *bytes >= SMALLEST)?;
    let units = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];
    let (name, size) = units.into_iter().find(|(_, size)| bytes % size == 0)?;
    Some(format!("{}{name}", bytes / size))
}

/// A number of processors as per cent of one.
fn cpu(text: &str) -> Option<String> {
    let number: f64 = text.parse().ok()?;
    let is_one = number.is_finite() && number > 0.0 && number <= 1_000.0;
    is_one.then(|| format!("{}%", (number * 100.0).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_in_the_units_of_doze() {
        for (text, expected) in [
            ("512m", Some("512MB")),
            ("1G", Some("1GB")),
            ("1536MB", Some("1536MB")),
            ("20000000", Some("20000000B")),
            ("20000kb", Some("20000KB")),
            ("6m", None),
            ("0", None),
            ("-1", None),
            ("1.5g", None),
            ("99999999999g", None),
        ] {
            assert_eq!(memory(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("0.5", Some("50%")),
            ("2", Some("200%")),
            ("0.001", Some("1%")),
            ("0", None),
            ("NaN", None),
            ("inf", None),
            ("x", None),
        ] {
            assert_eq!(cpu(text).as_deref(), expected, "{text}");
        }
    }
}
