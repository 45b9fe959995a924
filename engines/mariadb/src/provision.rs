//! Making a data directory. The server does it itself when it is told to boot from statements,
//! those of the script `mariadb-install-db`; the script is not needed for it. It must not know how
//! the server is run.

mod bootstrap;
mod make;

use std::{convert::Infallible, fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, Version, protocol::ProvisionCall};
use doze_driver::template::{self, TemplateError};
use serde::{Deserialize, Serialize};

pub use make::MakeError;
use make::make;

/// The server's own directory in the data directory. Whatever lies in it is a database.
pub(crate) const DATADIR: &str = "datadir";

/// The folder of its temporary files. A server removes all temporary tables that it finds when it
/// starts, those of another one as well.
pub(crate) const TMPDIR: &str = "tmp";

/// By whom doze works on the server: the only user that there is in the beginning. Whoever comes
/// through doze is a client of the unix socket for the server, so neither `localhost` nor the uid
/// keeps anybody out, but its password does.
pub(crate) const SUPERUSER: &str = "doze";

/// The file with its password, for the driver alone.
pub(crate) const PASSWORD: &str = "superuser-password";

/// The file with the major version that made the data directory.
const MAJOR: &str = "major";

/// Counts what this driver has put into a data directory, the layout and the user included.
const CONTENT: u32 = 1;

/// All that the data directory depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The version of the server: `10.11.19`.
    pub(crate) version: Version,
}

impl Facts {
    /// What a newer version may be used for as it is.
    pub(crate) fn fingerprint(&self) -> String {
        format!("mariadb {}", self.major())
    }

    fn template(&self) -> String {
        format!("mariadb-{}-{CONTENT}", self.version)
    }

    /// The first two numbers of the version.
    fn major(&self) -> String {
        let text = self.version.to_string();
        let numbers: Vec<_> = text.splitn(3, '.').take(2).collect();
        numbers.join(".")
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
    /// A file of the data directory.
    #[error("cannot read {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// A fresh one could not be made.
    #[error(transparent)]
    Template(#[from] TemplateError<MakeError>),
    /// There is no clone for the next one.
    #[error(transparent)]
    Spare(#[from] TemplateError<Infallible>),
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let body = &call.plan.body;
    let facts = facts(&call.plan)?;
    let words = body.members.first().map(|member| member.argv.iter());
    let server = words.and_then(|mut words| words.find(|word| word.ends_with("/mariadbd")));
    let server = Utf8Path::new(server.ok_or(ProvisionError::Foreign)?);
    if !call.fresh {
        return demand_major(&call.data, &facts);
    }
    Ok(template::from_template(
        call,
        &facts.template(),
        |folder| make(folder, server, &facts),
    )?)
}

/// Makes the clone that the next new instance of this version begins with.
pub(crate) fn replenish(plan: &Plan) -> Result<(), ProvisionError> {
    Ok(template::replenish(plan, &facts(plan)?.template())?)
}

fn facts(plan: &Plan) -> Result<Facts, ProvisionError> {
    let facts = plan.body.provision.block.read();
    facts.map_err(ProvisionError::Facts)
}

fn demand_major(data: &Utf8Path, facts: &Facts) -> Result<(), ProvisionError> {
    let path = data.join(MAJOR);
    let found = fs::read_to_string(&path).map_err(|error| ProvisionError::File(path, error))?;
    let wanted = facts.major();
    if found == wanted {
        Ok(())
    } else {
        Err(ProvisionError::Major { found, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_two_numbers() {
        let of = |text| {
            let version = Version::new(text).unwrap();
            Facts { version }.major()
        };
        assert_eq!(of("10.11.19"), "10.11");
        assert_eq!(of("11.4"), "11.4");
        assert_eq!(of("12"), "12");
    }
}
