//! The driver of Apache Kvrocks, which speaks the protocol of Redis and keeps its data on disk.
//!
//! Owns all that doze knows of Kvrocks: the keys of its block, its configuration, how it is
//! started, seen to be ready and stopped. It must not know the other engines, nor who calls it.

mod block;
mod config;
mod describe;
mod listen;
mod plan;

use std::io;

use camino::Utf8PathBuf;
use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, PlanCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal, resp};

pub use listen::{LISTEN, ListenError, listen};

/// The driver.
#[derive(Debug, Clone)]
pub struct Kvrocks {
    /// The program of this driver, which a plan may start the server through.
    pub program: Utf8PathBuf,
}

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
        Ok(plan::body(call, &self.program)?)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        resp::refuse(refusal, client)
    }
}
