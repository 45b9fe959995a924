//! `doze`: from a `doze.toml` to sockets that an init system holds.
//!
//! Owns the language, its diagnostics, what a project compiles to, and the commands. Nothing
//! depends on it.

pub mod awake;
mod changes;
pub mod cli;
mod commands;
pub mod compile;
mod complete;
pub mod config;
mod dash;
mod data;
pub mod diagnostic;
pub mod dirs;
mod doctor;
pub mod drivers;
mod enabled;
pub mod expression;
mod failure;
mod file_lock;
pub mod fmt;
#[cfg_attr(target_os = "macos", path = "macos/folders.rs")]
mod folders;
pub mod foreground;
mod fsx;
pub mod import;
mod interrupt;
mod launchd;
mod limits;
mod look;
mod manager;
mod memo;
mod names;
mod output;
pub mod ports;
#[cfg_attr(target_os = "macos", path = "macos/processes.rs")]
mod processes;
mod registered;
pub mod schema;
mod signals;
pub mod supply;
#[cfg(target_os = "linux")]
mod systemd;
mod terminal;
pub mod toolchain;
pub mod tree;
mod usage;
mod variables;

pub use commands::run;
