//! The driver protocol: what the core and a driver say to each other.
//!
//! A driver is a program. The core writes one [`Request`] a line to its standard input and reads
//! one [`Response`] a line from its standard output, both as JSON, strictly in turn. Standard
//! error is for people. End of input ends the driver. Only [`REFUSE`] is spoken otherwise, for it
//! needs the client's socket. `docs/reference/driver-protocol.md` tells
//! it to those who write a driver in another language.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Endpoint, EngineName, InstanceName, Plan, ProjectName, Version,
    plan::{Body, OpenTo},
};

/// The number of the protocol that this code speaks.
pub const PROTOCOL: u32 = 1;

/// The one word on the command line of a driver that is called to refuse a client: its standard
/// input is then the client's socket, and nothing of this protocol is spoken.
pub const REFUSE: &str = "refuse";

/// The environment variable that tells such a driver why the client cannot be served: text for
/// people of at most [`REFUSAL_MAX`] bytes, which may have several lines.
pub const REFUSAL: &str = "DOZE_REFUSAL";

/// The environment variable that tells such a driver which command shows more, such as
/// `doze logs app`.
pub const REFUSAL_HINT: &str = "DOZE_REFUSAL_HINT";

/// The longest reason in bytes. Clients have bounds of their own; libpq takes an error of up to
/// 30 000 bytes before it is connected.
pub const REFUSAL_MAX: usize = 8 * 1024;

/// One line from the core to a driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`] of the core. A driver answers a number that it does not speak with an error.
    pub protocol: u32,
    /// What is asked.
    pub call: Call,
}

/// One line from a driver to the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The answer to the call.
    Answer(Answer),
    /// The call could not be carried out; the text is for people.
    Error(String),
}

/// What the core asks of a driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// What engine is this, and what does its block look like?
    Describe,
    /// Is this block right?
    Check(Check),
    /// What does an activator have to do for this instance?
    Plan(Box<PlanCall>),
    /// Create a data directory, or bring one up to date while the engine is stopped.
    Provision(Box<ProvisionCall>),
    /// Make ahead what the next new data directory is made of.
    Replenish(Box<ReplenishCall>),
    /// Make the structure in a ready engine what the plan declares, or say what that would take.
    Converge(Box<ConvergeCall>),
}

/// What a driver answers, by the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Call::Describe`].
    Describe(Box<Description>),
    /// To [`Call::Check`].
    Check(Checked),
    /// To [`Call::Plan`].
    Plan(Box<Body>),
    /// To [`Call::Provision`].
    Provision,
    /// To [`Call::Replenish`].
    Replenish,
    /// To [`Call::Converge`].
    Converge(Converged),
}

/// A driver's description of its engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The engine type, as in `[ENGINE.NAME]`.
    pub engine: EngineName,
    /// The version of the driver itself.
    pub driver: String,
    /// The versions of the engine that the driver knows, oldest first, each as far as the engine
    /// counts its major versions: `17`, or `11.4`. None if it has no versions: then nobody asks
    /// for one, and there is no toolchain.
    pub majors: Vec<Version>,
    /// The JSON schema of the engine's own keys (draft 2020-12, an object with `properties`).
    pub schema: Value,
    /// What a first instance is usually called.
    pub example: InstanceName,
    /// The port that clients of this engine expect; absent if an instance can do without an
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_port: Option<u16>,
    /// The file name of a unix endpoint, as clients of this engine expect it.
    pub socket_name: String,
    /// The engine refuses to run as root.
    pub refuses_root: bool,
    /// Where the engine's programs are found.
    pub toolchain: ToolchainSearch,
    /// What an instance can be asked for in a reference besides what the core knows of it
    /// (`name`, `engine`, `host`, `port`, `address`, `socket`, `url`, `env_var`): names with
    /// their meaning. The plan has the values.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Description {
    /// Whether the driver knows this version: it belongs to one of the majors, or leaves open to
    /// which one, as `11` does if `11.4` is known.
    pub fn knows(&self, version: &Version) -> bool {
        self.majors.iter().any(|major| version.is_related(major))
    }

    /// The major that this version belongs to.
    pub fn major_of(&self, version: &Version) -> Option<&Version> {
        self.majors.iter().find(|major| version.provides(major))
    }
}

/// How the core finds an engine that the operating system's packages installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolchainSearch {
    /// The names of the server program, best first. One of them has to be there; what it prints
    /// for `--version` is the version of the toolchain.
    pub servers: Vec<String>,
    /// Further programs that have to stand beside it.
    pub needs: Vec<String>,
    /// Folders to look in; one component may be `*`.
    pub folders: Vec<String>,
    /// Debian packages, any of which installs it, for the hint when it is not there.
    pub packages: Vec<String>,
}

