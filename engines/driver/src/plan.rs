//! What every plan begins with: reading the call, and the reasons why there is no plan. It must
//! not know what any plan says.

use std::{fmt::Write as _, time::Duration};

use doze_contract::{
    Endpoint, Opaque,
    endpoint::EndpointError,
    plan::{Converge, Provision},
    protocol::{PlanCall, Toolchain},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The block is not a normalised one.
    #[error("the block did not come from `check`")]
    Block(#[source] serde_json::Error),
    /// What provisioning needs cannot be JSON.
    #[error("what the data directory depends on cannot be written down")]
    Facts(#[source] serde_json::Error),
    /// What converging needs cannot be JSON.
    #[error("the structure cannot be written down")]
    Structure(#[source] serde_json::Error),
    /// An instance without an address cannot be found by anybody.
    #[error("the instance has no endpoint")]
    NoEndpoint,
    /// There is nothing to run it with.
    #[error("the call names no programs for the instance")]
    NoToolchain,
    /// The `run` folder cannot hold a socket.
    #[error("the run folder cannot hold the server's socket")]
    Upstream(#[source] EndpointError),
}

/// The block, as [`crate::Driver::check`] left it.
pub fn block<T: DeserializeOwned>(call: &PlanCall) -> Result<T, PlanError> {
    serde_json::from_value(call.block.clone()).map_err(PlanError::Block)
}

/// The endpoint that the URL names.
pub fn endpoint(call: &PlanCall) -> Result<&Endpoint, PlanError> {
    call.endpoints.first().ok_or(PlanError::NoEndpoint)
}

/// The programs to run it with, for an engine that has versions.
pub fn toolchain(call: &PlanCall) -> Result<&Toolchain, PlanError> {
    call.toolchain.as_ref().ok_or(PlanError::NoToolchain)
}

/// An upstream: the socket of this name in the `run` folder.
pub fn upstream(call: &PlanCall, name: &str) -> Result<Endpoint, PlanError> {
    Endpoint::unix(call.run.join(name)).map_err(PlanError::Upstream)
}

/// What must be true of the data directory: `facts` is all that it depends on, which
/// `fingerprint` names.
pub fn provision(
    fingerprint: impl Into<String>,
    facts: &impl Serialize,
) -> Result<Provision, PlanError> {
    Ok(Provision {
        fingerprint: fingerprint.into(),
        block: Opaque::new(facts).map_err(PlanError::Facts)?,
        replenishes: false,
    })
}

/// What must be true of the structure in the engine: `structure` is all that is declared of it,
/// `within` how long converging may take. The fingerprint is a digest, for it is kept beside the
/// data, where no password belongs.
pub fn converge(structure: &impl Serialize, within: Duration) -> Result<Converge, PlanError> {
    let text = serde_json::to_vec(structure).map_err(PlanError::Structure)?;
    let mut fingerprint = String::from("sha256:");
    for byte in Sha256::digest(&text) {
        // Writing to a String cannot fail.
        let _infallible = write!(fingerprint, "{byte:02x}");
    }
    Ok(Converge {
        fingerprint,
        block: Opaque::new(structure).map_err(PlanError::Structure)?,
        within,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_names_the_structure_and_hides_what_is_in_it() {
        let of = |password| converge(&[password], Duration::from_secs(1)).unwrap();
        assert_eq!(of("s3cret"), of("s3cret"));
        assert_ne!(of("s3cret").fingerprint, of("other").fingerprint);
        assert!(!of("s3cret").fingerprint.contains("s3cret"));
        assert_eq!(
            of("s3cret").block.read::<Vec<String>>().unwrap(),
            ["s3cret"]
        );
    }
}
