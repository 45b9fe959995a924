//! Making a data directory, and bringing an old one up to date: the cluster, the owner and the
//! database. No server and no client is needed for it: `postgres --single` takes the statements.
//! It must not know how the server is run.

mod run;

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::protocol::ProvisionCall;
use serde::{Deserialize, Serialize};

use crate::{
    plan::{CLUSTER, CONFIG, SUPERUSER},
    sql::{identifier, literal},
};
pub use run::RunError;
use run::run;

/// All that the data directory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The major version of the server.
    pub(crate) major: u32,
    /// The role that owns the database.
    pub(crate) owner: String,
    /// The name of the database.
    pub(crate) database: String,
}

impl Facts {
    pub(crate) fn fingerprint(&self) -> String {
        let Self {
            major,
            owner,
            database,
        } = self;
        format!("postgres {major}, database {database:?}, owner {owner:?}")
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
    /// Another major version made the data directory, and its files are of no use to this one.
    #[error(
        "PostgreSQL {found} made the data directory and PostgreSQL {wanted} cannot open it; \
         put `version = {found}` back, or dump and restore the data"
    )]
    Major {
        /// The version that made it.
        found: String,
        /// The version that the plan has.
        wanted: u32,
    },
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// A program of Postgres.
    #[error(transparent)]
    Run(#[from] RunError),
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let body = &call.plan.body;
    let facts: Facts = body.provision.block.read().map_err(ProvisionError::Facts)?;
    let server = body.members.first().and_then(|member| member.argv.first());
    let server = Utf8Path::new(server.ok_or(ProvisionError::Foreign)?);
    let config = body
        .files
        .iter()
        .find(|file| file.path.file_name() == Some(CONFIG));
    let cluster = Cluster {
        server,
        folder: call.data.join(CLUSTER),
        config: &config.ok_or(ProvisionError::Foreign)?.text,
        config_path: call.data.join("provision.conf"),
        fresh: call.fresh,
    };
    if call.fresh {
        fs::set_permissions(&call.data, Permissions::from_mode(0o700))
            .map_err(|error| ProvisionError::File(call.data.clone(), error))?;
        cluster.create()?;
    } else {
        cluster.demand_major(facts.major)?;
    }
    cluster.with_config(|cluster| cluster.satisfy(&facts))
}

/// A data directory of the server, and what is needed to work on it.
struct Cluster<'a> {
    server: &'a Utf8Path,
    folder: Utf8PathBuf,
    config: &'a str,
    config_path: Utf8PathBuf,
    fresh: bool,
}

impl Cluster<'_> {
    fn create(&self) -> Result<(), ProvisionError> {
        let initdb = self.server.with_file_name("initdb");
        let arguments = [
            "-D",
            self.folder.as_str(),
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
        run(&initdb, &arguments, "")?;
        Ok(())
    }

    fn demand_major(&self, wanted: u32) -> Result<(), ProvisionError> {
        let path = self.folder.join("PG_VERSION");
        let found = fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))?;
        let found = found.trim();
        if found == wanted.to_string() {
            Ok(())
        } else {
            Err(ProvisionError::Major {
                found: found.to_owned(),
                wanted,
            })
        }
    }

    /// Works with the configuration that the server will have: some of it, such as `wal_level`,
    /// has to be the same for the data directory to be opened at all.
    fn with_config(
        &self,
        work: impl FnOnce(&Self) -> Result<(), ProvisionError>,
    ) -> Result<(), ProvisionError> {
        let failed = |error| ProvisionError::File(self.config_path.clone(), error);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.config_path)
            .and_then(|mut file| file.write_all(self.config.as_bytes()))
            .map_err(failed)?;
        let result = work(self);
        fs::remove_file(&self.config_path).map_err(failed)?;
        result
    }

    fn satisfy(&self, facts: &Facts) -> Result<(), ProvisionError> {
        let (role, database) = (identifier(&facts.owner), identifier(&facts.database));
        let (has_role, has_database) = self.existing(facts)?;
        let mut statements = Vec::new();
        if !has_role {
            statements.push(format!("CREATE ROLE {role} LOGIN"));
        }
        statements.push(if has_database {
            format!("ALTER DATABASE {database} OWNER TO {role}")
        } else {
            format!("CREATE DATABASE {database} OWNER {role}")
        });
        self.single(&statements)?;
        Ok(())
    }

    /// Whether the role and the database are there.
    fn existing(&self, facts: &Facts) -> Result<(bool, bool), ProvisionError> {
        if self.fresh {
            // What initdb makes besides its templates.
            return Ok((facts.owner == SUPERUSER, facts.database == SUPERUSER));
        }
        let rows = self.single(&[
            format!(
                "SELECT count(*) AS role FROM pg_catalog.pg_roles WHERE rolname = {}",
                literal(&facts.owner)
            ),
            format!(
                "SELECT count(*) AS database FROM pg_catalog.pg_database WHERE datname = {}",
                literal(&facts.database)
            ),
        ])?;
        Ok((
            rows.contains("role = \"1\""),
            rows.contains("database = \"1\""),
        ))
    }

    /// Runs statements in the single-user mode of the server and gives what it prints.
    fn single(&self, statements: &[String]) -> Result<String, ProvisionError> {
        let config = format!("config_file={}", self.config_path);
        let mut arguments = vec!["--single", "-j", "-D", self.folder.as_str()];
        let mut set = |setting| arguments.extend(["-c", setting]);
        set(&config);
        set("exit_on_error=on");
        // Whatever the user's settings say.
        set("standard_conforming_strings=on");
        set("default_transaction_read_only=off");
        if self.fresh {
            // The caller makes a fresh directory durable as a whole.
            set("fsync=off");
        }
        arguments.push(SUPERUSER);
        // With -j a statement ends at a semicolon that two newlines follow; none of ours has a
        // newline in it, for no name has.
        let input: String = statements.iter().flat_map(|one| [one, ";\n\n"]).collect();
        Ok(run(self.server, &arguments, &input)?)
    }
}
