//! The pages of `docs` and the README: what they list is what there is, and what they show works.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise fails the test, and says what it was"
)]

mod acceptance;
mod examples;
mod generated;
mod help;
mod markdown;
mod platforms;
mod reference;
mod registry;
mod schema;
mod schemas;
mod session;
mod tools;
mod wildcard;
mod write_an_engine;
