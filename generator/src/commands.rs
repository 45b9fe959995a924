//! The commands, one file each; here is what they share.

mod apply;
mod completions;
mod confirm;
mod dash;
mod demo;
mod destroy;
mod doctor;
mod down;
mod driver;
mod env;
mod fmt;
mod generate;
mod generator;
mod hold;
mod import;
mod info;
mod init;
mod lint;
mod lock;
mod logs;
mod man;
mod observed;
mod output;
mod plan;
mod register;
mod registry;
mod removal;
mod reset;
mod restart;
mod run;
mod schema;
mod search;
mod shell;
mod sleep;
mod status;
mod store;
mod structure;
mod up;
mod wait;
mod wake;

use std::{collections::BTreeSet, process::ExitCode, rc::Rc};

use camino::Utf8PathBuf;
use clap::FromArgMatches;
use doze_contract::{InstanceName, Plan, ProjectName, exit::Exit};
use doze_registry::Store;
use rustix::fs::Mode;

use self::status::View;
use crate::{
    cli::{self, Cli, Command, DriverCommand, LockCommand, StoreCommand},
    compile::{self, Host},
    complete,
    config::{self, ConfigError, File, Inputs, Instance, Project},
    diagnostic::nearest,
    dirs::Dirs,
    drivers::Drivers,
    failure::Failure,
    memo::Memo,
    names::Names,
    output::{complain, print},
    registered,
    supply::{Reach, Supply},
    toolchain::{Origin, Toolchains},
    tree::{Area, Installed, Roots, Tree},
};

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    if generator::is_called() {
        return generator::run();
    }
    if complete::answer() {
        return Exit::Done.into();
    }
    let parsed = cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way, too; they go to standard output and are no error.
            let exit = if error.use_stderr() {
                Exit::Config
            } else {
                Exit::Done
            };
            drop(error.print());
            return exit.into();
        }
    };
    let form = cli.format;
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) if failure.is_broken_pipe() => Exit::Done.into(),
        Err(failure) => {
            failure.report(form);
            failure.exit().into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    // What doze and its activators create is for the user alone.
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    let context = Context {
        umask,
        dirs: Dirs::from_environment()?,
        config: cli.config,
        inputs: Inputs {
            profile: cli.profile,
            variables: cli.variables,
            isolated: false,
        },
    };
    let done = |()| Exit::Done.into();
    match cli.command {
        Command::Import { command } => import::run(&context, &command).map(done),
        Command::Init { force, engines } => init::run(&context, force, &engines).map(done),
        Command::Generate { out, check } => {
            generate::run(&context, out.as_deref(), check).map(done)
        }
        Command::Up {
            names,
            foreground,
            register: false,
            json,
        } => up::run(&context, &names, foreground, json).map(done),
        Command::Up { .. } => register::up(&context).map(done),
        Command::Down { unregister, json } => register::down(&context, unregister, json).map(done),
        Command::Plan { check, json, prune } => plan::run(&context, check, json, prune).map(done),
        Command::Apply { yes, prune } => apply::run(&context, yes, prune).map(done),
        Command::Env { names, format } => env::print_all(&context, &names, format).map(done),
        Command::Reset { name, yes, json } => reset::run(&context, &name, yes, json).map(done),
        Command::Destroy { yes, json } => destroy::run(&context, yes, json).map(done),
        Command::Status { json, graph, watch } => {
            status::run(&context, View::of(json, graph, watch)).map(done)
        }
        Command::Dash => dash::run(&context).map(done),
        Command::Run { command } => run::run(&context, &command),
        Command::Hold { names, command } => hold::run(&context, &names, &command),
        Command::Wake { name, json } => wake::run(&context, &name, json).map(done),
        Command::Sleep { name, json } => sleep::run(&context, &name, json).map(done),
        Command::Restart { names, json } => restart::run(&context, &names, json).map(done),
        Command::Wait {
            names,
            until,
            timeout,
            json,
        } => wait::run(&context, &names, until.into(), timeout, json).map(done),
        Command::Shell { name, args } => shell::run(&context, &name, &args).map(done),
        Command::Logs {
            names,
            follow,
            since_boot,
            lines,
        } => {
            let wanted = logs::Wanted {
                follow,
                since_boot,
                lines,
            };
            logs::run(&context, &names, wanted).map(done)
        }
        Command::Url { name, side } => env::url(&context, &name, side.as_deref()).map(done),
        Command::Output { name, json } => output::run(&context, name.as_deref(), json).map(done),
        Command::Driver { command } => match command {
            DriverCommand::Test {
                path,
                toolchain,
                json,
            } => driver::test(&context, &path, toolchain.as_deref(), json).map(done),
        },
        Command::Lock { command: None } => lock::run(&context).map(done),
        Command::Lock {
            command: Some(LockCommand::Upgrade { check }),
        } => lock::upgrade(&context, check).map(done),
        Command::Store { command } => match command {
            StoreCommand::Verify => store::verify(&context).map(done),
            StoreCommand::Gc => store::gc(&context).map(done),
        },
        Command::Schema => schema::run(&context).map(done),
        Command::Search { word } => search::run(&context, word.as_deref()).map(done),
        Command::Info { engine } => info::run(&context, &engine).map(done),
        Command::Registry { command } => registry::run(&context, command).map(done),
        Command::Doctor { fix, json } => doctor::run(&context, fix, json).map(done),
        Command::Lint { json } => lint::run(&context, json).map(done),
        Command::Fmt { check, files } => fmt::run(&context, check, &files).map(done),
        Command::Demo => demo::run(&context).map(done),
        Command::Version => print(format_args!("doze {}\n", env!("CARGO_PKG_VERSION")))
            .map_err(Failure::io("print"))
            .map(done),
        Command::Completions { shell } => completions::run(shell).map(done),
        Command::Man { out: Some(out), .. } => man::write(&context, &out).map(done),
        Command::Man { words, out: None } => man::show(&words).map(done),
    }
}

