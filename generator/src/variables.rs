//! The variables by which programs find the instances of a project.
//!
//! Must not know how they are printed, nor who is given them.

use std::collections::BTreeSet;

use doze_contract::{EngineName, InstanceName, Plan, plan::Body};

use crate::config::Instance;

/// A variable of the environment.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    /// What clients of the engine look for, if it is for them: its name, or the beginning of that.
    pub(crate) usual: Option<String>,
    /// The instance that it leads to.
    pub(crate) instance: InstanceName,
    pub(crate) comment: String,
}

/// An instance that a program may look for.
pub(crate) struct Found<'a> {
    instance: &'a InstanceName,
    engine: &'a EngineName,
    body: &'a Body,
}

impl<'a> From<&'a Plan> for Found<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            instance: &plan.instance,
            engine: &plan.engine,
            body: &plan.body,
        }
    }
}

impl<'a> From<&'a Instance> for Found<'a> {
    fn from(instance: &'a Instance) -> Self {
        Self {
            instance: &instance.name,
            engine: &instance.engine,
            body: &instance.body,
        }
    }
}

/// Two variables for each instance with an address: the one that clients of its engine look for,
/// and `DOZE_<NAME>_URL`; and `DOZE_<NAME>_<SIDE>_URL` for each address besides. The first instance in the file has the name that clients look for; the
/// name of a further one of the same kind ends in its own name.
pub(crate) fn variables<'a, T: Into<Found<'a>>>(
    instances: impl IntoIterator<Item = T>,
) -> Vec<Variable> {
    let mut variables = Vec::new();
    let mut taken = BTreeSet::new();
    for found in instances {
        let Found {
            instance,
            engine,
            body,
        } = found.into();
        let connection = &body.connection;
        let Some(url) = &connection.url else {
            continue;
        };
        let own = shouted(instance.as_str());
        let usual = connection.variable.as_ref().map(|usual| {
            let name = if taken.contains(usual) {
                format!("{usual}_{own}")
            } else {
                usual.clone()
            };
            (name, Some(usual), url.clone())
        });
        let itself = (format!("DOZE_{own}_URL"), None, url.clone());
        let side = body.side.iter().map(|side| {
            let name = format!("DOZE_{own}_{}_URL", shouted(&side.name));
            (name, None, body.side_url(side))
        });
        for (mut name, usual, value) in usual.into_iter().chain([itself]).chain(side) {
            // Two names may come down to one in capital letters.
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            variables.push(Variable {
                name,
                value,
                usual: usual.cloned(),
                instance: instance.clone(),
                comment: format!("{engine} {instance}"),
            });
        }
    }
    variables
}

/// A name as a part of a variable's name.
fn shouted(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}
