//! The driver of Temporal: the development server of its command line tool.
//!
//! Owns all that doze knows of Temporal: the keys of its block, how the server is started, seen to
//! be ready and stopped, how its namespaces are made as declared, and how a client is told that it
//! cannot be served. It must not know the other engines, nor who calls it.

mod api;
mod block;
mod check;
mod converge;
mod describe;
mod diff;
mod frame;
mod grpc;
mod hello;
mod plan;
mod refuse;

use std::io;

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, ConvergeCall, Converged, PlanCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal};

pub use converge::ConvergeError;
pub use grpc::GrpcError;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Temporal;

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no plan.
    #[error("cannot plan the instance")]
    Plan(#[from] PlanError),
    /// The namespaces are not as declared.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
}

impl Driver for Temporal {
    type Error = Error;

    const ABOUT: About = describe::ABOUT;

    fn check(&self, call: &Check) -> Checked {
        check::check(call)
    }

    fn plan(&self, call: &PlanCall) -> Result<Body, Error> {
        Ok(plan::body(call)?)
    }

    fn converge(&self, call: &ConvergeCall) -> Result<Converged, Error> {
        Ok(converge::converge(call)?)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        refuse::refuse(refusal, client)
    }
}
