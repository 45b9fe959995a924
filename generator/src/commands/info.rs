//! `doze info`: what is known of an engine, in its driver's own words.

use doze_contract::{EngineName, protocol::Description};
use doze_registry::Kind;
use serde_json::Value;

use super::{Context, search::versions};
use crate::{
    diagnostic::nearest,
    failure::Failure,
    output::{Paint, harmless, print_lines, table},
    toolchain::Toolchains,
};

pub(super) fn run(context: &Context, engine: &str) -> Result<(), Failure> {
    let drivers = context.drivers()?;
    let mut supply = context.registries()?;
    let name = EngineName::new(engine)
        .map_err(|error| Failure::usage(format!("the engine name {engine:?} {error}")))?;
    let mut lines = Vec::new();
    let mut description = drivers.describe(&name)?;
    if let Some(description) = &description {
        let path = drivers.program(&name).map(ToString::to_string);
        lines.push(format!(
            "driver    {} {}",
            description.driver,
            path.unwrap_or_default()
        ));
        let found = Toolchains::default().of(&name, &description.toolchain);
        let found: Vec<_> = found
            .iter()
            .map(|found| format!("{} in {}", found.version, found.folder))
            .collect();
        if !found.is_empty() {
            lines.push(format!("installed {}", found.join(", ")));
        }
    }
    for namespace in supply.namespaces() {
        let index = supply.index(&namespace)?;
        let engines = versions(index, Kind::Engine, &name);
        if !engines.is_empty() {
            lines.push(format!("registry  {namespace} has {engines}"));
        }
        let drivers = versions(index, Kind::Module, &name);
        if !drivers.is_empty() {
            lines.push(format!("registry  {namespace} has its driver {drivers}"));
        }
        let newest = index.modules.get(&name);
        let newest = newest.and_then(|all| all.values().next_back());
        if let (None, Some(release)) = (&description, newest) {
            description = serde_json::from_value(release.description.clone()).ok();
        }
    }
    let Some(description) = description else {
        if !lines.is_empty() {
            return print_lines(&lines).map_err(Failure::io("print"));
        }
        let near = nearest(engine, drivers.engines().map(EngineName::as_str));
        let near = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        return Err(Failure::plain(format!(
            "neither a driver here nor a registry of the project knows {engine}{near}"
        )));
    };
    let majors: Vec<_> = description.majors.iter().map(ToString::to_string).collect();
    if !majors.is_empty() {
        lines.push(format!("versions  {}", majors.join(" ")));
    }
    if let Some(port) = description.default_port {
        lines.push(format!("port      {port}"));
    }
    lines.push(String::new());
    lines.extend(table(&keys(&description), Paint::stdout(), |_| None));
    print_lines(&lines).map_err(Failure::io("print"))
}

/// The keys of its block, from the schema.
fn keys(description: &Description) -> Vec<Vec<String>> {
    let text = |schema: &Value, key: &str| match schema.get(key) {
        Some(Value::String(text)) => harmless(text),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut rows = vec![["KEY", "DEFAULT", "MEANING"].map(String::from).into()];
    let properties = description
        .schema
        .get("properties")
        .and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        rows.push(vec![
            harmless(key),
            schema
                .get("default")
                .map(Value::to_string)
                .unwrap_or_default(),
            text(schema, "description"),
        ]);
    }
    rows
}
