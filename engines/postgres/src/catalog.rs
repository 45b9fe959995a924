//! What there is in a running server, as its catalogs tell (chapter 53 of the manual). It must not
//! know what is declared.

mod privileges;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error, Row, types::Type};

use crate::structure::Target;
pub(crate) use privileges::privileges;

/// As much of it as something declared can be compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// The major version of the server.
    pub(crate) major: u32,
    pub(crate) roles: BTreeMap<String, LiveRole>,
    pub(crate) databases: BTreeMap<String, LiveDatabase>,
    /// The schemas of the database.
    pub(crate) schemas: BTreeMap<String, LiveSchema>,
    /// The extensions in the database.
    pub(crate) extensions: BTreeMap<String, LiveExtension>,
    /// The extensions that the server could create.
    pub(crate) available: BTreeMap<String, Available>,
    pub(crate) privileges: BTreeMap<Target, Held>,
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
    pub(crate) inherit: bool,
    pub(crate) bypassrls: bool,
    pub(crate) connection_limit: i32,
    /// A second in UTC, after RFC 3339.
    pub(crate) valid_until: Option<String>,
    /// The verifier of its password.
    pub(crate) verifier: Option<String>,
    pub(crate) member_of: BTreeSet<String>,
    /// Names with values, in all databases.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) comment: Option<String>,
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
            inherit: true,
            bypassrls: false,
            connection_limit: -1,
            valid_until: None,
            verifier: None,
            member_of: BTreeSet::new(),
            settings: BTreeMap::new(),
            comment: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveDatabase {
    pub(crate) owner: String,
    pub(crate) encoding: String,
    pub(crate) locale: String,
    pub(crate) connection_limit: i32,
    pub(crate) is_template: bool,
    pub(crate) allow_connections: bool,
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LiveSchema {
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LiveExtension {
    pub(crate) schema: String,
    pub(crate) version: String,
    /// Whether it can be moved to another schema.
    pub(crate) relocatable: bool,
    /// The extensions that it needs.
    pub(crate) requires: BTreeSet<String>,
}

/// An extension that is installed on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Available {
    pub(crate) versions: BTreeSet<String>,
    /// The extensions that any of them needs.
    pub(crate) requires: BTreeSet<String>,
}

/// The privileges that roles have for one thing, or for some of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// How many things there are.
    pub(crate) of: i64,
    /// By role and privilege: for how many of them, and for how many it may be passed on.
    pub(crate) by: BTreeMap<(String, String), (i64, i64)>,
}

/// What is in the whole server: these roles, as far as they are there, and the databases.
pub(crate) async fn cluster(client: &Client, roles: &[&str]) -> Result<Live, Error> {
    const ROLES: &str = "
        SELECT rolname::text, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
            rolinherit, rolbypassrls, rolconnlimit,
            CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN pg_catalog.to_char(
                rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') END,
            rolpassword,
            ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m
                JOIN pg_catalog.pg_authid g ON g.oid = m.roleid WHERE m.member = r.oid),
            COALESCE((SELECT setconfig FROM pg_catalog.pg_db_role_setting
                WHERE setrole = r.oid AND setdatabase = 0), '{}'),
            pg_catalog.shobj_description(r.oid, 'pg_authid')
        FROM pg_catalog.pg_authid r WHERE rolname = ANY ($1)";
    const DATABASES: &str = "
        SELECT datname::text, pg_catalog.pg_get_userbyid(datdba)::text,
            pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datconnlimit,
            datistemplate, datallowconn, pg_catalog.shobj_description(oid, 'pg_database')
        FROM pg_catalog.pg_database";
    let rows = client
        .query_typed(ROLES, &[(&roles, Type::TEXT_ARRAY)])
        .await?;
    let roles = rows.iter().map(role).collect::<Result<_, _>>()?;
    let rows = client.query_typed(DATABASES, &[]).await?;
    let databases = rows.iter().map(database_of).collect::<Result<_, _>>()?;
    Ok(Live {
        roles,
        databases,
        ..Live::default()
    })
}

/// Adds what is in the database that the client is connected to.
pub(crate) async fn database(client: &Client, live: &mut Live) -> Result<(), Error> {
    const SCHEMAS: &str = "
        SELECT nspname::text, pg_catalog.pg_get_userbyid(nspowner)::text,
            pg_catalog.obj_description(oid, 'pg_namespace')
        FROM pg_catalog.pg_namespace";
    const EXTENSIONS: &str = "
        SELECT extname::text, nspname::text, extversion, extrelocatable,
            ARRAY(SELECT r.extname::text FROM pg_catalog.pg_depend d
                JOIN pg_catalog.pg_extension r ON r.oid = d.refobjid
                WHERE d.classid = 'pg_catalog.pg_extension'::regclass AND d.objid = e.oid
                    AND d.refclassid = 'pg_catalog.pg_extension'::regclass)
        FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace";
    let rows = client.query_typed(SCHEMAS, &[]).await?;
    live.schemas = rows.iter().map(schema).collect::<Result<_, _>>()?;
    let rows = client.query_typed(EXTENSIONS, &[]).await?;
    live.extensions = rows.iter().map(extension).collect::<Result<_, _>>()?;
    Ok(())
}

/// Adds the extensions that are installed on the machine. The server reads a folder for it.
pub(crate) async fn available(client: &Client, live: &mut Live) -> Result<(), Error> {
    const AVAILABLE: &str = "
        SELECT name::text, version::text, COALESCE(requires::text[], '{}')
        FROM pg_catalog.pg_available_extension_versions";
    for row in client.query_typed(AVAILABLE, &[]).await? {
        let extension = live.available.entry(row.try_get(0)?).or_default();
        extension.versions.insert(row.try_get(1)?);
        let requires: Vec<String> = row.try_get(2)?;
        extension.requires.extend(requires);
    }
    Ok(())
}

/// What a database has that was just created.
pub(crate) fn new_database(live: &mut Live) {
    live.schemas = [("public".to_owned(), LiveSchema::default())].into();
}

fn role(row: &Row) -> Result<(String, LiveRole), Error> {
    let settings: Vec<String> = row.try_get(12)?;
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
        inherit: row.try_get(6)?,
        bypassrls: row.try_get(7)?,
        connection_limit: row.try_get(8)?,
        valid_until: row.try_get(9)?,
        verifier: row.try_get(10)?,
        member_of: row.try_get::<_, Vec<String>>(11)?.into_iter().collect(),
        settings: settings.iter().filter_map(setting).collect(),
        comment: row.try_get(13)?,
    };
    Ok((row.try_get(0)?, role))
}

fn database_of(row: &Row) -> Result<(String, LiveDatabase), Error> {
    let database = LiveDatabase {
        owner: row.try_get(1)?,
        encoding: row.try_get(2)?,
        locale: row.try_get(3)?,
        connection_limit: row.try_get(4)?,
        is_template: row.try_get(5)?,
        allow_connections: row.try_get(6)?,
        comment: row.try_get(7)?,
    };
    Ok((row.try_get(0)?, database))
}

fn schema(row: &Row) -> Result<(String, LiveSchema), Error> {
    let schema = LiveSchema {
        owner: row.try_get(1)?,
        comment: row.try_get(2)?,
    };
    Ok((row.try_get(0)?, schema))
}

fn extension(row: &Row) -> Result<(String, LiveExtension), Error> {
    let extension = LiveExtension {
        schema: row.try_get(1)?,
        version: row.try_get(2)?,
        relocatable: row.try_get(3)?,
        requires: row.try_get::<_, Vec<String>>(4)?.into_iter().collect(),
    };
    Ok((row.try_get(0)?, extension))
}
