//! Why nothing of an index fits, in words that say what to do.
//!
//! Must not know how a choice is made.

use std::fmt;

use doze_contract::{EngineName, Version, protocol::PROTOCOL};

use crate::{Kind, Namespace, Package, Triple};

/// Why no release of an index fits. Every message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The publisher has nothing of that name.
    #[error(
        "the registry `{namespace}` has no {kind} `{name}`; run `doze search` to see what there is"
    )]
    Unknown {
        /// The publisher.
        namespace: Namespace,
        /// Whether an engine or a driver is missing.
        kind: Kind,
        /// The name.
        name: EngineName,
    },
    /// No version is the one asked for.
    #[error(
        "the registry `{namespace}` has no {name} {declared}, its newest is {newest}; \
         run `doze info {name}` to see what there is, and set `version` in doze.toml"
    )]
    Version {
        /// The publisher.
        namespace: Namespace,
        /// The engine.
        name: EngineName,
        /// What `doze.toml` asks for.
        declared: Version,
        /// The newest that there is.
        newest: Version,
    },
    /// The lock pins what the index does not have.
    #[error("the registry `{namespace}` does not have {package}; run `doze lock upgrade`")]
    Gone {
        /// The publisher.
        namespace: Namespace,
        /// What was asked for.
        package: Package,
    },
    /// Every driver is for a newer doze.
    #[error(
        "every driver for {name} in the registry `{namespace}` speaks protocol {oldest} or newer, \
         this doze speaks {PROTOCOL}; upgrade doze"
    )]
    DozeTooOld {
        /// The publisher.
        namespace: Namespace,
        /// The engine.
        name: EngineName,
        /// The oldest protocol that a driver speaks.
        oldest: u32,
    },
    /// No driver is for this doze, and some are for an older one.
    #[error(
        "the newest driver for {name} in the registry `{namespace}` speaks protocol {newest}, \
         this doze speaks {PROTOCOL}; ask its publisher for a new release, or set \
         DOZE_{}_DRIVER to a driver of your own", name.as_str().to_uppercase()
    )]
    DriverTooOld {
        /// The publisher.
        namespace: Namespace,
        /// The engine.
        name: EngineName,
        /// The newest protocol of a driver that is older than this doze.
        newest: u32,
    },
    /// No driver knows all the versions that the project declares.
    #[error(
        "no driver for {name} in the registry `{namespace}` knows {}; {best} knows {}; set \
         `version` in doze.toml to one of these",
        listed(missing),
        listed(majors)
    )]
    Majors {
        /// The publisher.
        namespace: Namespace,
        /// The engine.
        name: EngineName,
        /// The best release.
        best: Version,
        /// The declared versions that it does not know.
        missing: Vec<Version>,
        /// The majors that it does know.
        majors: Vec<Version>,
    },
    /// The driver knows none of the versions that would do.
    #[error(
        "the registry `{namespace}` has {name} {newest} for {declared}, but the driver for {name} \
         knows only {}; set `version` in doze.toml to one of these",
        listed(majors)
    )]
    Driver {
        /// The publisher.
        namespace: Namespace,
        /// The engine.
        name: EngineName,
        /// What `doze.toml` asks for.
        declared: Version,
        /// The newest version that is it.
        newest: Version,
        /// The majors that the driver knows.
        majors: Vec<Version>,
    },
    /// There is no archive for this machine.
    #[error(
        "the registry `{namespace}` has {package} for {} only, not for {triple}; \
         set `version` in doze.toml to another, or {} of your own",
        listed(there),
        own(package)
    )]
    Target {
        /// The publisher.
        namespace: Namespace,
        /// The best release.
        package: Box<Package>,
        /// The target.
        triple: Triple,
        /// The targets that it has.
        there: Vec<Triple>,
    },
    /// The publisher took it back.
    #[error(
        "{package} was revoked by its publisher: {reason}; run `doze lock upgrade`, or set \
         `version` in doze.toml to another"
    )]
    Revoked {
        /// What was asked for, or the best release of those that would fit.
        package: Package,
        /// What the publisher says.
        reason: String,
    },
}

/// How to say where something of one's own is that stands in for the package.
fn own(package: &Package) -> String {
    let name = package.name.as_str().to_uppercase();
    match package.kind {
        Kind::Engine => format!("DOZE_{name}_BINDIR to an engine"),
        Kind::Module => format!("DOZE_{name}_DRIVER to a driver"),
    }
}

/// Items as a sentence has them: `14, 15 and 17`.
fn listed(items: &[impl fmt::Display]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}
