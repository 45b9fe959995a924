//! The driver of Valkey, which also runs Redis: the two share their protocol and configuration.
//!
//! Owns all that doze knows of Valkey: the keys of its block, its configuration, how it is
//! started, seen to be ready and stopped, what a data directory needs, and how a client is told
//! that it cannot be served. It must not know the
//! other engines, nor who calls it.

mod block;
mod config;
mod describe;
mod plan;
mod provision;

use std::io;

use doze_contract::{
    plan::Body,
    protocol::{PlanCall, ProvisionCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal, resp};

pub use provision::ProvisionError;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Valkey;

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no plan.
    #[error("cannot plan the instance")]
    Plan(#[from] PlanError),
    /// There is no data directory.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

impl Driver for Valkey {
    type Error = Error;

    const ABOUT: About = describe::ABOUT;

    fn plan(&self, call: &PlanCall) -> Result<Body, Error> {
        Ok(plan::body(call)?)
    }

    fn provision(&self, call: &ProvisionCall) -> Result<(), Error> {
        Ok(provision::provision(call)?)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        resp::refuse(refusal, client)
    }
}
