//! The commands of those who publish engines and drivers.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// The commands of `doze registry`.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Make the folder and the key of a new publisher
    Init {
        /// The publisher's name
        namespace: String,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Make an archive of a folder with a package.toml, or of a driver
    Pack {
        /// The folder
        #[arg(required_unless_present = "module", conflicts_with = "module")]
        folder: Option<Utf8PathBuf>,
        /// The driver program, or the folder of the crate that it is built from
        #[arg(long, value_name = "PATH", requires = "licence")]
        module: Option<Utf8PathBuf>,
        /// The licence of the driver, as SPDX names it
        #[arg(long, value_name = "NAME")]
        licence: Option<String>,
        /// The folder to write the archive to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: Utf8PathBuf,
    },
    /// Add archives, and sign the index
    Publish {
        /// The publisher's name
        namespace: String,
        /// The archives
        #[arg(required = true)]
        archives: Vec<Utf8PathBuf>,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Sign the index for another 90 days
    Renew {
        /// The publisher's name
        namespace: String,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Go over to a new key, which the old one signs
    RotateKey {
        /// The publisher's name
        namespace: String,
        /// The file for the new key
        #[arg(long, value_name = "FILE")]
        new: Utf8PathBuf,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Take back a release, such as engine/postgres/17.4, or a key
    Revoke {
        /// The publisher's name
        namespace: String,
        /// The release, or the key
        what: String,
        /// Why, for its users
        reason: String,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Check everything that a registry serves
    Verify {
        /// The publisher's name
        namespace: String,
        /// The registry
        url: String,
    },
    /// Show a registry's pages in a browser, on this machine
    Serve {
        /// The folder
        #[arg(default_value = ".")]
        folder: Utf8PathBuf,
        /// The port
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
}

/// Where a publisher works.
#[derive(Debug, Args)]
pub struct Place {
    /// The folder of the registry
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: Utf8PathBuf,
    /// The file of the secret key [default: keys/NAMESPACE.key in doze's configuration]
    #[arg(long, value_name = "FILE")]
    pub key: Option<Utf8PathBuf>,
}
