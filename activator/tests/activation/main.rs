//! The real activator under inherited sockets, in front of a real redis.
#![expect(
    clippy::unwrap_used,
    reason = "a test may, and so may its helpers, which clippy does not know as tests"
)]

mod converging;
mod depending;
mod failing;
mod provisioning;
mod serving;
mod side_sockets;
mod silent;
mod stopping;
mod world;
