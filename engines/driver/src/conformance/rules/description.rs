//! What a description has to hold. It must not know how it is asked for.

use doze_contract::protocol::Description;
use serde_json::{Value, json};

use super::properties;
use crate::conformance::report::{Flaw, Rules, demand};

/// The versions that the driver knows; without right ones nothing can be asked of it.
pub(super) fn majors(rules: &mut Rules<'_>, about: &Description) -> Result<(), Flaw> {
    rules.rule("describe: majors, oldest first", || {
        let majors = &about.majors;
        demand(majors.is_sorted_by(|a, b| a < b), || {
            let majors: Vec<_> = majors.iter().map(ToString::to_string).collect();
            format!("came {}", majors.join(", "))
        })
    })
}

pub(super) fn check(rules: &mut Rules<'_>, about: &Description) {
    rules.last(
        "describe: a default port, and the name of a file for the socket",
        || {
            demand(about.default_port != Some(0), || "the port is 0".to_owned())?;
            let name = about.socket_name.as_str();
            let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
            demand(plain, || format!("the name of the socket is {name:?}"))
        },
    );
    rules.last(
        "describe: a server program, and absolute folders with at most one `*`",
        || {
            let search = &about.toolchain;
            if about.majors.is_empty() {
                let nothing = search.servers.is_empty() && search.needs.is_empty();
                demand(nothing, || "an engine without versions has none".to_owned())?;
                return Err(Flaw::unfit("the engine has no versions"));
            }
            demand(!search.servers.is_empty(), || {
                "there is no server".to_owned()
            })?;
            for program in search.servers.iter().chain(&search.needs) {
                let plain = !program.is_empty() && !program.contains('/');
                demand(plain, || format!("{program:?} is no name of a program"))?;
            }
            for folder in &search.folders {
                let right = folder.starts_with('/') && folder.matches('*').count() <= 1;
                demand(right, || format!("came {folder:?}"))?;
            }
            Ok(())
        },
    );
    rules.last(
        "describe: a schema that tells what each key does and allows no other",
        || {
            let other = about.schema.get("additionalProperties");
            demand(other == Some(&json!(false)), || {
                format!("expected \"additionalProperties\": false\ncame     {other:?}")
            })?;
            for (name, property) in properties(about) {
                let doc = property.get("description").and_then(Value::as_str);
                demand(doc.is_some_and(|doc| !doc.is_empty()), || {
                    format!("`{name}` has no description")
                })?;
            }
            Ok(())
        },
    );
}
