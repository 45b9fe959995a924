//! The structure in a server as a block declares it: roles, databases, schemas, extensions. It
//! must not know how any of it is made.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{block::Block, plan::SUPERUSER};

/// All that is declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    /// The database of the instance, which schemas and extensions are in.
    pub(crate) database: String,
    /// The roles, the owner among them.
    pub(crate) roles: BTreeMap<String, Role>,
    /// The databases with their owners, the instance's own among them.
    pub(crate) databases: BTreeMap<String, String>,
    /// The schemas with their owners.
    pub(crate) schemas: BTreeMap<String, String>,
    /// The extensions.
    pub(crate) extensions: Vec<String>,
}

/// A role, with all its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the attributes of CREATE ROLE"
)]
pub(crate) struct Role {
    pub(crate) password: Option<Password>,
    pub(crate) login: bool,
    pub(crate) superuser: bool,
    pub(crate) createdb: bool,
    pub(crate) createrole: bool,
    pub(crate) replication: bool,
    pub(crate) connection_limit: i32,
    pub(crate) member_of: Vec<String>,
    pub(crate) settings: Map<String, Value>,
}

/// A password, which no message shows.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Default for Role {
    fn default() -> Self {
        Self {
            password: None,
            login: true,
            superuser: false,
            createdb: false,
            createrole: false,
            replication: false,
            connection_limit: -1,
            member_of: Vec::new(),
            settings: Map::new(),
        }
    }
}

impl Structure {
    /// What the block of this instance declares.
    pub(crate) fn new(instance: &str, block: &Block) -> Self {
        let owner = owner(block);
        let or_owner = |name: &Option<String>| name.clone().unwrap_or_else(|| owner.to_owned());
        let owned = |(name, found): (&String, &Owned)| (name.clone(), or_owner(&found.owner));
        let mut roles = block.role.clone();
        if owner != SUPERUSER {
            roles.entry(owner.to_owned()).or_default();
        }
        let mut databases: BTreeMap<_, _> = block.database.iter().map(owned).collect();
        databases.insert(instance.to_owned(), owner.to_owned());
        Self {
            database: instance.to_owned(),
            roles,
            databases,
            schemas: block.schema.iter().map(owned).collect(),
            extensions: block.extensions.clone(),
        }
    }
}

/// Something that a role owns: that of the instance, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owned {
    pub(crate) owner: Option<String>,
}

/// The role that owns what says nothing else.
pub(crate) fn owner(block: &Block) -> &str {
    block.owner.as_deref().unwrap_or(SUPERUSER)
}
