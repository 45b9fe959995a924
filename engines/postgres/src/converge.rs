//! Making the structure in a running server what is declared, over one connection as the
//! superuser. It must not know what the statements say.

use std::{collections::BTreeSet, fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, Plan,
    protocol::{ConvergeCall, Converged},
};
use tokio::runtime;
use tokio_postgres::Client;

use crate::{
    catalog::{self, Live},
    diff::{self, Diff, Place, Step},
    gone,
    plan::CLUSTER,
    provision::{self, ProvisionError},
    prune::{self, Pruned},
    record::{Made, Record},
    session::{Server, ServerError, Session, run},
    spare,
    structure::Structure,
};

/// Where to work as long as the database of the instance is not there.
const OTHER_DATABASE: &str = "postgres";

/// What those who converge a server at the same time agree on: `doze`, as bytes.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_lock(x'646f7a65'::int)";

/// How often to look again if somebody else changes the same at the same time.
const ATTEMPTS: usize = 6;

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
    /// The password of the superuser.
    #[error("cannot log in as the superuser")]
    Secret(#[from] Box<ProvisionError>),
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
    /// There is no randomness for a salt or a key.
    #[error("cannot make a salt for a password")]
    Salt(#[from] getrandom::Error),
    /// The file that tells what doze has made.
    #[error("cannot read or write what was made before, in {0}")]
    Record(Utf8PathBuf, #[source] io::Error),
}

impl ConvergeError {
    fn is_overlap(&self) -> bool {
        if let Self::Server(source) | Self::Statement { source, .. } = self {
            source.is_overlap()
        } else {
            false
        }
    }
}

pub(crate) fn converge(call: &ConvergeCall) -> Result<Converged, ConvergeError> {
    let body = &call.plan.body;
    let declared = body.converge.as_ref().ok_or(ConvergeError::Foreign)?;
    let wanted: Structure = declared.block.read().map_err(ConvergeError::Structure)?;
    let work = Work {
        server: Server {
            socket: socket(&call.plan)?,
            password: provision::secret(&call.plan.paths).map_err(Box::new)?,
            within: declared.within,
        },
        wanted: &wanted,
        data: &call.plan.paths.data,
        dry_run: call.dry_run,
        prune: call.prune,
    };
    runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(ConvergeError::Runtime)?
        .block_on(work.converge())
}

/// The unix socket of the running server. If its clients come over TCP, it is called after the port,
/// which the server keeps in the fourth line of its pid file.
fn socket(plan: &Plan) -> Result<Utf8PathBuf, ConvergeError> {
    if let Some(Endpoint::Unix(socket)) = &plan.body.upstream {
        return Ok(socket.clone());
    }
    let file = plan.paths.data.join(CLUSTER).join("postmaster.pid");
    let text = fs::read_to_string(&file).map_err(|error| ConvergeError::Connect(file, error))?;
    let port = text.lines().nth(3).ok_or(ConvergeError::Foreign)?;
    Ok(plan.paths.run.join(format!(".s.PGSQL.{}", port.trim())))
}

/// One call.
struct Work<'a> {
    server: Server,
    wanted: &'a Structure,
    /// The data directory of the instance.
    data: &'a Utf8Path,
    dry_run: bool,
    prune: bool,
}

/// What was found before anything is done.
struct Sight {
    session: Session,
    /// Whether that is in the database of the instance.
    inside: bool,
    live: Live,
    before: Record,
}

impl Work<'_> {
    async fn converge(&self) -> Result<Converged, ConvergeError> {
        let mut attempts = 1;
        loop {
            match self.attempt().await {
                Err(error) if error.is_overlap() && attempts < ATTEMPTS => attempts += 1,
                result => return result,
            }
        }
    }

    async fn attempt(&self) -> Result<Converged, ConvergeError> {
        let sight = self.look().await?;
        let mut diff = diff::diff(self.wanted, &sight.live, &sight.before)?;
        spare::take(&mut diff.steps, self.wanted, &sight.live);
        let gone = gone::gone(self.wanted, &sight.live, &diff.record);
        let noted = diff.record.on_the_way_from(&sight.before);
        if !self.dry_run {
            self.take(&sight, &diff, &noted).await?;
        }
        if self.prune {
            let ahead = diff.steps.iter().filter(|_| self.dry_run);
            let pruned = prune::prune(&self.server, &sight.session, ahead, &gone, self.dry_run);
            let Pruned { done, kept: stays } = pruned.await?;
            diff.kept.extend(stays);
            for gone in done.iter().flat_map(|step| &step.ends) {
                diff.record.remove(gone);
            }
            diff.steps.extend(done);
        } else {
            diff.kept.extend(gone::told(gone));
        }
        if !self.dry_run {
            self.remember(&noted, &diff.record)?;
        }
        Ok(Converged {
            changes: diff.steps.into_iter().map(|step| step.change).collect(),
            kept: diff.kept,
        })
    }

    async fn look(&self) -> Result<Sight, ConvergeError> {
        let database = &self.wanted.database;
        // A new server has no such database, and would log that somebody asked for it.
        let before = Record::read(self.data).map_err(|error| self.record(error))?;
        if before == Record::default() && database != OTHER_DATABASE {
            let other = self.server.connect(OTHER_DATABASE).await?;
            let sight = self.look_from(other, false).await?;
            if !sight.live.databases.contains_key(database) {
                return Ok(sight);
            }
        }
        let (session, inside) = match self.server.connect(database).await {
            Err(ConvergeError::Server(error)) if error.is_no_database() => {
                (self.server.connect(OTHER_DATABASE).await?, false)
            }
            connected => (connected?, true),
        };
        self.look_from(session, inside).await
    }

    async fn look_from(&self, session: Session, inside: bool) -> Result<Sight, ConvergeError> {
        // Who only looks waits for nobody.
        let lock = if self.dry_run { "" } else { LOCK };
        let live = catalog::read(&session.client, lock, inside).await;
        let mut live = live.map_err(ServerError::from)?;
        live.major = session.major;
        let before = Record::read(self.data).map_err(|error| self.record(error))?;
        let more = self.look_closer(&session.client, &mut live, inside, &before);
        more.await.map_err(ServerError::from)?;
        Ok(Sight {
            session,
            inside,
            live,
            before,
        })
    }

    /// Adds what has to be known only if something of its kind is declared or was made before.
    async fn look_closer(
        &self,
        client: &Client,
        live: &mut Live,
        inside: bool,
        before: &Record,
    ) -> Result<(), tokio_postgres::Error> {
        let there = |name: &String| live.extensions.contains_key(name);
        if !self.wanted.extensions.keys().all(there) {
            catalog::available(client, live).await?;
        }
        let mut targets: BTreeSet<_> = self.wanted.privileges(live.major).into_keys().collect();
        for made in before.made() {
            if let Made::Grant { target, .. } = made {
                targets.insert(target.clone());
            }
        }
        catalog::privileges(client, live, &targets, inside).await
    }

    /// Takes all steps. What they make is noted before, so that a crash leaves nothing behind that
    /// nobody knows.
    async fn take(&self, sight: &Sight, diff: &Diff, noted: &Record) -> Result<(), ConvergeError> {
        self.remember(&sight.before, noted)?;
        if diff.steps.is_empty() {
            return Ok(());
        }
        let mut taken = 0;
        let result = self.take_each(sight, &diff.steps, &mut taken).await;
        if result.is_err() {
            let mut record = sight.before.clone();
            for step in diff.steps.iter().take(taken) {
                record.add(step.makes.iter().cloned());
            }
            // The error that is told is the first one.
            drop(record.write(self.data));
        }
        result
    }

    async fn take_each(
        &self,
        sight: &Sight,
        steps: &[Step],
        taken: &mut usize,
    ) -> Result<(), ConvergeError> {
        let inside = sight.inside;
        // A transaction ends before what can be in none, and where the database begins to be.
        let together = |a: &Step, b: &Step| {
            a.place != Place::Alone && b.place != Place::Alone && (inside || a.place == b.place)
        };
        let mut within = None;
        for steps in steps.chunk_by(together) {
            let is_within = !inside && steps.iter().all(|step| step.place == Place::Database);
            if is_within && within.is_none() {
                within = Some(self.server.connect(&self.wanted.database).await?);
            }
            // The first session has the lock.
            let session = within.as_ref().filter(|_| is_within);
            apply(&session.unwrap_or(&sight.session).client, steps).await?;
            *taken += steps.len();
        }
        Ok(())
    }

    /// Writes down what was made, if that is another thing than before.
    fn remember(&self, before: &Record, record: &Record) -> Result<(), ConvergeError> {
        if before == record {
            return Ok(());
        }
        record.write(self.data).map_err(|error| self.record(error))
    }

    fn record(&self, error: io::Error) -> ConvergeError {
        ConvergeError::Record(self.data.to_owned(), error)
    }
}

/// Takes steps, all or none, unless it is the one that can be in no transaction: all at once, and one
/// by one only to find out which one fails.
async fn apply(client: &Client, steps: &[Step]) -> Result<(), ConvergeError> {
    if let [step] = steps
        && step.place == Place::Alone
    {
        return take(client, step).await;
    }
    let all = steps.iter().map(|step| step.sql.as_str());
    let all: Vec<_> = ["BEGIN"].into_iter().chain(all).chain(["COMMIT"]).collect();
    match run(client, &all.join(";\n")).await {
        // Then one has to look again first.
        Err(error) if error.is_overlap() => return Err(error.into()),
        Err(_) => run(client, "ROLLBACK; BEGIN").await?,
        Ok(()) => return Ok(()),
    }
    for step in steps {
        take(client, step).await?;
    }
    Ok(run(client, "COMMIT").await?)
}

/// Takes one step.
pub(crate) async fn take(client: &Client, step: &Step) -> Result<(), ConvergeError> {
    let failed = |source| ConvergeError::Statement {
        statement: step.change.statement.clone(),
        source,
    };
    run(client, &step.sql).await.map_err(failed)
}
