//! The variables by which programs find the instances of a project.
//!
//! Must not know how they are printed, nor who is given them.

use doze_contract::Plan;

/// A variable of the environment.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) comment: String,
}

/// Two variables for each instance with an address: the one that clients of its engine look for,
/// and `DOZE_<NAME>_URL`. The first instance in the file has the name that clients look for; the
/// name of a further one of the same kind ends in its own name.
pub(crate) fn variables(plans: &[Plan]) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    for plan in plans {
        let connection = &plan.body.connection;
        let Some(url) = &connection.url else {
            continue;
        };
        let own = shouted(plan.instance.as_str());
        let usual = connection.variable.iter().map(|usual| {
            let taken = found.iter().any(|variable| variable.name == *usual);
            if taken {
                format!("{usual}_{own}")
            } else {
                usual.clone()
            }
        });
        let names: Vec<_> = usual.chain([format!("DOZE_{own}_URL")]).collect();
        for mut name in names {
            // Two names may come down to one in capital letters.
            while found.iter().any(|variable| variable.name == name) {
                name.push('_');
            }
            let comment = format!("{} {}", plan.engine, plan.instance);
            let value = url.clone();
            found.push(Variable {
                name,
                value,
                comment,
            });
        }
    }
    found
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
