//! The pages of `docs` and the README: what they list is what there is, and what they show works.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise fails the test, and says what it was"
)]

mod acceptance;
mod examples;
mod markdown;
mod reference;
mod registry;
mod schema;
mod session;
mod wildcard;
mod write_an_engine;
