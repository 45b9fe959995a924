//! The driver of Apache Kvrocks, which speaks the protocol of Redis and keeps its data on disk.
//!
//! Owns all that doze knows of Kvrocks: the keys of its block, its configuration, how it is
//! started, seen to be ready and stopped. It must not know the other engines, nor who calls it.

mod block;
mod config;
mod describe;
mod plan;

use std::io;

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, PlanCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal, resp};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Kvrocks;

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no plan.
    #[error("cannot plan the instance")]
    Plan(#[from] PlanError),
}

impl Driver for Kvrocks {
    type Error = Error;

    const ABOUT: About = describe::ABOUT;

    fn check(&self, call: &Check) -> Checked {
        block::check(&call.block)
    }

    fn plan(&self, call: &PlanCall) -> Result<Body, Error> {
        Ok(plan::body(call)?)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        resp::refuse(refusal, client)
    }
}
