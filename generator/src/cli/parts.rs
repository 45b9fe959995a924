//! What belongs to one command each: its own commands, and options that are a group.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// The commands of `doze import`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Read a compose file
    ///
    /// Services that an engine stands for become instances, with the version, the ports, the
    /// database, the owner, the password, the settings and the limits that the file gives them.
    /// What is not carried over, or not as it was, is said on standard error with its line, and in
    /// the file as a comment. Of `extends`, `env_file`, `.env` and variables it knows what compose
    /// does; a variable of the environment goes before one of `.env`.
    ///
    /// The database of an instance is called like the instance, so that is called like the database
    /// where there is one.
    Compose {
        /// What to read, and where to write
        #[command(flatten)]
        target: ImportTarget,
    },
    /// Read a doze.hcl
    ///
    /// Variables, locals, outputs, defaults and instances with their blocks are carried over.
    /// Expressions become `${…}` in texts. Functions, keys and engines that there are none of here
    /// are said, and left out.
    Hcl {
        /// What to read, and where to write
        #[command(flatten)]
        target: ImportTarget,
    },
}

/// What to import, and where to.
#[derive(Debug, Args)]
pub struct ImportTarget {
    /// The file to read
    pub file: Utf8PathBuf,
    /// The file to write, instead of doze.toml; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Replace one that is there
    #[arg(long)]
    pub force: bool,
}

/// The commands of `doze lock`.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Move the pins to the newest releases that fit
    ///
    /// Chooses everything anew, of the publishers' keys that are pinned already. Prints what has
    /// changed, one line each.
    Upgrade {
        /// Leave `doze.lock` as it is, and exit with 5 if something would change; what is new is
        /// downloaded all the same
        #[arg(long)]
        check: bool,
    },
}

/// The commands of `doze store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read every file, and say what is not as it was when its archive was verified
    ///
    /// Exits with 3 if there is such a file.
    Verify,
    /// Remove what no project of this user needs
    ///
    /// What a project refers to stays, by a plan or by the `doze.lock` beside its `doze.toml`. A
    /// project is known from its first `doze up` or `doze generate` on. Templates go as well; the next
    /// new instance makes its own. Prints what it removes.
    Gc,
}

/// The commands of `doze driver`.
#[derive(Debug, Subcommand)]
pub enum DriverCommand {
    /// Put every rule of the driver protocol to a driver, and run its engine
    ///
    /// The engine runs in a temporary folder as the driver's plan says: it is provisioned, booted,
    /// greeted, converged, stopped, killed, cloned. Prints one line a rule: `ok`, `failed` with what
    /// was expected and what came, `not run` with the reason, or `none` where the engine has nothing
    /// of the kind. A key that is called `password`, `secret` or `token` is given one, to look for
    /// it where others could see it. Exits with 1 if a rule is broken.
    Test {
        /// The driver program
        path: Utf8PathBuf,
        /// The folder of the engine's programs [default: where doze would look for them]
        #[arg(long, value_name = "DIR")]
        toolchain: Option<Utf8PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `doze wait` waits for.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub struct WaitUntil {
    /// Until they are ready
    #[arg(long)]
    pub ready: bool,
    /// Until they are asleep
    #[arg(long)]
    pub asleep: bool,
}

/// The form of `doze env`.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct EnvFormat {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print a .env file
    #[arg(long)]
    pub dotenv: bool,
}
