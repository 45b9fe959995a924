//! The commands of those who publish engines and drivers.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// The commands of `doze registry`.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Make the folder and the key of a new publisher
    ///
    /// Makes a registry, or a further publisher in one, and the publisher's key. A key that is
    /// there is never overwritten, and one within the registry is refused.
    Init {
        /// The publisher's name
        namespace: String,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Make an archive of a folder with a package.toml, or of a driver
    ///
    /// The same folder gives the same bytes. Devices, setuid programs and links that lead out of
    /// the folder are refused.
    Pack {
        /// The folder
        #[arg(required_unless_present = "module", conflicts_with = "module")]
        folder: Option<Utf8PathBuf>,
        /// Pack a driver instead: its program, or the folder of the crate that it is built from by
        /// `cargo build --release`. It is asked what it is, so it has to run on this machine
        #[arg(long, value_name = "PATH", requires = "licence")]
        module: Option<Utf8PathBuf>,
        /// The licence of the driver, as SPDX names it
        #[arg(long, value_name = "LICENCE")]
        licence: Option<String>,
        /// The folder to write the archive to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: Utf8PathBuf,
    },
    /// Add archives, and sign the index
    ///
    /// What is published never changes: the same archive again is nothing to do, another one with
    /// its name, version and target is refused.
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
    ///
    /// An index is believed for 90 days, so this has to be done before, best by a timer; every
    /// other change does it as well.
    Renew {
        /// The publisher's name
        namespace: String,
        /// Where
        #[command(flatten)]
        place: Place,
    },
    /// Go over to a new key, which the old one signs
    ///
    /// Signs the index with it, too. Whoever knows the old key comes to know the new one. Later
    /// commands need `--key` with the new file, or that file in the place of the old one.
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
    ///
    /// A release is written `engine/NAME/VERSION` or `module/NAME/VERSION`; a key is one before the
    /// present one. Its users see the reason. Nothing undoes it; a better release gets a new
    /// version.
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
    ///
    /// Does what a user does who meets the publisher for the first time, with everything: verifies
    /// the index, downloads every archive and unpacks it. Leaves nothing behind.
    Verify {
        /// The publisher's name
        namespace: String,
        /// The registry
        url: String,
    },
    /// Show a registry's pages in a browser, on this machine
    ///
    /// Serves until Ctrl-C. It speaks plain http, so doze itself takes nothing from it; any web
    /// server with https will do for that.
    Serve {
        /// The folder
        #[arg(default_value = ".")]
        folder: Utf8PathBuf,
        /// The port; 0 is any free one
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
