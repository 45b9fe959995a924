//! The driver's program against the real engine, in every version that is here.

mod refusal;
mod server;
mod structure;
mod world;
