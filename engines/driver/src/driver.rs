//! The trait of a driver: one method for each verb of the protocol. It must not know how the
//! messages travel.

use std::{error::Error, io};

use doze_contract::{
    plan::Body,
    protocol::{Check, Checked, ConvergeCall, Converged, PlanCall, ProvisionCall, ReplenishCall},
};

use crate::{About, Client, Refusal, block};

/// A program that knows one engine.
///
/// [`Driver::check`] and [`Driver::plan`] are pure, so that the same declaration always gives the same
/// plan.
pub trait Driver {
    /// Why a call could not be carried out. It is shown with all its sources.
    type Error: Error;

    /// What the engine is and what its block looks like.
    const ABOUT: About;

    /// Says all that is wrong with a block, and fills in its defaults. A driver has one of its own
    /// if what is right depends on the version, or on several keys at once.
    fn check(&self, call: &Check) -> Checked {
        block::check(Self::ABOUT.keys, &call.block)
    }

    /// Compiles one instance.
    fn plan(&self, call: &PlanCall) -> Result<Body, Self::Error>;

    /// Creates a data directory, or brings one up to date while the engine is stopped. What it makes
    /// is on the disk when it returns ([`crate::template::to_disk`]); whatever is left of a failed call is
    /// thrown away if the directory was fresh. An engine that needs nothing but an empty folder is
    /// content with this one.
    fn provision(&self, _call: &ProvisionCall) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Makes ahead what takes time of [`Driver::provision`] and is the same for every new data
    /// directory ([`crate::template::replenish`]). It is asked when an engine with a new one is ready;
    /// nobody waits for it, and it may be killed.
    fn replenish(&self, _call: &ReplenishCall) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Makes the structure in the ready engine what the plan declares, unless the call is a dry
    /// run, and says what that took. What is as declared is left alone, so a second call has
    /// nothing to say. It is asked only of plans that have a structure to converge.
    fn converge(&self, _call: &ConvergeCall) -> Result<Converged, Self::Error> {
        Ok(Converged {
            changes: Vec::new(),
            kept: Vec::new(),
        })
    }

    /// Tells a client in its own protocol that it cannot be served, and why. The end of the
    /// connection is the caller's matter. An error is one of the client, which is gone or speaks
    /// something else, and nobody is told of it.
    fn refuse(&self, refusal: &Refusal, client: &mut Client) -> io::Result<()>;
}
