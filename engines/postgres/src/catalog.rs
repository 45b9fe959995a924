//! What there is in a running server, as its catalogs tell (chapter 53 of the manual). It must not
//! know what is declared.

mod privileges;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error, Row};

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

// A session that was just begun has planned no statement yet, so plain ones are put together here:
// a join or a function costs it more than all rows do.
const ROLES: &str = "
    SELECT oid, rolname::text, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
        rolinherit, rolbypassrls, rolconnlimit, rolvaliduntil::text, rolpassword
    FROM pg_catalog.pg_authid";

const MEMBERS: &str = "SELECT roleid, member FROM pg_catalog.pg_auth_members";

const SETTINGS: &str = "
    SELECT setrole, setconfig FROM pg_catalog.pg_db_role_setting WHERE setdatabase = 0";

const SHARED_COMMENTS: &str = "
    SELECT objoid, classoid = 'pg_catalog.pg_authid'::regclass, description
    FROM pg_catalog.pg_shdescription";

const DATABASES: &str = "
    SELECT oid, datname::text, pg_catalog.pg_get_userbyid(datdba)::text,
        pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datconnlimit,
        datistemplate, datallowconn
    FROM pg_catalog.pg_database";

const SCHEMAS: &str = "
    SELECT nspname::text, pg_catalog.pg_get_userbyid(nspowner)::text,
        (SELECT description FROM pg_catalog.pg_description
            WHERE objoid = n.oid AND classoid = 'pg_catalog.pg_namespace'::regclass)
    FROM pg_catalog.pg_namespace n";

const EXTENSIONS: &str = "
    SELECT extname::text, nspname::text, extversion, extrelocatable,
        ARRAY(SELECT r.extname::text FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension r ON r.oid = d.refobjid
            WHERE d.classid = 'pg_catalog.pg_extension'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_extension'::regclass)
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace";

/// What there is once this statement was run: in the whole server, and in the database if the client
/// is connected to that of the instance. All of it is asked at once.
pub(crate) async fn read(client: &Client, before: &str, inside: bool) -> Result<Live, Error> {
    let within = async |query| {
        if inside {
            client.query_typed(query, &[]).await
        } else {
            Ok(Vec::new())
        }
    };
    let ((), roles, members, settings, comments, databases, schemas, extensions) = tokio::try_join!(
        client.batch_execute(before),
        client.query_typed(ROLES, &[]),
        client.query_typed(MEMBERS, &[]),
        client.query_typed(SETTINGS, &[]),
        client.query_typed(SHARED_COMMENTS, &[]),
        client.query_typed(DATABASES, &[]),
        within(SCHEMAS),
        within(EXTENSIONS),
    )?;
    let mut live = Live {
        schemas: schemas.iter().map(schema).collect::<Result<_, _>>()?,
        extensions: extensions.iter().map(extension).collect::<Result<_, _>>()?,
        ..Live::default()
    };
    let comments = comments
        .iter()
        .map(|row| Ok(((row.try_get(1)?, row.try_get(0)?), row.try_get(2)?)))
        .collect::<Result<BTreeMap<(bool, u32), String>, Error>>()?;
    let mut names = BTreeMap::new();
    for row in &roles {
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let mut role = role(row)?;
        role.comment = comments.get(&(true, oid)).cloned();
        names.insert(oid, name.clone());
        live.roles.insert(name, role);
    }
    for row in &members {
        let named = |at| Ok::<_, Error>(names.get(&row.try_get(at)?));
        if let (Some(group), Some(member)) = (named(0)?, named(1)?) {
            let member = live.roles.entry(member.clone()).or_default();
            member.member_of.insert(group.clone());
        }
    }
    for row in &settings {
        // Those of all roles are of none.
        if let Some(name) = names.get(&row.try_get(0)?) {
            let role = live.roles.entry(name.clone()).or_default();
            let texts: Vec<String> = row.try_get(1)?;
            let pairs = texts.iter().filter_map(|text| text.split_once('='));
            role.settings = pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
        }
    }
    for row in &databases {
        let oid: u32 = row.try_get(0)?;
        let mut database = database(row)?;
        database.comment = comments.get(&(false, oid)).cloned();
        live.databases.insert(row.try_get(1)?, database);
    }
    if !inside {
        // What a database has that was just created.
        let public = LiveSchema::default();
        live.schemas.insert("public".to_owned(), public);
    }
    Ok(live)
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

fn role(row: &Row) -> Result<LiveRole, Error> {
    let until: Option<String> = row.try_get(10)?;
    Ok(LiveRole {
        login: row.try_get(2)?,
        superuser: row.try_get(3)?,
        createdb: row.try_get(4)?,
        createrole: row.try_get(5)?,
        replication: row.try_get(6)?,
        inherit: row.try_get(7)?,
        bypassrls: row.try_get(8)?,
        connection_limit: row.try_get(9)?,
        valid_until: until.as_deref().and_then(second),
        verifier: row.try_get(11)?,
        ..LiveRole::default()
    })
}

/// A moment as sessions of ours are told it, in UTC and as ISO 8601 has it, after RFC 3339; none for
/// one that never comes.
fn second(text: &str) -> Option<String> {
    let (day, time) = text.split_once(' ')?;
    Some(format!("{day}T{}Z", time.trim_end_matches("+00")))
}

fn database(row: &Row) -> Result<LiveDatabase, Error> {
    Ok(LiveDatabase {
        owner: row.try_get(2)?,
        encoding: row.try_get(3)?,
        locale: row.try_get(4)?,
        connection_limit: row.try_get(5)?,
        is_template: row.try_get(6)?,
        allow_connections: row.try_get(7)?,
        comment: None,
    })
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
