//! What a driver says of its engine, written as constants. It must not know any instance.

use doze_contract::{
    EngineName, InstanceName, Version,
    name::NameError,
    protocol::{Description, ToolchainSearch},
    version::VersionError,
};

use crate::block::{Key, schema};

/// An engine, as its driver knows it; the answer to `describe` follows from it.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The engine's name, as in `[ENGINE.NAME]`.
    pub engine: &'static str,
    /// The version of the driver itself; most say `env!("CARGO_PKG_VERSION")`.
    pub driver: &'static str,
    /// The versions of the engine that the driver knows, oldest first, such as `17` or `11.4`;
    /// none if it has no versions, and then no servers either.
    pub majors: &'static [&'static str],
    /// The keys of the engine's block.
    pub keys: &'static [Key],
    /// What a first instance is usually called.
    pub example: &'static str,
    /// The port that clients expect; absent if an instance can do without an address.
    pub default_port: Option<u16>,
    /// The file name of a unix endpoint.
    pub socket_name: &'static str,
    /// The engine refuses to run as root.
    pub refuses_root: bool,
    /// The names of the server program, best first.
    pub servers: &'static [&'static str],
    /// Further programs that have to stand beside it.
    pub needs: &'static [&'static str],
    /// Folders to look in, such as [`USUAL_FOLDERS`]; one component of each may hold a `*`.
    pub folders: &'static [&'static str],
    /// Debian packages, any of which installs it.
    pub packages: &'static [&'static str],
    /// What an instance can be asked for in a reference, besides what every instance can: names
    /// with their meaning.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// Where programs are that have no folder of their own.
pub const USUAL_FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"];

/// Why a driver cannot describe its engine.
#[derive(Debug, thiserror::Error)]
pub enum AboutError {
    /// One of the two names is none.
    #[error("`{0}` is no name")]
    Name(&'static str, #[source] NameError),
    /// A major is no version.
    #[error("`{0}` among the majors is no version")]
    Major(&'static str, #[source] VersionError),
}

impl About {
    /// The answer to `describe`.
    pub fn describe(&self) -> Result<Description, AboutError> {
        let name = |error| AboutError::Name(self.engine, error);
        let example = |error| AboutError::Name(self.example, error);
        let major = |text: &&'static str| {
            Version::new(text).map_err(|error| AboutError::Major(text, error))
        };
        Ok(Description {
            engine: EngineName::new(self.engine).map_err(name)?,
            driver: self.driver.to_owned(),
            majors: self.majors.iter().map(major).collect::<Result<_, _>>()?,
            schema: schema(self.keys),
            example: InstanceName::new(self.example).map_err(example)?,
            default_port: self.default_port,
            socket_name: self.socket_name.to_owned(),
            refuses_root: self.refuses_root,
            toolchain: ToolchainSearch {
                servers: owned(self.servers),
                needs: owned(self.needs),
                folders: owned(self.folders),
                packages: owned(self.packages),
            },
            attributes: self
                .attributes
                .iter()
                .map(|(name, doc)| ((*name).to_owned(), (*doc).to_owned()))
                .collect(),
        })
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
