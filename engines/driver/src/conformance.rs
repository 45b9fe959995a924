//! What every driver has to do, as checks that are run against its program and the real engine: by
//! `doze driver test`, and by the tests of the drivers that ship with doze. It must not know any
//! engine.
//!
//! [`rules::test`] asks the driver all that the protocol lets one ask, and lives through a life of
//! one instance, with real clients where a [`Practice`] tells how they are used. For what only one engine has, [`World`] is an instance in a folder of its own,
//! provisioned by the driver; [`Engine`] runs it exactly as its plan says; [`refused`] runs a
//! client that is refused.

mod door;
pub mod engine;
pub mod practice;
mod processes;
pub mod refusal;
mod report;
pub mod rules;
pub mod session;
mod toolchain;
mod wait;
mod world;

pub use engine::Engine;
pub use practice::{Client, Practice};
pub use refusal::{Refusing, refused};
pub use report::{Finding, Outcome};
pub use rules::Subject;
pub use session::{Session, SessionError};
pub use toolchain::{or_skipped, toolchains};
pub use wait::until;
pub use world::{World, WorldError, launcher};
