//! The structure in the ready engine: as the plan declares it, before a client meets it.
//!
//! The data directory remembers what it was converged for, so that a wake without an edit asks
//! nobody. Must not know what a structure is: the driver makes it, as a child process that speaks
//! the driver protocol.

use std::{io, time::Duration};

use camino::Utf8PathBuf;
use doze_contract::{Endpoint, Plan};
use tokio::time::timeout;

use crate::{
    driver::{self, Done, DriverError},
    lock::Lock,
    log::Log,
    plan::Source,
    process::Process,
    stamp,
};

/// The file in a data directory that holds the fingerprint it was converged for.
const STAMP: &str = "doze-converged";

/// Why the engine is not as declared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvergeError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("the driver was not done within {0:?}")]
    Late(Duration),
    #[error("cannot read or write {path}")]
    File {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Whether the data directory was converged for what the plan declares, as far as that can be told.
pub(crate) fn is_made(plan: &Plan) -> bool {
    plan.body.converge.as_ref().is_none_or(|wanted| {
        let stamp = stamp::read(&plan.paths.data, STAMP).ok().flatten();
        stamp.as_ref() == Some(&wanted.fingerprint)
    })
}

/// Sees to it that the ready engine, which listens there, has what the plan declares. A driver that
/// still runs when this is dropped is left in `helper`.
pub(crate) async fn ensure(
    plan: &Source,
    lock: &Lock,
    upstream: Option<&Endpoint>,
    helper: &mut Option<Process>,
    log: &Log,
) -> Result<(), ConvergeError> {
    let Some(wanted) = &plan.body.converge else {
        return Ok(());
    };
    let data = &plan.paths.data;
    let file = |source| ConvergeError::File {
        path: data.join(STAMP),
        source,
    };
    if stamp::read(data, STAMP).map_err(file)?.as_ref() == Some(&wanted.fingerprint) {
        return Ok(());
    }
    let fields = match upstream.filter(|_| plan.body.chosen.is_some()) {
        Some(upstream) => format!(r#","upstream":"{upstream}","dry_run":false"#),
        None => String::from(r#","dry_run":false"#),
    };
    let asked = driver::ask(plan, lock, ("converge", &fields), helper, log);
    let late = |_| ConvergeError::Late(wanted.within);
    let Done::Converge(converged) = timeout(wanted.within, asked).await.map_err(late)?? else {
        return Err(DriverError::Mixed.into());
    };
    for change in converged.changes {
        log.say(format_args!("converged: {}", change.statement));
    }
    stamp::write(data, STAMP, &wanted.fingerprint).map_err(file)
}
