//! The structure in a server as a block declares it: roles, databases, schemas, extensions, grants.
//! It must not know how any of it is made.

mod grant;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{block::Block, plan::SUPERUSER};
pub(crate) use grant::{Grant, MAINTAIN_SINCE, Objects, Target};

/// All that is declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    /// The database of the instance, which schemas and extensions are in.
    pub(crate) database: String,
    /// Who owns it, and whatever says nothing else.
    pub(crate) owner: String,
    /// The roles, the owner among them.
    pub(crate) roles: BTreeMap<String, Role>,
    /// The databases, the instance's own among them.
    pub(crate) databases: BTreeMap<String, Database>,
    pub(crate) schemas: BTreeMap<String, Schema>,
    pub(crate) extensions: BTreeMap<String, Extension>,
    pub(crate) grants: Vec<Grant>,
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
    pub(crate) inherit: bool,
    pub(crate) bypassrls: bool,
    pub(crate) connection_limit: i32,
    pub(crate) valid_until: Option<String>,
    pub(crate) member_of: Vec<String>,
    pub(crate) settings: Map<String, Value>,
    pub(crate) comment: Option<String>,
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
            inherit: true,
            bypassrls: false,
            connection_limit: -1,
            valid_until: None,
            member_of: Vec::new(),
            settings: Map::new(),
            comment: None,
        }
    }
}

/// A database, with all its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) owner: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) connection_limit: i32,
    pub(crate) is_template: bool,
    pub(crate) allow_connections: bool,
    pub(crate) comment: Option<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            owner: None,
            encoding: None,
            locale: None,
            template: None,
            connection_limit: -1,
            is_template: false,
            allow_connections: true,
            comment: None,
        }
    }
}

/// A schema, with all its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    pub(crate) owner: Option<String>,
    pub(crate) comment: Option<String>,
}

/// An extension, with all its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extension {
    pub(crate) schema: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) cascade: bool,
    pub(crate) optional: bool,
}

impl Default for Extension {
    fn default() -> Self {
        Self {
            schema: None,
            version: None,
            cascade: true,
            optional: false,
        }
    }
}

/// The privileges for one thing: who has which, and whether it may be passed on.
pub(crate) type Privileges = BTreeMap<(String, &'static str), bool>;

impl Structure {
    /// What the block of this instance declares.
    pub(crate) fn new(instance: &str, block: &Block) -> Self {
        let owner = owner(block);
        let mut roles = block.role.clone();
        if owner != SUPERUSER {
            roles.entry(owner.to_owned()).or_default();
        }
        let mut databases = block.database.clone();
        databases.insert(instance.to_owned(), Database::default());
        let plain = block.extensions.iter();
        let plain = plain.map(|name| (known_as(name).to_owned(), Extension::default()));
        let more = block.extension.iter();
        let more = more.map(|(name, of)| (known_as(name).to_owned(), of.clone()));
        Self {
            database: instance.to_owned(),
            owner: owner.to_owned(),
            roles,
            databases,
            schemas: block.schema.clone(),
            extensions: plain.chain(more).collect(),
            grants: block.grant.clone(),
        }
    }

    /// The owner of what says this of it.
    pub(crate) fn or_owner<'a>(&'a self, owner: Option<&'a String>) -> &'a str {
        owner.unwrap_or(&self.owner)
    }

    /// All privileges that are declared for a server of this major version, each by itself.
    pub(crate) fn privileges(&self, major: u32) -> BTreeMap<Target, Privileges> {
        let mut all: BTreeMap<Target, Privileges> = BTreeMap::new();
        for grant in &self.grants {
            for target in grant.target().iter().flat_map(|on| self.with_future(on)) {
                if matches!(&target, Target::Future { owner, .. } if *owner == grant.role) {
                    // Who makes a table has all of its privileges.
                    continue;
                }
                let meant = grant.privileges.iter();
                let meant: Vec<_> = meant.map(|name| target.meant(name, major)).collect();
                let privileges = all.entry(target).or_default();
                for name in meant.into_iter().flatten() {
                    let may = privileges.entry((grant.role.clone(), name)).or_default();
                    *may |= grant.with_grant_option;
                }
            }
        }
        all
    }

    /// With the objects that are there those that will be, by whoever owns the place.
    fn with_future(&self, target: &Target) -> Vec<Target> {
        let mut targets = vec![target.clone()];
        if let Target::Objects { schema, kind } = target {
            let owner = self
                .schemas
                .get(schema)
                .and_then(|schema| schema.owner.as_ref());
            let owners = BTreeSet::from([self.or_owner(owner), &self.owner]);
            targets.extend(owners.into_iter().map(|owner| Target::Future {
                owner: owner.to_owned(),
                schema: schema.clone(),
                kind: *kind,
            }));
        }
        targets
    }
}

/// The name that the server knows an extension by.
pub(crate) fn known_as(name: &str) -> &str {
    match name {
        // What everybody calls it, and its package.
        "pgvector" => "vector",
        name => name,
    }
}

/// The role that owns what says nothing else.
pub(crate) fn owner(block: &Block) -> &str {
    block.owner.as_deref().unwrap_or(SUPERUSER)
}
