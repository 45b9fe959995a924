//! Making a data directory, and bringing an old one up to date: the Postgres cluster, and the
//! extension in it. No server and no client is needed for it: `postgres --single` takes the
//! statements. It must not know how the server is run.

use std::{convert::Infallible, fs, io};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, Version, protocol::ProvisionCall};
use doze_driver::{
    program::{RunError, run},
    template::{self, TemplateError},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    config::PRELOADED,
    plan::{CLUSTER, SUPERUSER, environment},
};

const INITDB: &[&str] = &[
    "-U",
    SUPERUSER,
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
];

const EXTENSION: &str = "CREATE EXTENSION documentdb CASCADE;";

/// All that the data directory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The version of FerretDB, which needs a version of DocumentDB of its own.
    pub(crate) version: Version,
}

impl Facts {
    pub(crate) fn fingerprint(&self) -> String {
        format!("ferret {}", self.version)
    }

    /// The template that a new data directory is cloned from; `postgres` is of that version.
    fn template(&self, postgres: &Utf8Path, version: &Version) -> String {
        // The same version of somebody else may have another DocumentDB beside it.
        let origin = Sha256::new()
            .chain_update(postgres.as_str())
            .chain_update(INITDB.join("\0"))
            .chain_update(EXTENSION);
        let digest: [u8; 32] = origin.finalize().into();
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest);
        format!("ferret-{}-postgres-{version}-{digest}", self.version)
    }
}

/// Why there is no data directory.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The plan is not one of this driver.
    #[error("the plan is not one of this driver")]
    Foreign,
    /// What the plan says of provisioning cannot be read.
    #[error("the plan is not one of this driver")]
    Facts(#[source] serde_json::Error),
    /// There is no template, or no clone of it.
    #[error(transparent)]
    Template(Box<TemplateError<Self>>),
    /// Another major version of Postgres made the data directory.
    #[error(
        "PostgreSQL {found} made the data directory and PostgreSQL {there} cannot open it; put the \
         old programs back, or dump and restore the data"
    )]
    Major {
        /// The version that made it.
        found: String,
        /// The version beside FerretDB.
        there: String,
    },
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// A program of Postgres.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A server does not tell its version.
    #[error("{0} does not tell its version, but `{1}`")]
    Version(Utf8PathBuf, String),
    /// There is no clone for the next one.
    #[error(transparent)]
    Spare(#[from] TemplateError<Infallible>),
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let (facts, postgres) = read(&call.plan)?;
    let version = version(postgres)?;
    if call.fresh {
        let key = facts.template(postgres, &version);
        return template::from_template(call, &key, |folder| make(postgres, folder))
            .map_err(|error| ProvisionError::Template(Box::new(error)));
    }
    demand_major(&version, &call.data)?;
    // Says nothing if it is the one that is installed.
    let update = ["documentdb_core", "documentdb"];
    let update = update.map(|name| format!("ALTER EXTENSION {name} UPDATE;"));
    single(postgres, &call.data, &update.concat(), false)
}

/// Makes the clone that the next new instance of these versions begins with.
pub(crate) fn replenish(plan: &Plan) -> Result<(), ProvisionError> {
    let (facts, postgres) = read(plan)?;
    let key = facts.template(postgres, &version(postgres)?);
    Ok(template::replenish(plan, &key)?)
}

/// What the plan says, and its program of Postgres.
fn read(plan: &Plan) -> Result<(Facts, &Utf8Path), ProvisionError> {
    let body = &plan.body;
    let facts = body.provision.block.read().map_err(ProvisionError::Facts)?;
    let postgres = body.members.first().and_then(|member| member.argv.first());
    let postgres = Utf8Path::new(postgres.ok_or(ProvisionError::Foreign)?);
    Ok((facts, postgres))
}

/// Makes a template: nothing in it depends on the instance.
fn make(postgres: &Utf8Path, folder: &Utf8Path) -> Result<(), ProvisionError> {
    let cluster = folder.join(CLUSTER);
    let arguments = [&["-D", cluster.as_str()], INITDB].concat();
    run(
        &postgres.with_file_name("initdb"),
        &arguments,
        &environment(),
        "",
    )?;
    single(postgres, folder, EXTENSION, true)
}

/// The version that the server says it has.
fn version(postgres: &Utf8Path) -> Result<Version, ProvisionError> {
    let said = run(postgres, &["--version"], &environment(), "")?;
    Version::find_in(&said).ok_or_else(|| ProvisionError::Version(postgres.to_owned(), said))
}

fn demand_major(version: &Version, data: &Utf8Path) -> Result<(), ProvisionError> {
    let path = data.join(CLUSTER).join("PG_VERSION");
    let found = fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))?;
    let (found, there) = (found.trim(), version.major().to_string());
    if found == there {
        Ok(())
    } else {
        Err(ProvisionError::Major {
            found: found.to_owned(),
            there,
        })
    }
}

/// Runs one line of statements in the single-user mode of the server.
fn single(
    postgres: &Utf8Path,
    data: &Utf8Path,
    statements: &str,
    fresh: bool,
) -> Result<(), ProvisionError> {
    let cluster = data.join(CLUSTER);
    let preloaded = format!("shared_preload_libraries={PRELOADED}");
    let mut arguments = vec!["--single", "-D", cluster.as_str()];
    let mut set = |setting| arguments.extend(["-c", setting]);
    set(&preloaded);
    set("cron.database_name=postgres");
    set("exit_on_error=on");
    set("log_checkpoints=off");
    if fresh {
        // A fresh directory is put on the disk as a whole.
        set("fsync=off");
    }
    arguments.push("postgres");
    let statements = format!("{statements}\n");
    run(postgres, &arguments, &environment(), &statements)?;
    Ok(())
}