/// The programs of one engine in one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// The folder that holds them.
    pub folder: Utf8PathBuf,
    /// The server program: one of [`ToolchainSearch::servers`], as an absolute path.
    pub server: Utf8PathBuf,
    /// Its version.
    pub version: Version,
}

/// The question whether a block is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The instance.
    pub instance: InstanceName,
    /// The version that the user asks for; absent if the engine has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The engine's own keys; the core has taken out its own.
    pub block: Map<String, Value>,
    /// The client endpoints, as far as they are right; none for an instance without an address.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// The answer whether a block is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The block with every default filled in; meaningless if there are problems.
    pub block: Value,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

/// Something wrong with a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The keys that lead to it from the top of the block; empty for the block as a whole.
    pub at: Vec<String>,
    /// Whether the key is wrong rather than its value.
    pub key: bool,
    /// What is wrong: a fragment that follows the name of the key, or of the instance where it is
    /// about the block as a whole, such as `has to be a string, not a number`.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The question what an activator has to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanCall {
    /// The project.
    pub project: ProjectName,
    /// The instance.
    pub instance: InstanceName,
    /// The normalised block, as `check` returned it.
    pub block: Value,
    /// The programs to use; absent if the engine has no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<Toolchain>,
    /// The folder of the file that declares the instance, where relative paths in its block begin.
    pub folder: Utf8PathBuf,
    /// The client endpoints; the first one is for the URL.
    pub endpoints: Vec<Endpoint>,
    /// Whom the instance serves; the user alone also where no engine can be handed TCP sockets.
    #[serde(default)]
    pub open_to: OpenTo,
    /// The data directory.
    pub data: Utf8PathBuf,
    /// The private folder for the engine's own sockets and configuration.
    pub run: Utf8PathBuf,
}

/// The order to provision. The caller holds the instance's file lock, and the engine is stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProvisionCall {
    /// The plan of the instance.
    pub plan: Plan,
    /// The directory to work on. It stands in for [`crate::plan::Paths::data`], and becomes it by
    /// a rename when all is done.
    pub data: Utf8PathBuf,
    /// Whether the directory is new and empty; otherwise it was provisioned before, for another
    /// fingerprint.
    pub fresh: bool,
}

/// The order to make ahead what the next new data directory is made of. The engine is ready, with a
/// new one of its own; nobody waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplenishCall {
    /// The plan of the instance that has just been made.
    pub plan: Plan,
}

/// The order to converge. The engine is ready, and nobody else converges it meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvergeCall {
    /// The plan of the instance.
    pub plan: Plan,
    /// Where to find the engine, if not where the plan says: where it listens, from the activator that
    /// chose it ([`crate::plan::Chosen`]); or the endpoint by which it is up still, when the plan is
    /// for another one. Without it the plan names the upstream, or the driver comes as a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Endpoint>,
    /// Only to say what would be changed.
    pub dry_run: bool,
    /// Also to take away what earlier calls created and nobody declares any more. What holds data of
    /// the user is kept.
    #[serde(default)]
    pub prune: bool,
}

/// What was changed in the engine, or would be, in this order; nothing if it is as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Converged {
    /// The changes.
    pub changes: Vec<Change>,
    /// What is not as declared and stays so: because nobody asked for its end, because it holds
    /// data, or because it cannot be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// Something that is not as declared and stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The object, for people: `schema billing`.
    pub object: String,
    /// Why it stays: a fragment, such as `has 3 tables` or `is no longer declared`.
    pub reason: String,
}

/// One change of an engine's structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To what, for people: `role app`.
    pub object: String,
    /// The statement as the engine gets it, but for secrets, in place of which it has `***`.
    pub statement: String,
}

/// What is done to an object of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there.
    Create,
    /// It is not as declared.
    Alter,
    /// It is there and must not be.
    Drop,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(majors: &[&str]) -> Description {
        serde_json::from_value(serde_json::json!({
            "engine": "x", "driver": "1", "majors": majors, "schema": {}, "example": "x",
            "default_port": 1, "socket_name": "x", "refuses_root": false,
            "toolchain": { "servers": [], "needs": [], "folders": [], "packages": [] },
        }))
        .unwrap()
    }

    #[test]
    fn a_driver_knows_what_belongs_to_its_majors_or_leaves_them_open() {
        let about = about(&["9", "11.4", "12.2"]);
        for (version, knows, major) in [
            ("9", true, Some("9")),
            ("9.6.1", true, Some("9")),
            ("11", true, None),
            ("11.4", true, Some("11.4")),
            ("11.4.8", true, Some("11.4")),
            ("11.8", false, None),
            ("11.40", false, None),
            ("1", false, None),
            ("13", false, None),
        ] {
            let version = Version::new(version).unwrap();
            assert_eq!(about.knows(&version), knows, "{version}");
            let found = about.major_of(&version).map(ToString::to_string);
            assert_eq!(found.as_deref(), major, "{version}");
        }
    }
}
