//! What a driver of an engine is written with.
//!
//! Owns the [`Driver`] trait, the loop that lets a driver speak the driver protocol over its
//! standard input and output, the parting with a refused [`Client`], how it is told if it speaks
//! HTTP, the reading of an engine's block from one table of its keys, what every plan begins with,
//! the templates of data directories, the running of an engine's programs, the protocol that several
//! engines share, and (feature `conformance`) the checks that every driver has to pass. It must not
//! know any engine.

mod about;
pub mod block;
#[cfg(feature = "conformance")]
pub mod conformance;
mod driver;
pub mod http;
pub mod plan;
pub mod program;
mod refuse;
pub mod resp;
mod stdio;
pub mod template;
pub mod url;

pub use about::{About, AboutError, USUAL_FOLDERS};
pub use doze_contract as contract;
pub use driver::Driver;
pub use plan::PlanError;
pub use refuse::{Client, Refusal};
pub use stdio::{run, serve};
