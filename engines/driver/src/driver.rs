//! The trait of a driver: one method for each verb of the protocol. It must not know how the
//! messages travel.

use std::{error::Error, io};

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, Description, PlanCall, ProvisionCall},
};

use crate::{Client, Refusal};

/// A program that knows one engine.
///
/// Only [`Driver::provision`] and [`Driver::refuse`] touch anything outside the driver. The others are pure, so that
/// the same declaration always gives the same plan.
pub trait Driver {
    /// Why a call could not be carried out. It is shown with all its sources.
    type Error: Error;

    /// Tells what the engine is and what its block looks like.
    fn describe(&self) -> Description;

    /// Says all that is wrong with a block, and fills in its defaults.
    fn check(&self, call: &Check) -> Checked;

    /// Compiles one instance.
    fn plan(&self, call: &PlanCall) -> Result<Body, Self::Error>;

    /// Creates a data directory, or brings one up to date while the engine is stopped. The
    /// caller makes the result durable; whatever is left of a failed call is thrown away if
    /// the directory was fresh.
    fn provision(&self, call: &ProvisionCall) -> Result<(), Self::Error>;

    /// Tells a client in its own protocol that it cannot be served, and why. The end of the
    /// connection is the caller's matter. An error is one of the client, which is gone or speaks
    /// something else, and nobody is told of it.
    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()>;
}
