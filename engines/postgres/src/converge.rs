//! Making the structure in a running server what is declared, over one connection as the
//! superuser. It must not know what the statements say.

use std::{error::Error, fmt, io, time::Duration};

use camino::Utf8PathBuf;
use doze_contract::{
    Endpoint,
    error::chain,
    protocol::{ConvergeCall, Converged},
};
use tokio::{net::UnixStream, runtime};
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use crate::{
    catalog,
    diff::{self, Place, Step},
    plan::SUPERUSER,
    structure::Structure,
};

/// Where to work as long as the database of the instance is not there.
const OTHER_DATABASE: &str = "postgres";

/// What those who converge a server at the same time agree on: `doze`, as bytes.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_lock(x'646f7a65'::int)";

/// Why the structure is not as declared.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// The plan is not one of this driver.
    #[error("the plan is not one of this driver")]
    Foreign,
    /// What the plan says of the structure cannot be read.
    #[error("the plan is not one of this driver")]
    Structure(#[source] serde_json::Error),
    /// There is nothing to wait for the server with.
    #[error("cannot wait for the server")]
    Runtime(#[source] io::Error),
    /// The server's socket.
    #[error("cannot connect to {0}")]
    Connect(Utf8PathBuf, #[source] io::Error),
    /// The server does not let us in, or does not tell what it has.
    #[error("cannot ask the server")]
    Server(#[from] ServerError),
    /// A statement failed.
    #[error("`{statement}` failed")]
    Statement {
        /// The statement, without secrets.
        statement: String,
        /// Why.
        #[source]
        source: ServerError,
    },
    /// There is no randomness for a salt.
    #[error("cannot make a salt for a password")]
    Salt(#[from] getrandom::Error),
}

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

pub(crate) fn converge(call: &ConvergeCall) -> Result<Converged, ConvergeError> {
    let body = &call.plan.body;
    let declared = body.converge.as_ref().ok_or(ConvergeError::Foreign)?;
    let wanted: Structure = declared.block.read().map_err(ConvergeError::Structure)?;
    let Some(Endpoint::Unix(socket)) = &body.upstream else {
        return Err(ConvergeError::Foreign);
    };
    let server = Server {
        socket,
        within: declared.within,
    };
    runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(ConvergeError::Runtime)?
        .block_on(server.converge(&wanted, call.dry_run))
}

/// A running server.
struct Server<'a> {
    socket: &'a Utf8PathBuf,
    within: Duration,
}

impl Server<'_> {
    async fn converge(
        &self,
        wanted: &Structure,
        dry_run: bool,
    ) -> Result<Converged, ConvergeError> {
        let (mut client, inside) = match self.connect(&wanted.database).await {
            Err(ConvergeError::Server(ServerError(error)))
                if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) =>
            {
                (self.connect(OTHER_DATABASE).await?, false)
            }
            connected => (connected?, true),
        };
        if !dry_run {
            run(&client, LOCK).await?;
        }
        let roles: Vec<_> = wanted.roles.keys().map(String::as_str).collect();
        let live = catalog::cluster(&client, &roles).await;
        let mut live = live.map_err(ServerError)?;
        if inside {
            let read = catalog::database(&client, &mut live).await;
            read.map_err(ServerError)?;
        } else {
            catalog::new_database(&mut live);
        }
        let steps = diff::steps(wanted, &live)?;
        if !dry_run && !steps.is_empty() {
            // A transaction ends before what can be in none, and where the database begins to be.
            let together = |a: &Step, b: &Step| {
                a.place != Place::Alone && b.place != Place::Alone && (inside || a.place == b.place)
            };
            for steps in steps.chunk_by(together) {
                if !inside && steps.iter().all(|step| step.place == Place::Database) {
                    client = self.connect(&wanted.database).await?;
                }
                apply(&client, steps).await?;
            }
        }
        let changes = steps.into_iter().map(|step| step.change).collect();
        Ok(Converged {
            changes,
            kept: Vec::new(),
        })
    }

    /// Connects as the superuser, whatever the settings of the server and the role say.
    async fn connect(&self, database: &str) -> Result<Client, ConvergeError> {
        let stream = UnixStream::connect(self.socket).await;
        let stream = stream.map_err(|error| ConvergeError::Connect(self.socket.clone(), error))?;
        let options = [
            ("default_transaction_read_only", "off"),
            ("idle_in_transaction_session_timeout", "0"),
            ("standard_conforming_strings", "on"),
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
            .dbname(database)
            .application_name("doze")
            .options(options.join(" "))
            .connect_raw(stream, NoTls)
            .await;
        let (client, connection) = connected.map_err(ServerError)?;
        // It ends with the client, and its error is that of the statement that waits for it.
        drop(tokio::spawn(connection));
        Ok(client)
    }
}

/// Takes steps, all or none, unless it is the one that can be in no transaction.
async fn apply(client: &Client, steps: &[Step]) -> Result<(), ConvergeError> {
    if let [step] = steps
        && step.place == Place::Alone
    {
        return take(client, step).await;
    }
    run(client, "BEGIN").await?;
    for step in steps {
        take(client, step).await?;
    }
    Ok(run(client, "COMMIT").await?)
}

async fn take(client: &Client, step: &Step) -> Result<(), ConvergeError> {
    let failed = |source| ConvergeError::Statement {
        statement: step.change.statement.clone(),
        source,
    };
    run(client, &step.sql).await.map_err(failed)
}

async fn run(client: &Client, sql: &str) -> Result<(), ServerError> {
    Ok(client.batch_execute(sql).await?)
}
