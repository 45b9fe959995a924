//! Making the structure in a running server what is declared, over one connection as the
//! superuser. It must not know what the statements say.

use std::{collections::BTreeSet, fmt, fs, io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint,
    error::chain,
    protocol::{ConvergeCall, Converged},
};
use mysql::{Conn, OptsBuilder, prelude::Queryable};

use crate::{
    catalog,
    diff::{self, Pruning, Step},
    provision::{PASSWORD, SUPERUSER},
    record::{Record, RecordError},
    structure::Structure,
};

/// Why the structure is not as declared.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// The plan is not one of this driver.
    #[error("the plan is not one of this driver")]
    Foreign,
    /// What the plan says of the structure cannot be read.
    #[error("the plan is not one of this driver")]
    Structure(#[source] serde_json::Error),
    /// The password of the superuser.
    #[error("cannot read {0}")]
    Password(Utf8PathBuf, #[source] io::Error),
    /// The server's socket, or its word on the superuser.
    #[error("cannot connect to {0}")]
    Connect(Utf8PathBuf, #[source] ServerError),
    /// The server does not tell what it has.
    #[error("cannot ask the server")]
    Server(#[from] ServerError),
    /// Somebody else converges the server for longer than this may take.
    #[error("somebody else works on the structure of this server")]
    Busy,
    /// What doze made is not known.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A statement failed.
    #[error("`{statement}` failed")]
    Statement {
        /// The statement, without secrets.
        statement: String,
        /// Why.
        #[source]
        source: ServerError,
    },
}

/// What the server says of a failure, or what is wrong with the connection.
#[derive(Debug)]
pub struct ServerError(mysql::Error);

impl std::error::Error for ServerError {}

impl From<mysql::Error> for ServerError {
    fn from(error: mysql::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let mysql::Error::MySqlError(error) = &self.0 {
            write!(f, "{} ({})", error.message, error.code)
        } else {
            f.write_str(&chain(&self.0))
        }
    }
}

pub(crate) fn converge(call: &ConvergeCall) -> Result<Converged, ConvergeError> {
    let plan = &call.plan;
    let declared = plan.body.converge.as_ref().ok_or(ConvergeError::Foreign)?;
    let wanted: Structure = declared.block.read().map_err(ConvergeError::Structure)?;
    let Some(Endpoint::Unix(socket)) = &plan.body.upstream else {
        return Err(ConvergeError::Foreign);
    };
    let data = &plan.paths.data;
    let mut server = connect(socket, data, declared.within)?;
    if !call.dry_run {
        lock(&mut server, declared.within)?;
    }
    let mut made = Record::read(data)?;
    let of_tables = wanted.grants.iter().filter_map(|grant| {
        let target = &grant.target;
        Some((target.database.as_deref()?, target.table.as_deref()?))
    });
    let undeclared: BTreeSet<_> = if call.prune {
        diff::undeclared_databases(&wanted, &made)
            .map(String::as_str)
            .collect()
    } else {
        BTreeSet::new()
    };
    let live = catalog::read(&mut server, &of_tables.collect(), &undeclared);
    let live = live.map_err(ServerError)?;
    let mut steps = diff::steps(&wanted, &live);
    let pruning = if call.prune {
        diff::prune(&wanted, &live, &made)
    } else {
        Pruning::default()
    };
    steps.extend(pruning.steps);
    if !call.dry_run {
        if !steps.is_empty() {
            // First, so that nothing is ever there that is not known to be ours.
            made.add(&steps);
            made.write(data)?;
            apply(&mut server, &steps)?;
        }
        if call.prune {
            made.settle(&wanted, &pruning.kept_databases);
            made.write(data)?;
        }
    }
    Ok(Converged {
        changes: steps.into_iter().map(|step| step.change).collect(),
        kept: pruning.kept,
    })
}

/// Connects as the superuser, whatever the settings of the server say.
fn connect(socket: &Utf8Path, data: &Utf8Path, within: Duration) -> Result<Conn, ConvergeError> {
    let path = data.join(PASSWORD);
    let password =
        fs::read_to_string(&path).map_err(|error| ConvergeError::Password(path, error))?;
    let options = OptsBuilder::new()
        .socket(Some(socket.as_str()))
        .user(Some(SUPERUSER))
        .pass(Some(password))
        .prefer_socket(false)
        .read_timeout(Some(within))
        .write_timeout(Some(within))
        .init(vec![
            // A backslash escapes in a text, a backtick is what quotes a name, and what cannot be
            // done as it is said is an error.
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
            // A hash is not for the logs.
            "SET SESSION sql_log_off = 1, SESSION slow_query_log = 0",
            "SET SESSION lock_wait_timeout = 30",
        ]);
    Conn::new(options)
        .map_err(|error| ConvergeError::Connect(socket.to_owned(), ServerError(error)))
}

/// Those who converge a server at the same time do it one after the other.
fn lock(server: &mut Conn, within: Duration) -> Result<(), ConvergeError> {
    let query = format!("SELECT GET_LOCK('doze', {})", within.as_secs());
    let got: Option<Option<u8>> = server.query_first(query).map_err(ServerError)?;
    match got.flatten() {
        Some(1) => Ok(()),
        _ => Err(ConvergeError::Busy),
    }
}

fn apply(server: &mut Conn, steps: &[Step]) -> Result<(), ConvergeError> {
    for step in steps {
        server
            .query_drop(&step.sql)
            .map_err(|error| ConvergeError::Statement {
                statement: step.change.statement.clone(),
                source: ServerError(error),
            })?;
    }
    Ok(())
}
