//! What every plan begins with: reading the call, and the reasons why there is no plan. It must
//! not know what any plan says.

use doze_contract::{
    Endpoint, Opaque, endpoint::EndpointError, plan::Provision, protocol::PlanCall,
};
use serde::{Serialize, de::DeserializeOwned};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The block is not a normalised one.
    #[error("the block did not come from `check`")]
    Block(#[source] serde_json::Error),
    /// What provisioning needs cannot be JSON.
    #[error("what the data directory depends on cannot be written down")]
    Facts(#[source] serde_json::Error),
    /// An instance without an address cannot be found by anybody.
    #[error("the instance has no endpoint")]
    NoEndpoint,
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
    })
}
