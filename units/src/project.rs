//! The two units of a project as a whole: its target and its slice.
//!
//! Must not know the units of an instance but by name.

use camino::Utf8Path;
use doze_contract::{InstanceName, ProjectName};

use crate::{
    Prefix, escape,
    unit::{HEAD, UnitError, UnitFile, repeated},
};

/// What the units of a project say.
#[derive(Debug, Clone, Copy)]
pub struct ProjectUnits<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// Its `doze.toml`.
    pub source: &'a Utf8Path,
}

impl ProjectUnits<'_> {
    /// The target, which pulls in the sockets of these instances, and the services of those that
    /// start with the project.
    pub fn target(
        &self,
        instances: &[&InstanceName],
        started: &[&InstanceName],
    ) -> Result<UnitFile, UnitError> {
        let prefix = Prefix::of(self.project);
        let project = escape::value(self.project.as_str())?;
        let source = escape::value(self.source.as_str())?;
        let sockets = instances.iter().map(|instance| Ok(prefix.socket(instance)));
        let services = started.iter().map(|instance| Ok(prefix.service(instance)));
        let wants = repeated("Wants", sockets)? + &repeated("Wants", services)?;
        let what = if started.is_empty() {
            "\
# All of a project. While it is active, the addresses of the instances are held and nothing else
# runs. Stopping it stops everything; stop the slice of the same name to wait until that is done."
        } else {
            "\
# All of a project. While it is active, the addresses of the instances are held, and the processes
# that start with it run. Stopping it stops everything; stop the slice of the same name to wait until
# that is done."
        };
        let text = format!(
            "\
{HEAD}#
{what}

[Unit]
Description=doze: project {project}
SourcePath={source}
{wants}
[Install]
WantedBy=default.target
"
        );
        UnitFile::new(prefix.target(), text)
    }

    /// The slice, which all processes of the project are in.
    pub fn slice(&self) -> Result<UnitFile, UnitError> {
        let prefix = Prefix::of(self.project);
        let project = escape::value(self.project.as_str())?;
        let source = escape::value(self.source.as_str())?;
        let text = format!(
            "\
{HEAD}#
# Every process of a project is in here: the place for limits on all of it together, and for
# `systemctl --user stop`, which returns when the last one is gone.

[Unit]
Description=doze: processes of {project}
SourcePath={source}
"
        );
        UnitFile::new(prefix.slice(), text)
    }
}
