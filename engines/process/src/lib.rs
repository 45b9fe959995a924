//! The driver of a project's own processes: the programs that its user writes.
//!
//! Owns all that doze knows of them: the keys of a block, how a command is started, seen to be
//! ready and stopped, and how a browser is told that it cannot be served. It must not know the
//! engines, nor who calls it.

mod block;
mod check;
mod describe;
mod plan;
mod refuse;

use std::io;

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, PlanCall},
};
use doze_driver::{About, Client, Driver, PlanError, Refusal};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Driver for Process {
    type Error = PlanError;

    const ABOUT: About = describe::ABOUT;

    fn check(&self, call: &Check) -> Checked {
        check::check(call)
    }

    fn plan(&self, call: &PlanCall) -> Result<Body, PlanError> {
        plan::body(call)
    }

    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()> {
        refuse::refuse(refusal, client)
    }
}
