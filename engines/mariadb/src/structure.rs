//! The structure in a server as a block declares it: databases, users, what they may do. It must
//! not know how any of it is made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    block::Block,
    password::Password,
    privilege::{ALL, Level, set},
};

/// The host of a user who may come from anywhere.
pub(crate) const ANY_HOST: &str = "%";

/// All that is declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    /// The databases, that of the instance among them.
    pub(crate) databases: BTreeMap<String, Text>,
    /// The users, the owner among them, by their names.
    pub(crate) users: BTreeMap<String, User>,
    /// What they may do.
    pub(crate) grants: Vec<Grant>,
}

/// How the text in a database is written and compared, unless one of its tables says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    pub(crate) character_set: String,
    /// Absent for whatever the server takes with the character set.
    pub(crate) collation: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) host: String,
    pub(crate) password: Option<Password>,
}

/// What one user may do in one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) target: Target,
    pub(crate) privileges: BTreeSet<String>,
    pub(crate) passes_on: bool,
}

/// Whom a grant is for, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) account: Account,
    /// Absent for the whole server.
    pub(crate) database: Option<String>,
    /// Absent for the whole database.
    pub(crate) table: Option<String>,
}

/// A user as the server tells users apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) host: String,
}

impl Target {
    /// What it is about.
    pub(crate) fn level(&self) -> Level {
        match (&self.database, &self.table) {
            (None, _) => Level::Server,
            (Some(_), None) => Level::Database,
            (Some(_), Some(_)) => Level::Table,
        }
    }
}

impl Structure {
    /// What the block of this instance declares.
    pub(crate) fn new(instance: &str, block: &Block) -> Self {
        let owner = owner(instance, block);
        let mut users: BTreeMap<_, _> = block
            .user
            .iter()
            .map(|(name, user)| (name.clone(), user.clone()))
            .collect();
        users.entry(owner.to_owned()).or_insert(User {
            host: ANY_HOST.to_owned(),
            password: None,
        });
        let own = Text {
            character_set: block.character_set.clone(),
            collation: block.collation.clone(),
        };
        let mut databases = BTreeMap::from([(instance.to_owned(), own.clone())]);
        for (name, text) in &block.database {
            databases.insert(name.clone(), text.or(&own));
        }
        let account = |user: &str| Account {
            user: user.to_owned(),
            host: users
                .get(user)
                .map_or(ANY_HOST, |user| &user.host)
                .to_owned(),
        };
        let owned = databases.keys().map(|database| Grant {
            target: Target {
                account: account(owner),
                database: Some(database.clone()),
                table: None,
            },
            privileges: BTreeSet::from([ALL.to_owned()]),
            passes_on: false,
        });
        let granted = block.grant.iter().map(|grant| Grant {
            target: Target {
                account: account(&grant.user),
                database: grant.database(instance),
                table: grant.table.clone(),
            },
            privileges: set(&grant.privileges),
            passes_on: grant.with_grant_option,
        });
        Self {
            grants: merged(owned.chain(granted)),
            databases,
            users,
        }
    }

    /// The accounts of the users.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (Account, &User)> {
        self.users.iter().map(|(name, user)| {
            let account = Account {
                user: name.clone(),
                host: user.host.clone(),
            };
            (account, user)
        })
    }
}

/// The user that the URL names.
pub(crate) fn owner<'a>(instance: &'a str, block: &'a Block) -> &'a str {
    block.owner.as_deref().unwrap_or(instance)
}

/// One grant for each target: the owner may be granted more than it has anyway.
fn merged(grants: impl Iterator<Item = Grant>) -> Vec<Grant> {
    let mut merged: Vec<Grant> = Vec::new();
    for grant in grants {
        match merged.iter_mut().find(|is| is.target == grant.target) {
            None => merged.push(grant),
            Some(is) => {
                is.passes_on |= grant.passes_on;
                if !is.privileges.contains(ALL) {
                    is.privileges.extend(grant.privileges);
                }
            }
        }
    }
    merged
}
