//! What expressions may see of the machine.

use camino::Utf8Path;
use serde_json::Value;

use super::Call;

pub(super) fn env(call: &Call<'_>) -> Result<Value, String> {
    let name = call.text(0)?;
    match call.world.surroundings.env(&name) {
        Some(value) => Ok(value.into()),
        None => call
            .arguments
            .get(1)
            .cloned()
            .ok_or_else(|| format!("{name} is not set, and there is no default")),
    }
}

pub(super) fn file(call: &Call<'_>) -> Result<Value, String> {
    let path = call.text(0)?;
    let text = call
        .world
        .surroundings
        .file(call.place, Utf8Path::new(&*path));
    let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
    call.spend(text.len())?;
    Ok(text.into())
}
