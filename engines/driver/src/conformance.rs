//! What every driver has to do, as checks that a driver's own tests run against its program and
//! the real engine. It must not know any engine.
//!
//! [`rules::broken`] asks the driver all that the protocol lets one ask; [`World`] is one instance
//! in a folder of its own, provisioned by the driver and run exactly as its plan says; [`refused`] runs a client
//! that is refused.

pub mod engine;
pub mod refusal;
pub mod rules;
pub mod session;
mod toolchain;
mod wait;
mod world;

pub use engine::Engine;
pub use refusal::{Refusing, refused};
pub use session::{Session, SessionError};
pub use toolchain::toolchains;
pub use wait::until;
pub use world::{World, WorldError, launcher};
