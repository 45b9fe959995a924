//! The command line: one table from which the parser, the help, the completions, the man pages and
//! `docs/reference/commands.md` come.
//!
//! The first paragraph of a comment is what a list says, all of it what `--help` and the reference
//! say. What stands for an argument (`NAME`, `OUTPUT`, `PROFILE`, `ENGINE`) decides what completes it.

mod groups;
mod parts;
mod registry;

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use doze_contract::duration;
use doze_contract::{EngineName, name::NameError};

pub use self::{
    groups::{GROUPS, command},
    parts::{
        DriverCommand, EnvFormat, ImportCommand, ImportTarget, LockCommand, StoreCommand, WaitUntil,
    },
    registry::{Place, RegistryCommand},
};

/// Permanent local addresses for databases, caches and queues that cost nothing until somebody
/// connects.
#[derive(Debug, Parser)]
#[command(name = "doze", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The project: a doze.toml, or the folder that holds it [default: doze.toml here or above]
    #[arg(short, long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    pub config: Option<Utf8PathBuf>,

    /// Give a variable of the project a value
    #[arg(
        long = "var",
        global = true,
        value_name = "NAME=VALUE",
        value_parser = pair,
        help_heading = GLOBAL
    )]
    pub variables: Vec<(String, String)>,

    /// Lay a profile of the project over it
    #[arg(
        long,
        global = true,
        value_name = "PROFILE",
        env = "DOZE_PROFILE",
        hide_env_values = true,
        help_heading = GLOBAL
    )]
    pub profile: Option<String>,

    /// How to report what is wrong: human or json
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "human",
        hide_possible_values = true,
        help_heading = GLOBAL
    )]
    pub format: Form,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes stands apart in its help.
const GLOBAL: &str = "Global options";

const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  failed
  2  edit the command line or doze.toml
  3  not to be trusted
  4  no user manager
  5  --check found a difference
`doze run` and `doze hold` pass on that of their command.";

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

