//! What there is in a running server, as its catalogs tell (chapter 53 of the manual). It must not
//! know what is declared.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error, Row, types::Type};

/// As much of it as something declared can be compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) roles: BTreeMap<String, LiveRole>,
    /// The databases with their owners.
    pub(crate) databases: BTreeMap<String, String>,
    /// The schemas of the database with their owners.
    pub(crate) schemas: BTreeMap<String, String>,
    /// The extensions in the database.
    pub(crate) extensions: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the columns of pg_authid"
)]
pub(crate) struct LiveRole {
    pub(crate) login: bool,
    pub(crate) superuser: bool,
    pub(crate) createdb: bool,
    pub(crate) createrole: bool,
    pub(crate) replication: bool,
    pub(crate) connection_limit: i32,
    /// The verifier of its password.
    pub(crate) verifier: Option<String>,
    pub(crate) member_of: BTreeSet<String>,
    /// Names with values, in all databases.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Default for LiveRole {
    /// What CREATE ROLE makes without being told more.
    fn default() -> Self {
        Self {
            login: false,
            superuser: false,
            createdb: false,
            createrole: false,
            replication: false,
            connection_limit: -1,
            verifier: None,
            member_of: BTreeSet::new(),
            settings: BTreeMap::new(),
        }
    }
}

/// What is in the whole server: these roles, as far as they are there, and the databases.
pub(crate) async fn cluster(client: &Client, roles: &[&str]) -> Result<Live, Error> {
    const ROLES: &str = "
        SELECT rolname::text, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
            rolconnlimit, rolpassword,
            ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m
                JOIN pg_catalog.pg_authid g ON g.oid = m.roleid WHERE m.member = r.oid),
            COALESCE((SELECT setconfig FROM pg_catalog.pg_db_role_setting
                WHERE setrole = r.oid AND setdatabase = 0), '{}')
        FROM pg_catalog.pg_authid r WHERE rolname = ANY ($1)";
    const DATABASES: &str = "SELECT datname::text, pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database";
    let rows = client
        .query_typed(ROLES, &[(&roles, Type::TEXT_ARRAY)])
        .await?;
    let roles = rows.iter().map(role).collect::<Result<_, _>>()?;
    Ok(Live {
        roles,
        databases: pairs(client, DATABASES).await?,
        ..Live::default()
    })
}

/// Adds what is in the database that the client is connected to.
pub(crate) async fn database(client: &Client, live: &mut Live) -> Result<(), Error> {
    const SCHEMAS: &str = "SELECT nspname::text, pg_catalog.pg_get_userbyid(nspowner)::text
        FROM pg_catalog.pg_namespace";
    const EXTENSIONS: &str = "SELECT extname::text FROM pg_catalog.pg_extension";
    live.schemas = pairs(client, SCHEMAS).await?;
    let rows = client.query_typed(EXTENSIONS, &[]).await?;
    live.extensions = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// What a database has that was just created.
pub(crate) fn new_database(live: &mut Live) {
    live.schemas = [("public".to_owned(), String::new())].into();
}

fn role(row: &Row) -> Result<(String, LiveRole), Error> {
    let settings: Vec<String> = row.try_get(9)?;
    let setting = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let role = LiveRole {
        login: row.try_get(1)?,
        superuser: row.try_get(2)?,
        createdb: row.try_get(3)?,
        createrole: row.try_get(4)?,
        replication: row.try_get(5)?,
        connection_limit: row.try_get(6)?,
        verifier: row.try_get(7)?,
        member_of: row.try_get::<_, Vec<String>>(8)?.into_iter().collect(),
        settings: settings.iter().filter_map(setting).collect(),
    };
    Ok((row.try_get(0)?, role))
}

async fn pairs(client: &Client, query: &str) -> Result<BTreeMap<String, String>, Error> {
    let rows = client.query_typed(query, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}