/// What every command starts from.
#[derive(Clone)]
struct Context {
    /// The user's own, for the commands that doze runs.
    umask: Mode,
    dirs: Dirs,
    config: Option<Utf8PathBuf>,
    inputs: Inputs,
}

/// A project with all that it compiles to.
struct Compiled {
    project: Project,
    plans: Vec<Plan>,
    tree: Tree,
    host: Host,
    memo: Rc<Memo>,
}

impl Context {
    /// The part of the project that needs no driver.
    fn file(&self) -> Result<File, Failure> {
        let path = config::find(self.config.as_deref(), &self.dirs.here)?;
        Ok(File::read(&path, &self.inputs)?)
    }

    /// The whole project. The drivers are gone when this returns. If the command may reach for the
    /// registries, `doze.lock` says afterwards what the project was resolved to.
    fn compile(&self, reach: Reach) -> Result<Compiled, Failure> {
        let (compiled, mut supply) = self.draft(reach)?;
        if reach == Reach::Registries {
            supply.write()?;
        }
        Ok(compiled)
    }

    /// Likewise, with the pins that `doze.lock` has yet to say.
    fn draft(&self, reach: Reach) -> Result<(Compiled, Supply), Failure> {
        let (project, drivers, supply) = self.resolved(reach)?;
        let host = Host::new(self.dirs.clone());
        let activator = host.activator();
        if !activator.is_file() {
            return Err(Failure::plain(format!(
                "{activator} is missing; it ships with doze"
            )));
        }
        let plans = compile::plans(&project, &host, &drivers)?;
        let schema = crate::schema::text(&drivers);
        let tree = compile::compile(&project, &plans, schema, &host)?;
        let compiled = Compiled {
            project,
            plans,
            tree,
            host,
            memo: drivers.memo(),
        };
        Ok((compiled, supply))
    }

    /// The project without what it compiles to, for commands that only tell of it.
    fn project(&self) -> Result<Project, Failure> {
        Ok(self.resolved(Reach::Pinned)?.0)
    }

    /// The project with those who know about it.
    fn resolved(&self, reach: Reach) -> Result<(Project, Drivers, Supply), Failure> {
        let file = self.file()?;
        let mut drivers = self.drivers()?;
        let answers = self.dirs.answers(&file.name);
        let memo = Memo::read(&answers).map_err(Failure::io(format!("read {answers}")))?;
        drivers.remember(memo);
        let mut supply = Supply::open(&file, &self.dirs, reach)?;
        let project = self.resolve(file, &mut drivers, &mut supply)?;
        Ok((project, drivers, supply))
    }

    /// What was unpacked on this machine.
    fn store(&self) -> Store {
        Store::new(&self.dirs.store())
    }

    /// The registries of the project, or those of the environment where there is no project.
    fn registries(&self) -> Result<Supply, Failure> {
        let file = match self.file() {
            Err(Failure::Config(ConfigError::NotFound(_))) => None,
            other => Some(other?),
        };
        Ok(Supply::of(file.as_ref(), &self.dirs, Reach::Registries)?)
    }

    /// The drivers that need no registry.
    fn drivers(&self) -> Result<Drivers, Failure> {
        let programs = &self.dirs.programs;
        let cannot = format!("look for drivers in {programs}");
        Drivers::find(programs).map_err(Failure::io(cannot))
    }

