//! Privileges: whom they are given to, what for, and which there are (chapter 5.8 of the manual). It
//! must not know how they are given.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is declared as one grant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// A role, or `public`.
    pub(crate) role: String,
    /// As they were written.
    pub(crate) privileges: Vec<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) objects: Option<Objects>,
    pub(crate) with_grant_option: bool,
}

/// Objects in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Objects {
    Tables,
    Sequences,
    Functions,
}

/// What privileges are for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    Database(String),
    Schema(String),
    /// All of a schema that are there.
    Objects {
        schema: String,
        kind: Objects,
    },
    /// All that `owner` will make in it: the default privileges.
    Future {
        owner: String,
        schema: String,
        kind: Objects,
    },
}

impl Grant {
    /// What it is for, if it says so unambiguously.
    pub(crate) fn target(&self) -> Option<Target> {
        match (&self.database, &self.schema, self.objects) {
            (Some(database), None, None) => Some(Target::Database(database.clone())),
            (None, Some(schema), None) => Some(Target::Schema(schema.clone())),
            (None, Some(schema), Some(kind)) => Some(Target::Objects {
                schema: schema.clone(),
                kind,
            }),
            _ => None,
        }
    }
}

impl Objects {
    /// The server's word for them, in the plural. Its FUNCTIONS would leave procedures out.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tables => "TABLES",
            Self::Sequences => "SEQUENCES",
            Self::Functions => "ROUTINES",
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tables => "tables",
            Self::Sequences => "sequences",
            Self::Functions => "functions",
        })
    }
}

/// For people.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(name) => write!(f, "database {name}"),
            Self::Schema(name) => write!(f, "schema {name}"),
            Self::Objects { schema, kind } => write!(f, "{kind} in schema {schema}"),
            Self::Future {
                owner,
                schema,
                kind,
            } => write!(f, "new {kind} of {owner} in schema {schema}"),
        }
    }
}

impl Target {
    /// The privileges that there are for it in a server of this major version: what ALL stands for.
    pub(crate) fn privileges(&self, major: u32) -> &'static [&'static str] {
        const TABLES: &[&str] = &[
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "TRUNCATE",
            "REFERENCES",
            "TRIGGER",
            "MAINTAIN",
        ];
        match self {
            Self::Database(_) => &["CREATE", "CONNECT", "TEMPORARY"],
            Self::Schema(_) => &["USAGE", "CREATE"],
            Self::Objects { kind, .. } | Self::Future { kind, .. } => match kind {
                Objects::Tables if major < MAINTAIN_SINCE => {
                    TABLES.split_last().map_or(TABLES, |(_, before)| before)
                }
                Objects::Tables => TABLES,
                Objects::Sequences => &["USAGE", "SELECT", "UPDATE"],
                Objects::Functions => &["EXECUTE"],
            },
        }
    }

    /// Those of them that a declared privilege stands for; none if it is not one for this.
    pub(crate) fn meant(&self, privilege: &str, major: u32) -> &'static [&'static str] {
        let all = self.privileges(major);
        let name = privilege.to_ascii_uppercase();
        let name = match name.as_str() {
            "ALL" | "ALL PRIVILEGES" => return all,
            "TEMP" => "TEMPORARY",
            name => name,
        };
        all.iter()
            .position(|known| *known == name)
            .and_then(|at| all.get(at..=at))
            .unwrap_or_default()
    }
}

/// The first major version with the privilege MAINTAIN.
pub(crate) const MAINTAIN_SINCE: u32 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_what_the_version_has() {
        let tables = Target::Objects {
            schema: "s".into(),
            kind: Objects::Tables,
        };
        assert_eq!(tables.meant("all", 16).len(), 7);
        assert_eq!(tables.meant("ALL PRIVILEGES", 17).last(), Some(&"MAINTAIN"));
        assert_eq!(tables.meant("maintain", 16), [""; 0]);
        assert_eq!(tables.meant("usage", 17), [""; 0]);
        let database = Target::Database("d".into());
        assert_eq!(database.meant("temp", 14), ["TEMPORARY"]);
    }
}
