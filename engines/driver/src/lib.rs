//! What a driver of an engine is written with.
//!
//! Owns the [`Driver`] trait, the loop that lets a driver speak the driver protocol over its
//! standard input and output, the parting with a refused [`Client`], the reading of an engine's block from one table of its keys, and
//! (feature `conformance`) the checks that every driver has to pass. It must not know any engine.

pub mod block;
#[cfg(feature = "conformance")]
pub mod conformance;
mod driver;
mod refuse;
mod stdio;
pub mod url;

pub use driver::Driver;
pub use refuse::{Client, Refusal};
pub use stdio::{run, serve};
