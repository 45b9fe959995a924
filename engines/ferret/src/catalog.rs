//! What there is in a running server, as DocumentDB and doze's own notes tell. It must not know what is
//! declared.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use tokio_postgres::{Client, types::Type};

use crate::work::{CommandError, Object};

/// As much of it as something declared can be compared with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Live {
    /// The collections, by database and name, with their indexes.
    pub(crate) collections: BTreeMap<(String, String), BTreeMap<String, LiveIndex>>,
    /// The users with their roles.
    pub(crate) users: BTreeMap<String, BTreeSet<String>>,
    /// Those among them who cannot log in with the declared password.
    pub(crate) locked_out: BTreeSet<String>,
    /// What doze has made.
    pub(crate) made: BTreeSet<Object>,
    /// How many documents are in the collections that doze has made.
    pub(crate) documents: BTreeMap<(String, String), i64>,
}

/// An index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LiveIndex {
    /// The fields in their order, each with how it is gone through.
    pub(crate) key: Vec<(String, Bson)>,
    pub(crate) unique: bool,
}

/// Reads all of it but who is locked out.
pub(crate) async fn read(client: &Client) -> Result<Live, CommandError> {
    const COLLECTIONS: &str = "
        SELECT database_name, collection_name FROM documentdb_api_catalog.collections
        WHERE collection_name NOT LIKE 'system.%'";
    let mut live = Live {
        made: made(client).await?,
        users: users(client).await?,
        ..Live::default()
    };
    for row in client.query_typed(COLLECTIONS, &[]).await? {
        let name = (row.try_get(0)?, row.try_get(1)?);
        let indexes = indexes(client, &name).await?;
        let (database, collection) = name.clone();
        if live
            .made
            .contains(&Object::Collection(database, collection))
        {
            live.documents
                .insert(name.clone(), count(client, &name).await?);
        }
        live.collections.insert(name, indexes);
    }
    Ok(live)
}

type Name = (String, String);

async fn indexes(
    client: &Client,
    name: &Name,
) -> Result<BTreeMap<String, LiveIndex>, CommandError> {
    const INDEXES: &str = "
        SELECT cursorpage::bytea FROM documentdb_api.list_indexes_cursor_first_page(
            $1, $2::documentdb_core.bson)";
    let (database, collection) = name;
    let command = doc! { "listIndexes": collection, "cursor": { "batchSize": 1000 } };
    let arguments = [
        (database as _, Type::TEXT),
        (&command.to_vec()? as _, Type::BYTEA),
    ];
    let row = client.query_typed(INDEXES, &arguments).await?;
    let mut found = BTreeMap::new();
    for row in row {
        let page = document(row.try_get(0)?)?;
        let batch = page.get_document("cursor").ok();
        let batch = batch.and_then(|cursor| cursor.get_array("firstBatch").ok());
        for index in batch.into_iter().flatten().filter_map(Bson::as_document) {
            if let (Ok(name), Ok(key)) = (index.get_str("name"), index.get_document("key")) {
                let index = LiveIndex {
                    key: key.iter().map(field).collect(),
                    unique: index.get_bool("unique").unwrap_or(false),
                };
                found.insert(name.to_owned(), index);
            }
        }
    }
    Ok(found)
}

/// Clients may write 1 as a number of any type.
fn field((name, order): (&String, &Bson)) -> (String, Bson) {
    let number = if let Bson::Int64(number) = order {
        i32::try_from(*number).ok()
    } else if let Bson::Double(number) = order {
        [1, -1]
            .into_iter()
            .find(|it| (f64::from(*it) - number).abs() < f64::EPSILON)
    } else {
        None
    };
    let order = number.map_or_else(|| order.clone(), Bson::Int32);
    (name.clone(), order)
}

async fn count(client: &Client, (database, name): &Name) -> Result<i64, CommandError> {
    const COUNT: &str = "SELECT count(*) FROM documentdb_api.collection($1, $2)";
    let arguments = [(database as _, Type::TEXT), (name as _, Type::TEXT)];
    let rows = client.query_typed(COUNT, &arguments).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
}

async fn users(client: &Client) -> Result<BTreeMap<String, BTreeSet<String>>, CommandError> {
    const USERS: &str = "SELECT documentdb_api.users_info($1::documentdb_core.bson)::bytea";
    let command = doc! { "usersInfo": 1 }.to_vec()?;
    let rows = client
        .query_typed(USERS, &[(&command, Type::BYTEA)])
        .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let said = document(row.try_get(0)?)?;
        let users = said.get_array("users").ok().into_iter().flatten();
        for user in users.filter_map(Bson::as_document) {
            let roles = user.get_array("roles").ok().into_iter().flatten();
            let roles = roles.filter_map(|role| role.as_document()?.get_str("role").ok());
            if let Ok(name) = user.get_str("user") {
                found.insert(name.to_owned(), roles.map(str::to_owned).collect());
            }
        }
    }
    Ok(found)
}

fn document(bytes: &[u8]) -> Result<Document, CommandError> {
    Ok(Document::from_reader(bytes)?)
}

/// Where doze notes what it has made.
const MADE: &str = "
    CREATE SCHEMA IF NOT EXISTS doze;
    CREATE TABLE IF NOT EXISTS doze.made (
        kind text NOT NULL, name text[] NOT NULL, PRIMARY KEY (kind, name))";

/// Makes the place for the notes.
pub(crate) async fn prepare(client: &Client) -> Result<(), CommandError> {
    Ok(client.batch_execute(MADE).await?)
}

async fn made(client: &Client) -> Result<BTreeSet<Object>, CommandError> {
    const THERE: &str = "SELECT 1 WHERE pg_catalog.to_regclass('doze.made') IS NOT NULL";
    if client.query_typed(THERE, &[]).await?.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = client.query_typed("SELECT kind, name FROM doze.made", &[]);
    let mut found = BTreeSet::new();
    for row in rows.await? {
        let (kind, name): (&str, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
        found.extend(Object::from_parts(kind, name));
    }
    Ok(found)
}

/// Notes that doze has made an object, or that it is gone.
pub(crate) async fn note(
    client: &Client,
    object: &Object,
    there: bool,
) -> Result<(), CommandError> {
    let sql = if there {
        "INSERT INTO doze.made VALUES ($1, $2) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM doze.made WHERE kind = $1 AND name = $2"
    };
    let (kind, name) = object.parts();
    let arguments = [(&kind as _, Type::TEXT), (&name as _, Type::TEXT_ARRAY)];
    client.query_typed(sql, &arguments).await?;
    Ok(())
}
