//! Taking back what nobody declares any more, as far as nothing is lost by it: the server itself says
//! what still needs it. Without being told so it drops nothing that something else depends on. It
//! must not know what was declared.

use doze_contract::protocol::Kept;
use tokio_postgres::Client;

use crate::{
    converge::{ConvergeError, take},
    diff::{Place, Step},
    plan::SUPERUSER,
    record::Made,
    session::{Server, ServerError, Session, run},
    sql::identifier,
};

/// What became of it.
pub(crate) struct Pruned {
    pub(crate) done: Vec<Step>,
    pub(crate) kept: Vec<Kept>,
}

/// Takes the steps that the server lets. A dry run takes them in a transaction that comes to
/// nothing, after the steps before them that may free what they drop.
pub(crate) async fn prune<'a>(
    server: &Server,
    session: &Session,
    mut before: impl Iterator<Item = &'a Step>,
    gone: &[Step],
    dry_run: bool,
) -> Result<Pruned, ConvergeError> {
    let mut pruned = Pruned {
        done: Vec::new(),
        kept: Vec::new(),
    };
    if gone.is_empty() {
        return Ok(pruned);
    }
    let client = &session.client;
    // Whoever works with it has precedence.
    run(client, "SET lock_timeout = '2s'").await?;
    let together =
        |a: &Step, b: &Step| dry_run || (a.place == Place::Alone) == (b.place == Place::Alone);
    for steps in gone.chunk_by(together) {
        let alone = !dry_run && steps.iter().all(|step| step.place == Place::Alone);
        if !alone {
            run(client, "BEGIN").await?;
            for step in before.by_ref().filter(|step| step.frees) {
                take(client, step).await?;
            }
        }
        for step in steps {
            let why = match database(step) {
                Some(name) => dropped_database(server, client, step, name, dry_run).await?,
                None => dropped(client, step).await?,
            };
            pruned.note(step, why);
        }
        if !alone {
            run(client, if dry_run { "ROLLBACK" } else { "COMMIT" }).await?;
        }
    }
    Ok(pruned)
}

impl Pruned {
    /// Adds a step that was taken, or that was not, with the reason.
    fn note(&mut self, step: &Step, why: Option<String>) {
        match why {
            None => self.done.push(step.clone()),
            Some(reason) => self.kept.push(Kept {
                object: step.change.object.clone(),
                reason,
            }),
        }
    }
}

/// The database that a step drops.
fn database(step: &Step) -> Option<&str> {
    step.ends.iter().find_map(|gone| {
        if let Made::Database(name) = gone {
            Some(name.as_str())
        } else {
            None
        }
    })
}

/// Takes a step in a transaction, or tells why it cannot be taken.
async fn dropped(client: &Client, step: &Step) -> Result<Option<String>, ConvergeError> {
    run(client, "SAVEPOINT doze").await?;
    let Err(error) = take(client, step).await else {
        run(client, "RELEASE doze").await?;
        return Ok(None);
    };
    let why = needed(error)?;
    run(client, "ROLLBACK TO doze").await?;
    Ok(Some(why))
}

/// Drops a database in which there is nothing, or tells why it does not. What is in it only a
/// connection to it can tell.
async fn dropped_database(
    server: &Server,
    client: &Client,
    step: &Step,
    name: &str,
    dry_run: bool,
) -> Result<Option<String>, ConvergeError> {
    let inside = match server.connect(name).await {
        Ok(inside) => inside,
        Err(ConvergeError::Server(error)) => {
            return Ok(Some(format!("cannot be looked at: {error}")));
        }
        Err(error) => return Err(error),
    };
    if let Some(why) = contents(&inside.client).await? {
        return Ok(Some(why));
    }
    drop(inside);
    if dry_run {
        // Its owner may go with it.
        let (name, nobody) = (identifier(name), identifier(SUPERUSER));
        run(client, &format!("ALTER DATABASE {name} OWNER TO {nobody}")).await?;
        return Ok(None);
    }
    match take(client, step).await {
        Ok(()) => Ok(None),
        Err(error) => Ok(Some(needed(error)?)),
    }
}

/// What somebody has made in the database that the client is connected to.
async fn contents(client: &Client) -> Result<Option<String>, ConvergeError> {
    // FirstNormalObjectId: what comes with the server is below, and extensions can be made again.
    const COUNT: &str = "
        WITH mine AS (
            SELECT 'pg_catalog.pg_class'::regclass AS class, oid, relkind IN ('r', 'p', 'm', 'f') AS holds
            FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'm', 'f', 'v', 'S')
                AND relnamespace <> 'pg_toast'::regnamespace
            UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, false FROM pg_catalog.pg_proc
            UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata'::regclass, oid, true
            FROM pg_catalog.pg_largeobject_metadata)
        SELECT pg_catalog.count(*) FILTER (WHERE holds), pg_catalog.count(*) FROM mine m
        WHERE oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend
            WHERE classid = m.class AND objid = m.oid AND deptype = 'e')";
    let row = client.query_typed(COUNT, &[]).await;
    let rows = row.map_err(ServerError::from)?;
    let row = rows.first();
    let count = |at| -> Result<i64, ServerError> {
        Ok(row.map(|row| row.try_get(at)).transpose()?.unwrap_or(0))
    };
    Ok(match (count(0)?, count(1)?) {
        (0, 0) => None,
        (0, 1) => Some("has an object of its own".to_owned()),
        (0, all) => Some(format!("has {all} objects of its own")),
        (1, _) => Some("has a table".to_owned()),
        (tables, _) => Some(format!("has {tables} tables")),
    })
}

/// Why something has to stay; any other failure is one.
fn needed(error: ConvergeError) -> Result<String, ConvergeError> {
    if let ConvergeError::Statement { source, .. } = &error
        && let Some(why) = source.is_needed()
    {
        return Ok(why);
    }
    Err(error)
}
