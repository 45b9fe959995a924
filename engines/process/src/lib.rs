//! The driver of a project's own processes: the programs that its user writes.
//!
//! Owns all that doze knows of them: the keys of a block, how a command is started, seen to be
//! ready and stopped. It must not know the engines, nor who calls it.

mod block;
mod check;
mod describe;
mod output;
mod plan;

use std::io;

use camino::Utf8PathBuf;
use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, PlanCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal, http};

pub use output::{MATCH, matches};

/// The driver.
#[derive(Debug, Clone)]
pub struct Process {
    /// The program that it is: a plan may call it as [`MATCH`].
    pub program: Utf8PathBuf,
}

impl Driver for Process {
    type Error = PlanError;

    const ABOUT: About = describe::ABOUT;

    fn check(&self, call: &Check) -> Checked {
        check::check(call)
    }

    fn plan(&self, call: &PlanCall) -> Result<Body, PlanError> {
        plan::body(call, &self.program)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        http::refuse(refusal, client)
    }
}
