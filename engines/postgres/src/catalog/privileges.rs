//! Who has which privileges, as the access lists in the catalogs tell. It must not know who is to
//! have them.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error, Row, types::Type};

use super::{Held, Live};
use crate::structure::{Objects, Target};

// An access list that is absent is the one of its kind.
const DATABASES: &str = "
    SELECT datname::text, CASE grantee WHEN 0 THEN 'public'
            ELSE pg_catalog.pg_get_userbyid(grantee)::text END,
        privilege_type::text, is_grantable
    FROM pg_catalog.pg_database, pg_catalog.aclexplode(
        COALESCE(datacl, pg_catalog.acldefault('d', datdba)))
    WHERE datname = ANY ($1)";

const SCHEMAS: &str = "
    SELECT nspname::text, CASE grantee WHEN 0 THEN 'public'
            ELSE pg_catalog.pg_get_userbyid(grantee)::text END,
        privilege_type::text, is_grantable
    FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(
        COALESCE(nspacl, pg_catalog.acldefault('n', nspowner)))
    WHERE nspname = ANY ($1)";

const FUTURE: &str = "
    SELECT nspname::text, CASE grantee WHEN 0 THEN 'public'
            ELSE pg_catalog.pg_get_userbyid(grantee)::text END,
        privilege_type::text, is_grantable,
        pg_catalog.pg_get_userbyid(defaclrole)::text, defaclobjtype::text
    FROM pg_catalog.pg_default_acl
    JOIN pg_catalog.pg_namespace n ON n.oid = defaclnamespace,
        pg_catalog.aclexplode(defaclacl)
    WHERE nspname = ANY ($1)";

// First how many there are, then who has which for how many.
const OBJECTS: &str = "
    WITH object AS (
        SELECT nspname::text AS schema, CASE relkind WHEN 'S' THEN 'S' ELSE 'r' END AS kind,
            c.oid, COALESCE(relacl, pg_catalog.acldefault(
                (CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\", relowner)) AS acl
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
        WHERE nspname = ANY ($1) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT nspname::text, 'f', p.oid,
            COALESCE(proacl, pg_catalog.acldefault('f', proowner))
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace
        WHERE nspname = ANY ($1))
    SELECT schema, NULL, NULL, pg_catalog.count(*), 0::int8, kind FROM object GROUP BY 1, 6
    UNION ALL
    SELECT schema, CASE grantee WHEN 0 THEN 'public'
            ELSE pg_catalog.pg_get_userbyid(grantee)::text END, privilege_type,
        pg_catalog.count(DISTINCT oid),
        pg_catalog.count(DISTINCT oid) FILTER (WHERE is_grantable), kind
    FROM object, pg_catalog.aclexplode(acl) GROUP BY 1, 2, 3, 6";

/// Adds the privileges for all of these, as far as they are there; for what is in a database only
/// if the client is connected to that of the instance.
pub(crate) async fn privileges(
    client: &Client,
    live: &mut Live,
    targets: &BTreeSet<Target>,
    inside: bool,
) -> Result<(), Error> {
    let (mut databases, mut schemas, mut within) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for target in targets {
        match target {
            Target::Database(name) => databases.insert(name.as_str()),
            Target::Schema(name) => schemas.insert(name.as_str()),
            Target::Objects { schema, .. } | Target::Future { schema, .. } => {
                within.insert(schema.as_str())
            }
        };
    }
    let mut found = Found(BTreeMap::new());
    for row in ask(client, DATABASES, &databases).await? {
        found.one(Target::Database(row.try_get(0)?), &row)?;
    }
    if inside {
        for row in ask(client, SCHEMAS, &schemas).await? {
            found.one(Target::Schema(row.try_get(0)?), &row)?;
        }
        for row in ask(client, FUTURE, &within).await? {
            if let Some(kind) = kind(row.try_get(5)?) {
                let target = Target::Future {
                    owner: row.try_get(4)?,
                    schema: row.try_get(0)?,
                    kind,
                };
                found.one(target, &row)?;
            }
        }
        for row in ask(client, OBJECTS, &within).await? {
            found.some(&row)?;
        }
    }
    live.privileges = found.0;
    Ok(())
}

async fn ask(client: &Client, query: &str, names: &BTreeSet<&str>) -> Result<Vec<Row>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = names.iter().collect();
    client
        .query_typed(query, &[(&names, Type::TEXT_ARRAY)])
        .await
}

/// The letter of `pg_default_acl` for objects of a kind.
fn kind(letter: &str) -> Option<Objects> {
    match letter {
        "r" => Some(Objects::Tables),
        "S" => Some(Objects::Sequences),
        "f" => Some(Objects::Functions),
        _ => None,
    }
}

struct Found(BTreeMap<Target, Held>);

impl Found {
    /// Adds a row about one thing.
    fn one(&mut self, target: Target, row: &Row) -> Result<(), Error> {
        let held = self.0.entry(target).or_default();
        let (_, passes) = held
            .by
            .entry((row.try_get(1)?, row.try_get(2)?))
            .or_insert((1, 0));
        // The same privilege may come from several who grant it.
        *passes = (*passes).max(i64::from(row.try_get::<_, bool>(3)?));
        Ok(())
    }

    /// Adds a row about all things of a kind.
    fn some(&mut self, row: &Row) -> Result<(), Error> {
        let Some(kind) = kind(row.try_get(5)?) else {
            return Ok(());
        };
        let schema = row.try_get(0)?;
        let held = self.0.entry(Target::Objects { schema, kind }).or_default();
        let count = row.try_get(3)?;
        match row.try_get::<_, Option<String>>(1)? {
            None => held.of = count,
            Some(role) => {
                let key = (role, row.try_get(2)?);
                held.by.insert(key, (count, row.try_get(4)?));
            }
        }
        Ok(())
    }
}

impl Default for Held {
    /// One thing, for which nobody has any.
    fn default() -> Self {
        Self {
            of: 1,
            by: BTreeMap::new(),
        }
    }
}
