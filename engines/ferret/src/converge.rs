//! Making the structure in a running server what is declared, over one connection and in one
//! transaction: all of it, or nothing. It must not know what the statements say.

use std::io;

use doze_contract::protocol::{Action, ConvergeCall, Converged};
use tokio::runtime;

use crate::{
    catalog::{self, Live},
    diff,
    plan::{POSTGRES_SOCKET, Structure},
    seed::SeedError,
    server::{ConnectError, Server},
    work::CommandError,
};

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
    /// The server does not let us in.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not tell what it has.
    #[error("cannot ask the Postgres behind FerretDB")]
    Ask(#[from] CommandError),
    /// A statement failed.
    #[error("`{statement}` failed")]
    Statement {
        /// The statement, without secrets.
        statement: String,
        /// Why.
        #[source]
        why: CommandError,
    },
    /// The documents that a collection begins with.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

pub(crate) fn converge(call: &ConvergeCall) -> Result<Converged, ConvergeError> {
    let declared = call.plan.body.converge.as_ref();
    let declared = declared.ok_or(ConvergeError::Foreign)?;
    let wanted: Structure = declared.block.read().map_err(ConvergeError::Structure)?;
    let server = Server {
        socket: call.plan.paths.run.join(POSTGRES_SOCKET),
        within: declared.within,
    };
    runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(ConvergeError::Runtime)?
        .block_on(converged(&server, &wanted, call))
}

async fn converged(
    server: &Server,
    wanted: &Structure,
    call: &ConvergeCall,
) -> Result<Converged, ConvergeError> {
    let client = server.connect().await?;
    let run = async |sql| client.batch_execute(sql).await.map_err(CommandError::from);
    if !call.dry_run {
        run(LOCK).await?;
    }
    let mut live = catalog::read(&client).await?;
    live.locked_out = locked_out(server, wanted, &live).await?;
    let mut work = diff::work(wanted, &live);
    let mut kept = Vec::new();
    if call.prune {
        let pruning;
        (pruning, kept) = diff::pruning(wanted, &live);
        work.extend(pruning);
    }
    if !call.dry_run && !work.is_empty() {
        run("BEGIN").await?;
        catalog::prepare(&client).await?;
        for work in &work {
            work.run(&client).await?;
            catalog::note(&client, &work.object, work.action != Action::Drop).await?;
        }
        run("COMMIT").await?;
    }
    Ok(Converged {
        changes: work.iter().map(crate::work::Work::change).collect(),
        kept,
    })
}

/// The users who are there, and to whom the declared password is none.
async fn locked_out(
    server: &Server,
    wanted: &Structure,
    live: &Live,
) -> Result<std::collections::BTreeSet<String>, ConvergeError> {
    let mut found = std::collections::BTreeSet::new();
    for (name, user) in &wanted.user {
        if live.users.contains_key(name) && !server.lets_in(name, &user.password).await? {
            found.insert(name.clone());
        }
    }
    Ok(found)
}
