//! `doze doctor` finds every fault that is planted, and its own advice mends it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise fails the test, and says what it was"
)]

mod addresses;
mod files;
mod patient;
mod programs;
mod report;
mod state;

/// The faults that are planted, as docs/reference/doctor.md lists them.
const FAULTS: [&str; 24] = [
    "a unit was edited by hand",
    "the file of a unit is gone",
    "a unit changed on the disk and was not read again",
    "a plan is damaged",
    "`doze.toml` was changed and not applied",
    "the project does not come up with the next login",
    "the list of endpoints is gone",
    "the programs of doze were moved",
    "somebody else has a port",
    "a socket failed",
    "a socket was stopped",
    "the path of a wake socket is gone",
    "a service failed",
    "a driver does not answer",
    "the programs of an engine are not where they should be",
    "a tree in the store is damaged",
    "`doze.lock` is out of date",
    "others may look into the home",
    "others may look into the folder of the sockets",
    "data has no instance",
    "a process has the data of an instance that is asleep",
    "a process may open few files only",
    "the generator is not found",
    "a registered project is gone",
];
