//! Making a data directory. The server does it itself when it is told to boot from statements,
//! those of the script `mariadb-install-db`; the script is not needed for it. It must not know how
//! the server is run.

mod bootstrap;

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    process::ExitStatus,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Version, protocol::ProvisionCall};
use serde::{Deserialize, Serialize};

use crate::password;

/// The server's own directory in the data directory. Whatever lies in it is a database.
pub(crate) const DATADIR: &str = "datadir";

/// By whom doze works on the server: the only user that there is in the beginning. Whoever comes
/// through doze is a client of the unix socket for the server, so neither `localhost` nor the uid
/// keeps anybody out, but its password does.
pub(crate) const SUPERUSER: &str = "doze";

/// The file with its password, for the driver alone.
pub(crate) const PASSWORD: &str = "superuser-password";

/// The file with the major version that made the data directory.
const MAJOR: &str = "major";

/// All that the data directory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The major version of the server: `10.11`.
    pub(crate) major: String,
}

impl Facts {
    pub(crate) fn fingerprint(&self) -> String {
        format!("mariadb {}", self.major)
    }
}

/// The major version: its first two numbers.
pub(crate) fn major(version: &Version) -> String {
    let text = version.to_string();
    let numbers: Vec<_> = text.splitn(3, '.').take(2).collect();
    numbers.join(".")
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
    /// Another major version made the data directory.
    #[error(
        "MariaDB {found} made the data directory and is not MariaDB {wanted}; put \
         `version = \"{found}\"` back, or dump the data and load it into a new instance"
    )]
    Major {
        /// The version that made it.
        found: String,
        /// The version that the plan has.
        wanted: String,
    },
    /// The statements are not where they are with every server.
    #[error("{name} is missing below {basedir}/share; it belongs to MariaDB's server package")]
    Statements {
        /// The file.
        name: String,
        /// The folder that the server was installed into.
        basedir: Utf8PathBuf,
    },
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// There is no randomness.
    #[error("cannot make a password")]
    Password(#[from] getrandom::Error),
    /// The server cannot be run.
    #[error("cannot run {0}")]
    Start(Utf8PathBuf, #[source] io::Error),
    /// The server failed.
    #[error("{server} could not make a data directory, {status}: {output}")]
    Failed {
        /// The server.
        server: Utf8PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let body = &call.plan.body;
    let facts: Facts = body.provision.block.read().map_err(ProvisionError::Facts)?;
    let words = body.members.first().map(|member| member.argv.iter());
    let server = words.and_then(|mut words| words.find(|word| word.ends_with("/mariadbd")));
    let server = Utf8Path::new(server.ok_or(ProvisionError::Foreign)?);
    if call.fresh {
        make(&call.data, server, &facts)
    } else {
        demand_major(&call.data, &facts)
    }
}

fn make(data: &Utf8Path, server: &Utf8Path, facts: &Facts) -> Result<(), ProvisionError> {
    fs::set_permissions(data, Permissions::from_mode(0o700))
        .map_err(|error| ProvisionError::File(data.to_owned(), error))?;
    let password = password::random()?;
    bootstrap::run(server, data, &password)?;
    write(&data.join(PASSWORD), &password)?;
    write(&data.join(MAJOR), &facts.major)
}

fn demand_major(data: &Utf8Path, facts: &Facts) -> Result<(), ProvisionError> {
    let path = data.join(MAJOR);
    let found = fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))?;
    if found == facts.major {
        return Ok(());
    }
    Err(ProvisionError::Major {
        found,
        wanted: facts.major.clone(),
    })
}

/// Writes a file for its owner alone.
fn write(path: &Utf8Path, text: &str) -> Result<(), ProvisionError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| ProvisionError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_two_numbers() {
        let of = |text| major(&Version::new(text).unwrap());
        assert_eq!(of("10.11.19"), "10.11");
        assert_eq!(of("11.4"), "11.4");
        assert_eq!(of("12"), "12");
    }
}
