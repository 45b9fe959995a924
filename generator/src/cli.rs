//! The command line: one table from which the parser, the help and the completions come.

mod registry;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use self::registry::{Place, RegistryCommand};

/// Permanent local addresses for databases, caches and queues that cost nothing until somebody
/// connects.
#[derive(Debug, Parser)]
#[command(name = "doze", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// The project: a doze.toml, or the folder that holds it [default: doze.toml here or above]
    #[arg(short, long, global = true, value_name = "PATH")]
    pub config: Option<Utf8PathBuf>,

    /// Give a variable of the project a value
    #[arg(long = "var", global = true, value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,

    /// Lay a profile of the project over it
    #[arg(long, global = true, value_name = "NAME", env = "DOZE_PROFILE")]
    pub profile: Option<String>,

    /// The form of what is wrong: human or json
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "human",
        hide_possible_values = true
    )]
    pub format: Form,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit status: 0 done · 1 failed · 2 edit the command line or doze.toml · 3 not to be trusted
· 4 no user manager · 5 --check found a difference; `doze run` and `doze hold` pass on that of their command";

/// The forms of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A picture of the place
    Human,
    /// A line of JSON
    Json,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a doze.toml for the engines of this machine
    Init {
        /// Replace one that is there
        #[arg(long)]
        force: bool,
    },
    /// Write a doze.toml from what another tool declares
    #[command(disable_help_subcommand = true)]
    Import {
        /// What it is
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Write the units and plans, and start nothing
    Generate {
        /// Write everything below this folder instead of where it is used
        #[arg(long, value_name = "DIR", conflicts_with = "check")]
        out: Option<Utf8PathBuf>,
        /// Write nothing; exit with 5 if something would change
        #[arg(long)]
        check: bool,
    },
    /// Bring the sockets up; engines start with their first client
    Up {
        /// Only these instances
        names: Vec<String>,
        /// Hold the sockets in this process until Ctrl-C, without an init system
        #[arg(long)]
        foreground: bool,
        /// From now on let doze-generator write the units, at every login and daemon-reload
        #[arg(long, conflicts_with_all = ["names", "foreground"])]
        register: bool,
    },
    /// Show what `doze apply` would do, and do nothing
    Plan {
        /// Exit with 5 if there is anything to do
        #[arg(long)]
        check: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// As for `doze apply --prune`
        #[arg(long)]
        prune: bool,
    },
    /// Show what has to change, and do it once you agree
    Apply {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Remove the data of instances that are no longer declared, too
        #[arg(long)]
        prune: bool,
    },
    /// Remove the data of an instance; its next client finds it as new
    Reset {
        /// The instance
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Take the project down, and remove all that doze has of it, its data too
    Destroy {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Take the sockets down and stop what is awake
    Down {
        /// Take back what `doze up --register` did
        #[arg(long)]
        unregister: bool,
    },
    /// Show every instance, and wake none
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the variables that clients read, for eval "$(doze env)"
    Env {
        /// The form
        #[command(flatten)]
        format: EnvFormat,
    },
    /// Run a command with those variables
    Run {
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Run a command likewise, and keep instances awake until it ends
    Hold {
        /// The instances
        #[arg(required = true)]
        names: Vec<String>,
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Boot an instance now, and wait until it is ready
    Wake {
        /// The instance
        name: String,
    },
    /// Stop an instance now; the next client wakes it again
    Sleep {
        /// The instance
        name: String,
    },
    /// Print what an instance and its activator said
    Logs {
        /// The instance
        name: String,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the URL of an instance
    Url {
        /// The instance
        name: String,
    },
    /// Print the outputs of the project
    Output {
        /// Only this one, as it is
        name: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Pin what the project needs, for every target
    #[command(disable_help_subcommand = true)]
    Lock {
        /// What else to do
        #[command(subcommand)]
        command: Option<LockCommand>,
    },
    /// The engines and drivers that were unpacked on this machine
    #[command(disable_help_subcommand = true)]
    Store {
        /// What to do
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// List what the registries of the project have
    Search {
        /// Only names with this in them
        word: Option<String>,
    },
    /// Print the JSON Schema of doze.toml, for editors
    Schema,
    /// Print what is known of an engine: its keys, its versions
    Info {
        /// The engine
        engine: String,
    },
    /// For those who publish engines and drivers
    #[command(disable_help_subcommand = true)]
    Registry {
        /// What to do
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// For those who write drivers
    #[command(disable_help_subcommand = true)]
    Driver {
        /// What to do
        #[command(subcommand)]
        command: DriverCommand,
    },
    /// Show how it works, in a throw-away project
    Demo,
    /// Print the version
    Version,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The commands of `doze import`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Read a compose file
    Compose {
        /// What to read, and where to write
        #[command(flatten)]
        target: ImportTarget,
    },
    /// Read a doze.hcl
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
    /// The file to write; - is standard output [default: doze.toml here]
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
    Upgrade {
        /// Only show them; exit with 5 if there is something newer
        #[arg(long)]
        check: bool,
    },
}

/// The commands of `doze store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything, and say what is not as it was when it was verified
    Verify,
    /// Remove what no project of this user needs
    Gc,
}

/// The commands of `doze driver`.
#[derive(Debug, Subcommand)]
pub enum DriverCommand {
    /// Put every rule of the driver protocol to a driver, and run its engine
    Test {
        /// The driver program
        path: Utf8PathBuf,
        /// The folder of the engine's programs [default: where doze would look for them]
        #[arg(long, value_name = "DIR")]
        toolchain: Option<Utf8PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// The form of `doze env`.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct EnvFormat {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// As a .env file
    #[arg(long)]
    pub dotenv: bool,
}
