//! What tests share: a private world for each test, waiting, process tables, golden trees, and
//! where the programs under test and the engines are.
//!
//! Must not know: what any single test is about.
//!
//! Everything here is written for tests: a failure of the surroundings panics with the reason.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failing helper fails its test, and says why"
)]

pub mod client;
pub mod crowd;
pub mod engines;
pub mod exchange;
pub mod process;
pub mod programs;
pub mod project;
pub mod random;
pub mod recipe;
pub mod size;
pub mod skip;
pub mod stamps;
pub mod terminal;
pub mod tree;
pub mod wait;
pub mod world;

pub use skip::needed;
pub use tree::Tree;
pub use wait::wait_until;
pub use world::{User, World};
