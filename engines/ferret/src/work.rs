//! Work on the structure: how people read it, and how DocumentDB is asked for it. Its functions take
//! the commands of MongoDB as BSON. It must not know why anything is done.

use std::fmt;

use bson::{Bson, Document, doc};
use camino::Utf8PathBuf;
use doze_contract::protocol::{Action, Change};
use tokio_postgres::{
    Client,
    types::{ToSql, Type},
};

use crate::{
    converge::ConvergeError,
    seed::{self, SeedError},
    server::ServerError,
};

/// How many documents go into one command, which may not become too large.
const AT_ONCE: usize = 500;

/// Something that doze makes, and remembers that it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    /// By its name.
    User(String),
    /// By its database and its name.
    Collection(String, String),
    /// By its database, its collection and its name.
    Index(String, String, String),
}

/// What is done to one object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Work {
    pub(crate) action: Action,
    pub(crate) object: Object,
    pub(crate) calls: Vec<Call>,
}

/// One call of a function of DocumentDB.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    function: &'static str,
    arguments: Vec<Argument>,
    /// How to come from what it returns to the answer of the command, if it has one.
    answer: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Text(String),
    Command(Document),
    True,
    /// The documents of a file, as the command that inserts them into this collection.
    Seed(String, Utf8PathBuf),
}

impl Object {
    /// What it is, and the parts of its name.
    pub(crate) fn parts(&self) -> (&'static str, Vec<&str>) {
        match self {
            Self::User(name) => ("user", vec![name]),
            Self::Collection(database, name) => ("collection", vec![database, name]),
            Self::Index(database, collection, name) => ("index", vec![database, collection, name]),
        }
    }

    /// The other way round.
    pub(crate) fn from_parts(kind: &str, parts: Vec<String>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut part = || parts.next();
        Some(match kind {
            "user" => Self::User(part()?),
            "collection" => Self::Collection(part()?, part()?),
            "index" => Self::Index(part()?, part()?, part()?),
            _ => return None,
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Collection(database, name) => write!(f, "collection {database}.{name}"),
            Self::Index(database, collection, name) => {
                write!(f, "index {name} of {database}.{collection}")
            }
        }
    }
}

impl Work {
    /// What people read of it.
    pub(crate) fn change(&self) -> Change {
        let statements: Vec<_> = self.calls.iter().map(ToString::to_string).collect();
        Change {
            action: self.action,
            object: self.object.to_string(),
            statement: statements.join("; "),
        }
    }

