//! Making a data directory, and looking over an old one: a cluster, the secret of its superuser,
//! and what TLS needs. All roles and databases come over the wire, when the server runs. It must not
//! know how that is.

use std::{
    convert::Infallible,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Plan, Version,
    plan::Paths,
    protocol::{ProvisionCall, Toolchain},
};
use doze_driver::{
    program::{RunError, run},
    template::{self, TemplateError},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    plan::{CLUSTER, SUPERUSER, environment},
    scram, spare,
    sql::{identifier, literal},
    tls::{self, TlsError},
};

/// The file in the data directory with the password of the superuser, which nobody but this driver
/// has a use for.
const SECRET: &str = "superuser";

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

/// All that the data directory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The major version of the server.
    pub(crate) major: u32,
    /// Its exact version, which a template is for.
    pub(crate) version: Version,
    /// Whom a certificate is for that is made here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) certified: Vec<String>,
}

impl Facts {
    pub(crate) fn new(toolchain: &Toolchain, certified: Vec<String>) -> Self {
        Self {
            major: toolchain.version.major(),
            version: toolchain.version.clone(),
            certified,
        }
    }

    /// The template that a new data directory is cloned from.
    fn template(&self, server: &Utf8Path) -> String {
        // The same version of somebody else may have been built with other options.
        let origin = Sha256::new()
            .chain_update(server.as_str())
            .chain_update(INITDB.join("\0"));
        let digest: [u8; 32] = origin.finalize().into();
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest);
        format!("postgres-{}-{digest}", self.version)
    }

    pub(crate) fn fingerprint(&self) -> String {
        let mut text = format!("postgres {}", self.major);
        if !self.certified.is_empty() {
            text.push_str(", a certificate for ");
            text.push_str(&self.certified.join(", "));
        }
        text
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
        "PostgreSQL {found} made the data directory and PostgreSQL {wanted} cannot open it; put \
         `version = {found}` back and run `doze up`. To move the data, then run `pg_dump -Fc -f \
         {instance}.dump \"$(doze url {instance})\"`; with `version = {wanted}`, run `doze reset \
         {instance}`, `doze up` and `pg_restore --no-owner -d \"$(doze url {instance})\" \
         {instance}.dump`"
    )]
    Major {
        /// The version that made it.
        found: String,
        /// The version that the plan has.
        wanted: u32,
        /// The instance.
        instance: String,
    },
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// A program of Postgres.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no randomness for a password.
    #[error("cannot make a password for the superuser")]
    Secret(#[from] getrandom::Error),
    /// There is no template, or no clone of it.
    #[error(transparent)]
    Template(Box<TemplateError<Self>>),
    /// There is no clone for the next one.
    #[error(transparent)]
    Spare(#[from] TemplateError<Infallible>),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let (facts, server) = read(&call.plan)?;
    if call.fresh {
        let make = |folder: &Utf8Path| make(server, folder);
        template::from_template(call, &facts.template(server), make)
            .map_err(|error| ProvisionError::Template(Box::new(error)))?;
    } else {
        demand_major(call, facts.major)?;
    }
    if !facts.certified.is_empty() {
        tls::certify(&call.data, &facts.certified)?;
    }
    Ok(())
}

/// Makes the clone that the next new instance of this version begins with.
pub(crate) fn replenish(plan: &Plan) -> Result<(), ProvisionError> {
    let (facts, server) = read(plan)?;
    Ok(template::replenish(plan, &facts.template(server))?)
}

/// What the plan says, and its server program.
fn read(plan: &Plan) -> Result<(Facts, &Utf8Path), ProvisionError> {
    let body = &plan.body;
    let facts = body.provision.block.read().map_err(ProvisionError::Facts)?;
    let server = body.members.first().and_then(|member| member.argv.first());
    let server = Utf8Path::new(server.ok_or(ProvisionError::Foreign)?);
    Ok((facts, server))
}

/// The password of the superuser.
pub(crate) fn secret(paths: &Paths) -> Result<String, ProvisionError> {
    let path = paths.data.join(SECRET);
    fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))
}

/// Makes a cluster with a password for the superuser and the spare database.
fn make(server: &Utf8Path, folder: &Utf8Path) -> Result<(), ProvisionError> {
    let cluster = folder.join(CLUSTER);
    let arguments = [&["-D", cluster.as_str()], INITDB].concat();
    run(
        &server.with_file_name("initdb"),
        &arguments,
        &environment(),
        "",
    )?;
    let mut random = [0; 24];
    getrandom::fill(&mut random)?;
    let password = BASE64_URL_SAFE_NO_PAD.encode(random);
    let path = folder.join(SECRET);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .map_err(|error| ProvisionError::File(path, error))?;
    let statements = [
        format!(
            "ALTER ROLE {SUPERUSER} PASSWORD {}",
            literal(&scram::verifier_of_random(&password)?)
        ),
        format!("CREATE DATABASE {}", identifier(spare::NAME)),
    ];
    // The single-user mode needs neither a running server nor a client, and takes its statements
    // from standard input: with -j each ends at a semicolon that two newlines follow.
    let arguments = [
        "--single",
        "-j",
        "-D",
        cluster.as_str(),
        "-c",
        "exit_on_error=on",
        // The whole template is made durable by who made it.
        "-c",
        "fsync=off",
        SUPERUSER,
    ];
    let statements = statements.join(";\n\n") + ";\n\n";
    run(server, &arguments, &environment(), &statements)?;
    Ok(())
}

fn demand_major(call: &ProvisionCall, wanted: u32) -> Result<(), ProvisionError> {
    let path = call.data.join(CLUSTER).join("PG_VERSION");
    let found = fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))?;
    let found = found.trim();
    if found == wanted.to_string() {
        Ok(())
    } else {
        Err(ProvisionError::Major {
            found: found.to_owned(),
            wanted,
            instance: call.plan.instance.to_string(),
        })
    }
}
