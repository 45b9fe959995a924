//! The real activator under inherited sockets, in front of a real redis and of programs of the
//! user's own. Its world is Linux: it looks at processes by proc(5).
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may, and so may its helpers, which clippy does not know as tests"
)]

mod chosen;
mod converging;
mod depending;
mod failing;
mod handed;
mod processes;
mod provisioning;
mod readiness;
mod serving;
mod side_endpoints;
mod side_sockets;
mod silent;
mod stopping;
mod world;
