//! What there is in a running server, as its own tables tell. It must not know what is declared,
//! but for where to look.

use std::collections::{BTreeMap, BTreeSet};

use mysql::{Conn, Error, prelude::Queryable};

use crate::{
    privilege::Level,
    provision::SUPERUSER,
    sql::{literal, pattern},
    structure::{Account, Target},
};

/// As much of it as something declared can be compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) databases: BTreeMap<String, LiveText>,
    pub(crate) accounts: BTreeMap<Account, Credential>,
    rights: BTreeMap<Place, Rights>,
    /// Those of the tables in question that are there: database and name.
    pub(crate) tables: BTreeSet<(String, String)>,
    /// What is in the databases in question.
    pub(crate) contents: BTreeMap<String, Contents>,
    /// How many privileges there are at each level.
    all: [usize; 3],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveText {
    pub(crate) character_set: String,
    pub(crate) collation: String,
}

/// How somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) plugin: String,
    pub(crate) hash: String,
    /// There are other ways besides.
    pub(crate) others: bool,
}

/// What somebody may do somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) privileges: BTreeSet<String>,
    pub(crate) passes_on: bool,
}

/// A [`Target`] as the server writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    grantee: String,
    database: Option<String>,
    table: Option<String>,
}

/// What would be gone with a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) tables: u64,
    pub(crate) routines: u64,
    pub(crate) events: u64,
}

impl Live {
    /// What somebody may do there.
    pub(crate) fn rights(&self, target: &Target) -> Option<&Rights> {
        self.rights.get(&Place::of(target))
    }

    /// Whether these are all that there are at the level of `target`.
    pub(crate) fn are_all(&self, target: &Target, privileges: &BTreeSet<String>) -> bool {
        let [server, database, table] = self.all;
        privileges.len()
            >= match target.level() {
                Level::Server => server,
                Level::Database => database,
                Level::Table => table,
            }
    }
}

impl Place {
    fn of(target: &Target) -> Self {
        let Account { user, host } = &target.account;
        let database = target.database.as_deref();
        Self {
            // Nothing in it is escaped.
            grantee: format!("'{user}'@'{host}'"),
            database: match target.table {
                Some(_) => database.map(str::to_owned),
                None => database.map(pattern),
            },
            table: target.table.clone(),
        }
    }
}

/// Reads all of it: of the tables only those in `tables`, of contents only what is in `databases`.
pub(crate) fn read(
    server: &mut Conn,
    tables: &BTreeSet<(&str, &str)>,
    databases: &BTreeSet<&str>,
) -> Result<Live, Error> {
    let mut live = Live {
        databases: texts(server)?,
        accounts: accounts(server)?,
        ..Live::default()
    };
    let columns = [
        "NULL, NULL, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES",
        "TABLE_SCHEMA, NULL, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES",
        "TABLE_SCHEMA, TABLE_NAME, PRIVILEGE_TYPE, IS_GRANTABLE \
         FROM information_schema.TABLE_PRIVILEGES",
    ];
    let query = columns.map(|columns| format!("SELECT GRANTEE, {columns}"));
    for row in server.query(query.join(" UNION ALL "))? {
        let (grantee, database, table, privilege, grantable): (_, _, _, String, String) = row;
        let place = Place {
            grantee,
            database,
            table,
        };
        let rights = live.rights.entry(place).or_default();
        rights.passes_on |= grantable == "YES";
        if privilege != "USAGE" {
            rights.privileges.insert(privilege);
        }
    }
    live.all = all(server, &live)?;
    if !tables.is_empty() {
        let pairs: Vec<_> = tables
            .iter()
            .map(|(database, table)| format!("({}, {})", literal(database), literal(table)))
            .collect();
        let found = server.query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({})",
            pairs.join(", ")
        ))?;
        live.tables.extend(found);
    }
    for database in databases {
        let contents = contents(server, database)?;
        live.contents.insert((*database).to_owned(), contents);
    }
    Ok(live)
}

fn texts(server: &mut Conn) -> Result<BTreeMap<String, LiveText>, Error> {
    let text = |(name, character_set, collation)| {
        let text = LiveText {
            character_set,
            collation,
        };
        (name, text)
    };
    let rows = server.query_map(
        "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME \
         FROM information_schema.SCHEMATA",
        text,
    )?;
    Ok(rows.into_iter().collect())
}

fn accounts(server: &mut Conn) -> Result<BTreeMap<Account, Credential>, Error> {
    type Row = (String, String, Option<String>, Option<String>, bool);
    let account = |(user, host, plugin, hash, others): Row| {
        let credential = Credential {
            plugin: plugin.unwrap_or_default(),
            hash: hash.unwrap_or_default(),
            others,
        };
        (Account { user, host }, credential)
    };
    let rows = server.query_map(
        "SELECT User, Host, JSON_VALUE(Priv, '$.plugin'), \
         JSON_VALUE(Priv, '$.authentication_string'), \
         COALESCE(JSON_LENGTH(Priv, '$.auth_or') > 1, 0) FROM mysql.global_priv",
        account,
    )?;
    Ok(rows.into_iter().collect())
}

/// The superuser has all of the server; for the others, the server's own tables have a column, or
/// a word, for each and for the right to pass them on.
fn all(server: &mut Conn, live: &Live) -> Result<[usize; 3], Error> {
    let superuser = Target {
        account: Account {
            user: SUPERUSER.to_owned(),
            host: "localhost".to_owned(),
        },
        database: None,
        table: None,
    };
    let of_server = live.rights(&superuser);
    let counts = server.query_first(
        "SELECT (SELECT COUNT(*) - 1 FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'db' AND COLUMN_NAME LIKE '%\\_priv'), \
         (SELECT LENGTH(COLUMN_TYPE) - LENGTH(REPLACE(COLUMN_TYPE, ',', '')) \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'mysql' \
         AND TABLE_NAME = 'tables_priv' AND COLUMN_NAME = 'Table_priv')",
    )?;
    let (of_database, of_table) = counts.unwrap_or_default();
    let of_server = of_server.map_or(0, |rights| rights.privileges.len());
    Ok([of_server, of_database, of_table])
}

fn contents(server: &mut Conn, database: &str) -> Result<Contents, Error> {
    let name = literal(database);
    let counts = server.query_first(format!(
        "SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {name}), \
         (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {name}), \
         (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {name})"
    ))?;
    let (tables, routines, events) = counts.unwrap_or_default();
    Ok(Contents {
        tables,
        routines,
        events,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl Live {
        /// With this many privileges at each level.
        pub(crate) fn with_all(all: [usize; 3]) -> Self {
            Self {
                all,
                ..Self::default()
            }
        }

        pub(crate) fn allow(&mut self, target: &Target, privileges: &[&str], passes_on: bool) {
            let rights = Rights {
                privileges: privileges.iter().map(ToString::to_string).collect(),
                passes_on,
            };
            self.rights.insert(Place::of(target), rights);
        }
    }
}