    /// The project with all programs that it needs.
    fn resolve(
        &self,
        file: File,
        drivers: &mut Drivers,
        supply: &mut Supply,
    ) -> Result<Project, Failure> {
        let supplied = supply.supply(drivers)?;
        drivers.add(&supplied.drivers);
        let toolchains = Toolchains::from(supplied).remembering(drivers.memo());
        let project = file.resolve(&self.dirs, drivers, &toolchains)?;
        let mut notes = BTreeSet::new();
        for instance in &project.instances {
            let Some(programs) = &instance.programs else {
                continue;
            };
            let (engine, found) = (&instance.engine, &programs.toolchain.version);
            if programs.origin == Origin::System
                && let Some(pinned) = supply.pin_system(engine, &programs.version, found)
                && supply.reach() == Reach::Registries
            {
                notes.insert(format!(
                    "note: doze.lock says {engine} {pinned} of the operating system, which has \
                     {found} now; `doze lock upgrade` writes that down\n"
                ));
            }
        }
        for note in notes {
            complain(format_args!("{note}"));
        }
        Ok(project)
    }

    /// The name of the project. It is known even when the file cannot be read any more, for what
    /// is up has to be stopped all the same.
    fn project_name(&self) -> Result<ProjectName, Failure> {
        let path = config::find(self.config.as_deref(), &self.dirs.here)?;
        File::read(&path, &self.inputs)
            .map(|file| file.name)
            .or_else(|error| self.dirs.project_of(&path).ok_or_else(|| error.into()))
    }

    /// The instance of this name, which the file declares.
    fn instance(&self, name: &str) -> Result<(ProjectName, InstanceName), Failure> {
        let file = self.file()?;
        if let Some(block) = file.block(name) {
            return Ok((file.name.clone(), block.name.clone()));
        }
        let names = file.blocks.iter().map(|block| block.name.as_str());
        Err(unknown_instance(name, &file.name, names))
    }

    /// The instances of these names; without any, all that the file declares.
    fn instances(&self, names: &[String]) -> Result<(ProjectName, Vec<InstanceName>), Failure> {
        let file = self.file()?;
        let all = || file.blocks.iter().map(|block| &block.name);
        if names.is_empty() {
            return Ok((file.name.clone(), all().cloned().collect()));
        }
        let mut found: Vec<InstanceName> = Vec::new();
        for name in names {
            let Some(block) = file.block(name) else {
                return Err(unknown_instance(
                    name,
                    &file.name,
                    all().map(InstanceName::as_str),
                ));
            };
            if !found.contains(&block.name) {
                found.push(block.name.clone());
            }
        }
        Ok((file.name.clone(), found))
    }

    /// Where the files of a project belong.
    fn roots(&self, project: &Project) -> Roots {
        let folder = project
            .source
            .parent()
            .map(ToOwned::to_owned)
            .unwrap_or_default();
        let generated = registered::find(&self.dirs, &project.source).is_some();
        Roots {
            units: if generated {
                registered::units(&self.dirs)
            } else {
                self.dirs.units.clone()
            },
            plans: self.dirs.plans(&project.name),
            project: folder.join(".doze"),
            generated,
        }
    }

    /// The control socket of a listener in the foreground.
    fn control(&self, project: &ProjectName) -> Utf8PathBuf {
        self.dirs.sockets(project).join("foreground.sock")
    }
}

impl Compiled {
    /// The plan of the instance of this name.
    fn plan(&self, name: &str) -> Result<&Plan, Failure> {
        let found = self
            .plans
            .iter()
            .find(|plan| plan.instance.as_str() == name);
        let names = self.plans.iter().map(|plan| plan.instance.as_str());
        found.ok_or_else(|| unknown_instance(name, &self.project.name, names))
    }

    /// Keeps what the drivers answered, for the commands that come after this one.
    fn remember(&self, dirs: &Dirs) -> Result<(), Failure> {
        let answers = dirs.answers(&self.project.name);
        let written = self.memo.write(&answers);
        written.map_err(Failure::io(format!("write {answers}")))
    }

    /// Reads what is installed of the project.
    fn installed(&self, roots: &Roots) -> Result<Installed, Failure> {
        // A repository could have it lead to anywhere.
        if roots.project.is_symlink() {
            return Err(Failure::plain(format!(
                "{} is a symbolic link, and doze writes only into a folder of its own",
                roots.project
            )));
        }
        let called = Names::of(self.host.dirs.init, &self.project.name);
        let owns = |area: Area, name: &str| match area {
            Area::Units => called.owns(name),
            Area::Plans => name.strip_suffix(".json").is_some(),
            Area::Project => false,
        };
        Installed::read(roots, &self.tree, owns).map_err(Failure::io("read what is installed"))
    }
}

/// The instance of this name, which is enabled.
fn instance<'a>(project: &'a Project, name: &str) -> Result<&'a Instance, Failure> {
    let all = project.instances.iter();
    let found = all.clone().find(|instance| instance.name.as_str() == name);
    let names = all.map(|instance| instance.name.as_str());
    found.ok_or_else(|| unknown_instance(name, &project.name, names))
}

fn unknown_instance<'a>(
    name: &str,
    project: &ProjectName,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Failure {
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match names.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "doze.toml declares no instance".into(),
            all => format!("the instances are {all}"),
        },
    };
    Failure::UnknownInstance {
        name: name.into(),
        project: project.to_string(),
        hint,
    }
}