fn engine(text: &str) -> Result<EngineName, NameError> {
    EngineName::new(text)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a doze.toml for the engines of this machine
    ///
    /// It gets an instance of every engine that is installed, in its newest version, at the port
    /// that clients expect or the next free one. Engines that have a driver but are not installed
    /// are written as comments, with the package to install.
    ///
    /// On a terminal it asks for the names, the ports, which of the engines found here are wanted,
    /// and for a command of yours to run; it shows the file before it writes it. Ctrl-C at any point
    /// writes nothing.
    Init {
        /// Replace one that is there
        #[arg(long)]
        force: bool,
        /// With an instance of this engine, installed or not, and without questions; may be said
        /// often
        #[arg(long = "engine", value_name = "ENGINE", value_parser = engine)]
        engines: Vec<EngineName>,
    },
    /// Write a doze.toml from what another tool declares
    #[command(disable_help_subcommand = true)]
    Import {
        /// What it is
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Write the units and plans, and start nothing
    ///
    /// Units, plans and the list of endpoints are written; the rest is the init system's:
    /// `systemctl --user daemon-reload`, then `systemctl --user start` of the target of the
    /// project, such as `doze-shop.target`.
    ///
    /// Units of instances that are no longer declared stay until `doze up` stops and removes them.
    Generate {
        /// Write everything below this folder instead of where it is used; the same input gives the
        /// same bytes
        #[arg(long, value_name = "DIR", conflicts_with = "check")]
        out: Option<Utf8PathBuf>,
        /// Write nothing, print what would change, and exit with 5 if something would
        #[arg(long)]
        check: bool,
    },
    /// Bring the sockets up; engines start with their first client
    ///
    /// Does what `doze generate` does, then brings what runs in line with it by the fewest steps:
    /// holds addresses, stops engines whose settings have changed, takes away what is no longer
    /// declared. It waits for no engine, but until the processes that start with the project are
    /// ready. If there is nothing to do, it does nothing and prints
    /// nothing. The addresses are held again at the next login.
    ///
    /// With names, only these instances and those that they depend on are started; changed ones are
    /// stopped in any case. Who is stopped is named first, with the number of its clients.
    ///
    /// `doze up` of a registered project, with `--register` or without, writes no units and no
    /// plans but has the manager reload.
    Up {
        /// Only these instances
        names: Vec<String>,
        /// Hold the sockets in this process until Ctrl-C, without an init system; what happens anyway
        /// where there is no user manager
        #[arg(long)]
        foreground: bool,
        /// From now on let doze-generator write the units, at every login and daemon-reload; what is
        /// awake stays awake
        #[arg(long, conflicts_with_all = ["names", "foreground", "json"])]
        register: bool,
        /// Print what was started and restarted as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what `doze apply` would do, and do nothing
    ///
    /// In groups: files, units, restarts, structure, data. Prints nothing if there is nothing to
    /// do. It wakes nobody and writes nothing, and asks no registry: what is not in the store yet
    /// is an error. What is no longer declared and stays, such as data that no instance owns, is
    /// named on standard error; that is nothing to do.
    Plan {
        /// Exit with 5 if anything is known to differ
        #[arg(long)]
        check: bool,
        /// Print JSON, also if there is nothing to do
        #[arg(long)]
        json: bool,
        /// Show what `doze apply --prune` would do
        #[arg(long)]
        prune: bool,
    },
    /// Show what has to change, and do it once you agree
    ///
    /// Prints what `doze plan` prints, asks on a terminal whether to go on, and does it: what `doze
    /// up` does, then it wakes the instances whose structure is not as declared, makes it so, and
    /// prints the statements. Without a terminal it goes on unasked if nobody is disturbed and
    /// nothing removed, and exits with 2 otherwise. If the project changed since the question, it
    /// stops before it has done anything. Where there is no user manager it ends as `doze up` does
    /// there, by holding the addresses; the structure is then made right by the next boots.
    Apply {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Remove what is no longer declared, too: instances' data, and what doze made in engines
        #[arg(long)]
        prune: bool,
    },
    /// Remove the data of an instance; its next client finds it as new
    ///
    /// Puts the instance to sleep first. Its address is held all the time: whoever connects
    /// meanwhile waits, and is served from new data. Names the data with its size, and the
    /// instances that depend on it, which go on; then asks. Without a terminal it needs `--yes`.
    Reset {
        /// The instance
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove all that doze has of the project, its data too
    ///
    /// Takes it down, and removes units, plans, sockets, logs, `.doze`, and the data, which it names with its size
    /// before it asks. What is yours stays: `doze.toml` and `doze.lock`. So does the store. Without
    /// a terminal it needs `--yes` if something is awake or there is data. Data that another
    /// process has open is an error; a second run finishes what one that was killed has begun.
    Destroy {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take the sockets down and stop what is awake
    ///
    /// Stops every engine of the project in good order, frees the addresses, and sees to it that
    /// they are not held again at the next login. It returns when all processes are gone. Units,
    /// plans and data stay.
    ///
    /// A registered project comes up again with the next login all the same, which is said then.
    Down {
        /// Take back what `doze up --register` did; the generated units and plans are gone
        #[arg(long)]
        unregister: bool,
        /// Print what was stopped as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every instance, and wake none
    ///
    /// The table is as wide as the terminal: a narrow one leaves columns out and cuts addresses, a
    /// pipe has everything. Below it stand the reasons of failures, and data directories that no
    /// declared instance owns.
    ///
    /// CLIENTS counts connections, and behind a `+` other reasons to be awake: dependents, `doze
    /// hold`. MEMORY is that of all its processes, with what they share counted once. CPU is of one
    /// processor, on average since it woke; with `--watch` since the last look.
    Status {
        /// Print JSON, with process ids, boot times, limits and the reason of a failure
        #[arg(long, conflicts_with_all = ["graph", "watch"])]
        json: bool,
        /// Print a tree: below each instance what it depends on
        #[arg(long)]
        graph: bool,
        /// Show it again each second, and whenever an instance wakes or leaves, until q or Ctrl-C
        #[arg(short, long)]
        watch: bool,
    },
    /// Show every instance live, with keys for what can be done
    ///
    /// On the whole terminal, with the log of the selected one; `?` tells the keys. It wakes none by
    /// itself. Exits with 2 where its input or its output is no terminal, or a dumb one.
    #[command(visible_alias = "top")]
    Dash,
    /// Print the variables that clients read: eval "$(doze env)"
    ///
    /// Two for each instance: the one that clients of its engine look for, and `DOZE_<NAME>_URL`. The
    /// first instance of an engine has the former as it is (`DATABASE_URL`, `REDIS_URL`); further
    /// ones have their own name behind it (`DATABASE_URL_REPORTS`), and which one has the plain name
    /// is told on standard error. Nobody is woken.
    Env {
        /// Only those of these instances
        names: Vec<String>,
        /// The form
        #[command(flatten)]
        format: EnvFormat,
    },
    /// Run a command with the variables of `doze env`
    ///
    /// It exits with the status of the command. Ctrl-C is for the command, and SIGTERM is passed on
    /// to it.
    Run {
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Run a command, and keep instances awake until it ends
    ///
    /// Boots them, runs the command with the variables of `doze env` when all are ready, and exits
    /// with its status. One that goes away meanwhile, because its engine died or somebody put it to
    /// sleep, is woken again, with a pause of 100 milliseconds that grows to 5 seconds while that
    /// fails; the command goes on.
    Hold {
        /// The instances
        #[arg(required = true)]
        names: Vec<String>,
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Boot an instance now, and wait until it is ready
    ///
    /// Fails with the reason if it cannot boot. Once it is ready, the idle timeout runs.
    Wake {
        /// The instance
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop an instance now; the next client wakes it again
    ///
    /// Returns when the engine is gone. Whoever is connected is disconnected.
    Sleep {
        /// The instance
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start anew what is awake and what has failed
    ///
    /// Stops what is awake, dependents first, and wakes it again; starts anew what has failed. What
    /// sleeps goes on sleeping. A process that has ended is started by its name. Under systemd the
    /// failures are forgotten, and with them how often it was started again. Returns when all are
    /// ready.
    Restart {
        /// Only these instances
        names: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Wait until instances are ready, or asleep; wake none
    ///
    /// Waits until each was seen ready, or asleep, and brings none into that state: `doze wake` and
    /// `doze sleep` do. It may be called before the project is up. Exits with 1 when the time is
    /// over, and at once if an instance that it waits for could not boot.
    Wait {
        /// The instances
        #[arg(required = true)]
        names: Vec<String>,
        /// What to wait for
        #[command(flatten)]
        until: WaitUntil,
        /// How long to wait at most
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
        timeout: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open the client of an engine, connected to an instance
    ///
    /// Becomes the client that people use by hand: `psql` for Postgres, `valkey-cli` or `redis-cli`
    /// for Valkey. It is looked for beside the engine, then in `PATH`. What stands behind `--` is
    /// handed on to it. A password reaches it by the environment. Its first word to the instance
    /// wakes that.
    Shell {
        /// The instance
        name: String,
        /// What else the client is told
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Print what instances and their activators said
    ///
    /// Of all, without a name. The lines of several have their names in front, one instance after
    /// the other; with `-f` the new ones as they come. Lines of the activator start with `doze:`. A
    /// log has at most 8 MiB; then the older half goes.
    Logs {
        /// Only these instances
        names: Vec<String>,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
        /// Only since each was started the last time
        #[arg(long)]
        since_boot: bool,
        /// Only so many of the last lines of each
        #[arg(short = 'n', long, value_name = "COUNT")]
        lines: Option<usize>,
    },
    /// Print the URL of an instance
    ///
    /// It is that of its first endpoint, with the password if there is one.
    Url {
        /// The instance
        name: String,
        /// An address besides, by its name: `ui`
        side: Option<String>,
    },
    /// Print the outputs of the project
    ///
    /// One a line, `NAME = VALUE`, those that are sensitive without their values. With a name it
    /// prints the value of this one as it is, sensitive or not; a value that is no text is printed
    /// as JSON.
    Output {
        /// Only this one, as it is
        #[arg(value_name = "OUTPUT")]
        name: Option<String>,
        /// Print JSON; without a name an object with `value`, `sensitive` and `description` of each
        #[arg(long)]
        json: bool,
    },
    /// Pin what the project needs, for every target
    ///
    /// Pins it in `doze.lock`, downloads it, and adds the digests of every other target, so that
    /// the same file serves everybody. It asks the registries, and moves no pin. `doze up` and
    /// `doze generate` pin what is not pinned yet by themselves. Prints what has changed.
    #[command(disable_help_subcommand = true)]
    Lock {
        /// What else to do
        #[command(subcommand)]
        command: Option<LockCommand>,
    },
    /// Check or tidy the engines and drivers that were downloaded
    #[command(disable_help_subcommand = true)]
    Store {
        /// What to do
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// List what the registries of the project have
    ///
    /// Engines and drivers with their versions, newest first. What was revoked is left out. Without
    /// a project it asks the registry of `DOZE_REGISTRY`.
    Search {
        /// Only names with this in them
        word: Option<String>,
    },
    /// Print the JSON Schema of doze.toml, for editors
    ///
    /// It is of draft-07, and has doze's own keys, and those of every engine that has a driver on
    /// this machine or for this project. `doze generate` and `doze up` write it to
    /// `.doze/schema.json`, where editors find it by the first line that `doze init` writes.
    ///
    /// With that, servers of TOML such as Taplo complete keys, explain them, and mark what cannot
    /// be right.
    Schema,
    /// Print what is known of an engine: its keys, its versions
    ///
    /// Its driver, what is installed, what the registries have, the versions that the driver knows,
    /// and the keys of its block. A driver that is only in a registry is not run for it: the index
    /// has its words.
    Info {
        /// The engine
        engine: String,
    },
    /// Publish engines and drivers
    #[command(disable_help_subcommand = true)]
    Registry {
        /// What to do
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Test a driver that you write
    #[command(disable_help_subcommand = true)]
    Driver {
        /// What to do
        #[command(subcommand)]
        command: DriverCommand,
    },
    /// Say what is wrong here, and which command mends it
    ///
    /// Looks at the machine, the user manager and the project, and prints under each finding the
    /// command that mends it. Exits with 1 if a check failed; a warning is none.
    Doctor {
        /// Run those of the commands that disturb nobody and remove nothing, and look again
        #[arg(long)]
        fix: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read everything, and say what is wrong and what is unwise
    ///
    /// Reads all that `doze up` would, drivers included, and writes nothing. What is wrong is told
    /// as by any command, with 2 as exit status. Else it prints how much there is, and on standard
    /// error what is right but hardly meant: variables and locals that nobody refers to, and a
    /// project of which nothing ever sleeps.
    Lint {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give the files of the project their one look
    ///
    /// Those are `doze.toml`, its `*.doze.toml` and `*.auto.toml`; it prints the names of those that
    /// had another look. That is one blank around `=`, none in `[brackets]`, one blank line before a
    /// table and nowhere two, arrays on one line or with a line for each item. Comments, the order,
    /// and how a value is written stay, and so does what it means: a file for which that cannot be
    /// kept is an error, and then none is written. A file is replaced as a whole.
    Fmt {
        /// Write nothing; exit with 5 if something would change
        #[arg(long)]
        check: bool,
        /// These files [default: those of the project]
        #[arg(value_name = "FILE")]
        files: Vec<Utf8PathBuf>,
    },
    /// Show how it works, in a throw-away project
    ///
    /// Connects to each engine of this machine twice, shows what happens, and takes everything
    /// away.
    Demo,
    /// Print the version
    Version,
    /// Print what makes a shell complete doze's command lines
    ///
    /// It completes commands, options, and the names of the project's instances, outputs and
    /// profiles. They are read from doze.toml then and there: no driver is started, no registry
    /// asked.
    ///
    /// bash: `source <(doze completions bash)` in ~/.bashrc. zsh: likewise in ~/.zshrc, behind
    /// compinit. fish: `doze completions fish | source` in ~/.config/fish/config.fish.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a man page, or write all of them
    Man {
        /// The command, such as `registry pack` [default: doze itself]
        #[arg(value_name = "COMMAND")]
        words: Vec<String>,
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "DIR", conflicts_with = "words")]
        out: Option<Utf8PathBuf>,
    },
}