    /// Does it. Seeds are read only now.
    pub(crate) async fn run(&self, client: &Client) -> Result<(), ConvergeError> {
        for call in &self.calls {
            let failed = |why| ConvergeError::Statement {
                statement: call.to_string(),
                why,
            };
            for call in call.loaded()? {
                call.run(client).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl Call {
    fn new(
        function: &'static str,
        arguments: impl Into<Vec<Argument>>,
        answer: Option<&'static str>,
    ) -> Self {
        Self {
            function,
            arguments: arguments.into(),
            answer,
        }
    }

    pub(crate) fn create_collection(database: &str, name: &str) -> Self {
        let arguments = [database, name].map(|text| Argument::Text(text.to_owned()));
        Self::new("documentdb_api.create_collection", arguments, None)
    }

    pub(crate) fn drop_collection(database: &str, name: &str) -> Self {
        let arguments = [database, name].map(|text| Argument::Text(text.to_owned()));
        Self::new("documentdb_api.drop_collection", arguments, None)
    }

    pub(crate) fn fill(database: &str, name: &str, seed: &str) -> Self {
        let arguments = [
            Argument::Text(database.to_owned()),
            Argument::Seed(name.to_owned(), seed.into()),
        ];
        Self::new("documentdb_api.insert", arguments, Some(".p_result::bytea"))
    }

    /// At once, and not in the background as clients do it: who is connected afterwards relies on it.
    pub(crate) fn create_index(database: &str, collection: &str, index: Document) -> Self {
        let command = doc! { "createIndexes": collection, "indexes": [index] };
        let arguments = [
            Argument::Text(database.to_owned()),
            Argument::Command(command),
            // The collection is there.
            Argument::True,
        ];
        let function = "documentdb_api_internal.create_indexes_non_concurrently";
        Self::new(function, arguments, Some("::bytea"))
    }

    pub(crate) fn drop_index(database: &str, collection: &str, name: &str) -> Self {
        let command = doc! { "dropIndexes": collection, "index": name };
        let arguments = [
            Argument::Text(database.to_owned()),
            Argument::Command(command),
        ];
        let function = "documentdb_api_internal.drop_indexes_non_concurrently";
        Self::new(function, arguments, Some("::bytea"))
    }

    /// One of `create_user`, `update_user` and `drop_user`.
    pub(crate) fn user(function: &'static str, command: Document) -> Self {
        Self::new(function, [Argument::Command(command)], Some("::bytea"))
    }

    /// The calls with what is to be read from files.
    fn loaded(&self) -> Result<Vec<Self>, SeedError> {
        let [first, Argument::Seed(name, path)] = self.arguments.as_slice() else {
            return Ok(vec![self.clone()]);
        };
        let documents = seed::read(path)?;
        let some = |some: &[Document]| {
            let command = doc! { "insert": name, "documents": some.to_vec() };
            let arguments = [first.clone(), Argument::Command(command)];
            Self::new(self.function, arguments, self.answer)
        };
        Ok(documents.chunks(AT_ONCE).map(some).collect())
    }

    async fn run(&self, client: &Client) -> Result<(), CommandError> {
        let mut places = Vec::new();
        let mut values: Vec<(Box<dyn ToSql + Sync>, Type)> = Vec::new();
        for argument in &self.arguments {
            let number = values.len() + 1;
            match argument {
                Argument::Text(text) => {
                    places.push(format!("${number}"));
                    values.push((Box::new(text.clone()), Type::TEXT));
                }
                Argument::Command(command) => {
                    places.push(format!("${number}::documentdb_core.bson"));
                    values.push((Box::new(command.to_vec()?), Type::BYTEA));
                }
                Argument::True | Argument::Seed(..) => places.push("true".to_owned()),
            }
        }
        let (places, answer) = (places.join(", "), self.answer.unwrap_or_default());
        let sql = format!("SELECT ({}({places})){answer}", self.function);
        let values: Vec<_> = values
            .iter()
            .map(|(value, kind)| (value.as_ref(), kind.clone()))
            .collect();
        let rows = client.query_typed(&sql, &values).await?;
        if self.answer.is_some()
            && let Some(row) = rows.first()
        {
            let answer: Vec<u8> = row.try_get(0)?;
            refused(&Document::from_reader(answer.as_slice())?)?;
        }
        Ok(())
    }
}

/// As SQL, but for secrets and for what is in files.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let arguments: Vec<_> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Text(text) => quoted(text),
                Argument::Command(command) => {
                    let mut command = command.clone();
                    if let Some(password) = command.get_mut("pwd") {
                        *password = Bson::String("***".to_owned());
                    }
                    quoted(&json(&command))
                }
                Argument::True => "true".to_owned(),
                Argument::Seed(name, path) => {
                    quoted(&json(&doc! { "insert": name, "documents": path.as_str() }))
                }
            })
            .collect();
        write!(f, "SELECT {}({})", self.function, arguments.join(", "))
    }
}

/// Relaxed Extended JSON, with the fields in their order.
fn json(document: &Document) -> String {
    // It has no keys that JSON cannot have.
    serde_json::to_string(document).unwrap_or_default()
}

/// Why DocumentDB did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The server says so, or the connection is gone.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The answer to the command says so.
    #[error("{0}")]
    Answer(String),
    /// What was sent or came back cannot be BSON.
    #[error("it is no BSON")]
    Bson(#[from] bson::error::Error),
}

impl From<tokio_postgres::Error> for CommandError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error.into())
    }
}

/// Looks for failure in an answer, which has it in one of several places.
fn refused(answer: &Document) -> Result<(), CommandError> {
    let errors = answer.get_array("writeErrors").ok();
    let first = errors.and_then(|errors| errors.first()?.as_document());
    let done = match answer.get("ok") {
        Some(Bson::Double(number)) => *number > 0.0,
        Some(Bson::Int32(number)) => *number > 0,
        Some(Bson::Boolean(done)) => *done,
        _ => false,
    };
    if done && first.is_none() {
        return Ok(());
    }
    let shard = answer.get_document("raw").ok();
    let shard = shard.and_then(|raw| raw.values().next()?.as_document());
    let mut said = [first, Some(answer), shard].into_iter().flatten();
    let said = said.find_map(|it| it.get_str("errmsg").ok());
    Err(CommandError::Answer(
        said.unwrap_or("it says no more").to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_found_wherever_it_is_told() {
        let why = |answer: Document| refused(&answer).map_err(|why| why.to_string());
        assert_eq!(why(doc! { "ok": 1 }), Ok(()));
        assert_eq!(why(doc! { "ok": 1.0, "n": 2 }), Ok(()));
        assert_eq!(why(doc! { "ok": true }), Ok(()));
        let told = |text: &str| Err(text.to_owned());
        assert_eq!(why(doc! { "ok": 0, "errmsg": "no" }), told("no"));
        let raw = doc! { "raw": { "defaultShard": { "errmsg": "deep" } }, "ok": 0 };
        assert_eq!(why(raw), told("deep"));
        let write = doc! { "ok": 1.0, "writeErrors": [{ "index": 0, "errmsg": "twice" }] };
        assert_eq!(why(write), told("twice"));
        assert_eq!(why(doc! {}), told("it says no more"));
    }

    #[test]
    fn a_statement_is_shown_without_its_password() {
        let call = Call::user(
            "documentdb_api.create_user",
            doc! { "createUser": "it's", "pwd": "s3cret" },
        );
        let shown = call.to_string();
        assert_eq!(
            shown,
            r#"SELECT documentdb_api.create_user('{"createUser":"it''s","pwd":"***"}')"#
        );
    }
}
