//! Connections to the private Postgres. It must not know what is asked over them.

use std::{error::Error, fmt, io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::error::chain;
use tokio::net::UnixStream;
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use crate::plan::SUPERUSER;

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

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket.
    #[error("cannot connect to {0}")]
    Socket(Utf8PathBuf, #[source] io::Error),
    /// The server.
    #[error("the Postgres behind FerretDB does not let us in")]
    Login(#[source] ServerError),
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) socket: Utf8PathBuf,
    /// How long a statement may take.
    pub(crate) within: Duration,
}

impl Server {
    /// Connects as the superuser.
    pub(crate) async fn connect(&self) -> Result<Client, ConnectError> {
        let options = [
            // When the activator believes that it is done, it is.
            ("synchronous_commit", "on"),
            // A password is not for the log.
            ("log_statement", "none"),
            ("log_min_duration_statement", "-1"),
            ("log_min_error_statement", "panic"),
            ("client_min_messages", "warning"),
            ("statement_timeout", &self.within.as_millis().to_string()),
        ]
        .map(|(name, value)| format!("-c {name}={value}"));
        let mut config = Config::new();
        config.user(SUPERUSER).options(options.join(" "));
        connect(&self.socket, config).await
    }

    /// Whether this is the password of that user.
    pub(crate) async fn lets_in(&self, user: &str, password: &str) -> Result<bool, ConnectError> {
        let mut config = Config::new();
        config.user(user).password(password);
        match connect(&self.socket, config).await {
            Err(ConnectError::Login(ServerError(error)))
                if error.code() == Some(&SqlState::INVALID_PASSWORD) =>
            {
                Ok(false)
            }
            connected => connected.map(|_| true),
        }
    }
}

async fn connect(socket: &Utf8Path, mut config: Config) -> Result<Client, ConnectError> {
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|error| ConnectError::Socket(socket.to_owned(), error))?;
    config.dbname("postgres").application_name("doze");
    let connected = config.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(|error| ConnectError::Login(error.into()))?;
    // It ends with the client, and its error is that of the statement that waits for it.
    drop(tokio::spawn(connection));
    Ok(client)
}
