//! A running server, and what it says of a failure. It must not know any structure.

use std::{error::Error, fmt, time::Duration};

use camino::Utf8PathBuf;
use doze_contract::error::chain;
use tokio::net::UnixStream;
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use crate::{converge::ConvergeError, plan::SUPERUSER};

/// What the server says of a failure, or what is wrong with the connection.
#[derive(Debug)]
pub struct ServerError(tokio_postgres::Error);

impl Error for ServerError {}

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(server) = self.0.as_db_error() else {
            return f.write_str(&chain(&self.0));
        };
        f.write_str(server.message())?;
        for more in [server.detail(), server.hint()].into_iter().flatten() {
            write!(f, "; {more}")?;
        }
        Ok(())
    }
}

impl ServerError {
    /// Whether there is no such database.
    pub(crate) fn is_no_database(&self) -> bool {
        self.0.code() == Some(&SqlState::INVALID_CATALOG_NAME)
    }

    /// Whether somebody else changed the same at the same time. It may work as soon as one has
    /// looked again.
    pub(crate) fn is_overlap(&self) -> bool {
        let again = [
            &SqlState::T_R_DEADLOCK_DETECTED,
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::UNIQUE_VIOLATION,
            &SqlState::DUPLICATE_OBJECT,
            &SqlState::DUPLICATE_SCHEMA,
            &SqlState::DUPLICATE_DATABASE,
        ];
        self.0.as_db_error().is_some_and(|error| {
            // `tuple concurrently updated` has no code of its own.
            again.contains(&error.code()) || error.message().starts_with("tuple concurrently ")
        })
    }

    /// Why something cannot be dropped, if that is all: somebody needs it.
    pub(crate) fn is_needed(&self) -> Option<String> {
        let error = self.0.as_db_error()?;
        let needed = [
            &SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            &SqlState::OBJECT_IN_USE,
            &SqlState::LOCK_NOT_AVAILABLE,
        ];
        let why = error.detail().unwrap_or(error.message());
        let why = needed.contains(&error.code()).then_some(why)?;
        let lines: Vec<_> = why.lines().map(|line| line.trim_end_matches('.')).collect();
        Some(lines.join("; "))
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) socket: Utf8PathBuf,
    /// That of the superuser.
    pub(crate) password: String,
    pub(crate) within: Duration,
}

/// A connection to it.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The major version of the server.
    pub(crate) major: u32,
}

impl Server {
    /// Connects as the superuser, whatever the settings of the server and the role say.
    pub(crate) async fn connect(&self, database: &str) -> Result<Session, ConvergeError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| ConvergeError::Connect(self.socket.clone(), error))?;
        let options = [
            ("default_transaction_read_only", "off"),
            ("idle_in_transaction_session_timeout", "0"),
            ("standard_conforming_strings", "on"),
            // Moments have one spelling.
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO"),
            // What is made without a schema of its own is for everybody.
            ("search_path", "public"),
            // When the activator believes that it is done, it is.
            ("synchronous_commit", "on"),
            // A verifier is not for the log.
            ("log_statement", "none"),
            ("log_min_duration_statement", "-1"),
            ("log_min_error_statement", "panic"),
            ("statement_timeout", &self.within.as_millis().to_string()),
        ]
        .map(|(name, value)| format!("-c {name}={value}"));
        let connected = Config::new()
            .user(SUPERUSER)
            .password(&self.password)
            .dbname(database)
            .application_name("doze")
            .options(options.join(" "))
            .connect_raw(stream, NoTls)
            .await;
        let (client, connection) = connected.map_err(ServerError)?;
        let version = connection.parameter("server_version").unwrap_or_default();
        let digits = version.split(|c: char| !c.is_ascii_digit()).next();
        let major = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        // It ends with the client, and its error is that of the statement that waits for it.
        drop(tokio::spawn(connection));
        Ok(Session { client, major })
    }
}

/// Runs statements that answer nothing.
pub(crate) async fn run(client: &Client, sql: &str) -> Result<(), ServerError> {
    Ok(client.batch_execute(sql).await?)
}
