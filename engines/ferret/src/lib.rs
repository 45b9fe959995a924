//! The driver of FerretDB, which speaks the protocol of MongoDB in front of a private Postgres with
//! the extension DocumentDB.
//!
//! Owns all that doze knows of the two: the keys of the block, their configuration, how they are
//! started, seen to be ready and stopped, how a data directory and the structure in it are made, and
//! how a client is told that it cannot be served. It must not know the other engines, nor who calls it.

mod block;
mod catalog;
mod config;
mod converge;
mod describe;
mod diff;
mod plan;
mod provision;
mod refuse;
mod seed;
mod server;
mod wire;
mod work;

use std::io;

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, ConvergeCall, Converged, PlanCall, ProvisionCall, ReplenishCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal};

pub use converge::ConvergeError;
pub use provision::ProvisionError;
pub use seed::SeedError;
pub use server::{ConnectError, ServerError};
pub use work::CommandError;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Ferret;

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no plan.
    #[error("cannot plan the instance")]
    Plan(#[from] PlanError),
    /// There is no data directory.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The structure is not as declared.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
}

impl Driver for Ferret {
    type Error = Error;

    const ABOUT: About = describe::ABOUT;

    fn check(&self, call: &Check) -> Checked {
        block::check(&call.block)
    }

    fn plan(&self, call: &PlanCall) -> Result<Body, Error> {
        Ok(plan::body(call)?)
    }

    fn provision(&self, call: &ProvisionCall) -> Result<(), Error> {
        Ok(provision::provision(call)?)
    }

    fn replenish(&self, call: &ReplenishCall) -> Result<(), Error> {
        Ok(provision::replenish(&call.plan)?)
    }

    fn converge(&self, call: &ConvergeCall) -> Result<Converged, Error> {
        Ok(converge::converge(call)?)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        refuse::refuse(refusal, client)
    }
}
