//! `extends`: a service that begins as a copy of another one, of this file or of another.

use super::yaml::{self, Key, Node, Value};
use crate::import::{ImportError, Note, Surroundings};

/// The services of a file.
pub(super) type Services = [(Key, Node)];

/// How many nodes the copies may have together; each is as large as a file may be.
const LARGEST: usize = 400_000;

/// The service with all that it is made from.
pub(super) fn resolve(
    service: &Node,
    name: &str,
    services: &Services,
    around: &dyn Surroundings,
    budget: &mut usize,
    notes: &mut Vec<Note>,
) -> Result<Node, ImportError> {
    let mut trail = vec![(String::new(), name.to_owned())];
    let node = below(service, services, around, &mut trail, notes)?;
    *budget += size(&node);
    if *budget > LARGEST {
        let message = "the services extend each other to more than a file should hold";
        return Err(ImportError::syntax(Some(node.line), message));
    }
    Ok(node)
}

fn below(
    service: &Node,
    services: &Services,
    around: &dyn Surroundings,
    trail: &mut Vec<(String, String)>,
    notes: &mut Vec<Note>,
) -> Result<Node, ImportError> {
    let mut own = service.clone();
    let Value::Map(map) = &mut own.value else {
        return Ok(own);
    };
    let Some(at) = map.iter().position(|(key, _)| key.name == "extends") else {
        return Ok(own);
    };
    let (key, what) = map.remove(at);
    let (file, base) = asked(&what);
    let note = |why: String| {
        let of = trail
            .last()
            .map(|(_, name)| name.as_str())
            .unwrap_or_default();
        Note::new(key.line, format!("services.{of}.extends"), why)
    };
    let step = (file.clone(), base.clone());
    if trail.contains(&step) || trail.len() > 20 {
        let message = format!("the service `{base}` extends itself");
        return Err(ImportError::syntax(Some(key.line), message));
    }
    let other = if file.is_empty() {
        None
    } else if let Some(text) = around.file(&file) {
        Some(yaml::parse(&text)?)
    } else {
        notes.push(note(format!("`{file}` cannot be read")));
        return Ok(own);
    };
    let services = match &other {
        Some(other) => services_of(other),
        None => services,
    };
    let Some((_, node)) = services.iter().find(|(key, _)| key.name == base) else {
        notes.push(note(format!("there is no service `{base}`")));
        return Ok(own);
    };
    trail.push(step);
    let base = below(node, services, around, trail, notes)?;
    Ok(merge(base, own))
}

fn asked(what: &Node) -> (String, String) {
    let Value::Map(map) = &what.value else {
        return (String::new(), what.text().unwrap_or_default().to_owned());
    };
    let get = |name: &str| {
        let found = map.iter().find(|(key, _)| key.name == name);
        found
            .and_then(|(_, value)| value.text())
            .unwrap_or_default()
            .to_owned()
    };
    (get("file"), get("service"))
}

fn services_of(root: &Node) -> &Services {
    let Value::Map(map) = &root.value else {
        return &[];
    };
    match map.iter().find(|(key, _)| key.name == "services") {
        Some((
            _,
            Node {
                value: Value::Map(services),
                line: _,
            },
        )) => services,
        _ => &[],
    }
}

/// Tables are merged, lists follow each other, everything else is replaced.
fn merge(base: Node, own: Node) -> Node {
    let value = match (base.value, own.value) {
        (Value::Map(mut all), Value::Map(own)) => {
            for (key, value) in own {
                let at = all.iter().position(|(known, _)| known.name == key.name);
                let before = at.map(|at| all.remove(at).1);
                // A command is one value, though it is written as a list.
                let whole = matches!(key.name.as_str(), "command" | "entrypoint" | "test");
                let merged = match before {
                    Some(before) if !whole => merge(before, value),
                    Some(_) | None => value,
                };
                all.push((key, merged));
            }
            Value::Map(all)
        }
        (Value::List(mut all), Value::List(own)) => {
            all.extend(own);
            Value::List(all)
        }
        (_, own) => own,
    };
    Node {
        line: own.line,
        value,
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Text(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(map) => map.iter().map(|(_, value)| size(value)).sum::<usize>(),
    }
}
