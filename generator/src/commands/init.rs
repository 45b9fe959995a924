//! `doze init`: a first `doze.toml` that works on this machine.
//!
//! On a terminal it asks, and writes nothing before the last answer.

mod wizard;

use std::{collections::BTreeSet, io::Write, net::TcpListener};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version, exit::Exit, protocol::Description};
use serde_json::Value;

use super::{Context, confirm};
use crate::{
    config::{FILE_NAME, block::version_in_toml},
    diagnostic::nearest,
    drivers::Drivers,
    failure::Failure,
    fsx,
    output::print,
    schema::SCHEMA_LINE,
    toolchain::{Toolchains, newest_known},
};

/// What the file is going to say.
#[derive(Debug)]
struct Draft {
    project: String,
    instances: Vec<Instance>,
    /// The engine that runs commands of the user, if there is one, and what it is to run.
    process: Option<(Description, Option<App>)>,
}

/// An instance of an engine.
#[derive(Debug)]
struct Instance {
    engine: EngineName,
    name: String,
    version: Version,
    port: u16,
    /// Why it cannot be used yet.
    lack: Option<String>,
    /// It is written as a comment.
    is_off: bool,
}

/// A command of the user.
#[derive(Debug)]
struct App {
    name: String,
    command: String,
    port: Option<u16>,
}

pub(super) fn run(context: &Context, force: bool, engines: &[EngineName]) -> Result<(), Failure> {
    let path = match &context.config {
        Some(path) => context.dirs.here.join(path),
        None => context.dirs.here.clone(),
    };
    let path = if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path
    };
    // Whatever it is: a link that leads nowhere, or a pipe.
    if path.symlink_metadata().is_ok() && !force {
        return Err(Failure::Plain {
            message: format!("{path} is there already"),
            hint: Some("`doze init --force` replaces it".into()),
            exit: Exit::Config,
        });
    }
    let mut draft = Draft::new(context, path.parent().unwrap_or(&path), engines)?;
    if engines.is_empty() && confirm::can_ask() {
        wizard::refine(&mut draft, &path)?;
    }
    write(&path, &draft.text())?;
    print(format_args!("wrote {path}; `doze up` brings it up\n")).map_err(Failure::io("print"))
}

fn write(path: &Utf8PathBuf, text: &str) -> Result<(), Failure> {
    fsx::replace(path, text, 0o644).map_err(Failure::io(format!("write {path}")))
}

impl Draft {
    /// One instance of every engine that is installed, or of each of these, at the port that its
    /// clients expect or the next one that is free now.
    fn new(context: &Context, folder: &Utf8Path, engines: &[EngineName]) -> Result<Self, Failure> {
        let drivers = context.drivers()?;
        let toolchains = Toolchains::default();
        let mut draft = Self {
            project: folder.file_name().unwrap_or("project").to_owned(),
            instances: Vec::new(),
            process: None,
        };
        if let Some(unknown) = engines.iter().find(|it| drivers.program(it).is_none()) {
            return Err(no_driver(unknown, &drivers));
        }
        let all = drivers.engines().filter(|_| engines.is_empty());
        for engine in engines.iter().chain(all) {
            let Some(about) = drivers.describe(engine)? else {
                continue;
            };
            if about.majors.is_empty() {
                if wants_a_command(&about) {
                    draft.process = Some((about, None));
                }
                continue;
            }
            let Some(usual) = about.default_port else {
                continue;
            };
            let found = toolchains.of(engine, &about.toolchain);
            let installed = newest_known(&about, &found).map(|(_, major)| major.clone());
            if installed.is_none() && engines.is_empty() && about.toolchain.packages.is_empty() {
                // Nobody asks for it, and it is not to be had easily.
                continue;
            }
            let lack = installed.is_none().then(|| missing(engine, &about));
            let Some(version) = installed.or_else(|| about.majors.last().cloned()) else {
                continue;
            };
            let instance = Instance {
                name: draft.free_name(about.example.as_str(), engine),
                engine: engine.clone(),
                version,
                port: draft.free_port(usual),
                is_off: lack.is_some() && engines.is_empty(),
                lack,
            };
            draft.instances.push(instance);
        }
        Ok(draft)
    }

    /// Drivers do not know each other, and two may give the same example.
    fn free_name(&self, example: &str, engine: &EngineName) -> String {
        let names: BTreeSet<&str> = self.instances.iter().map(|it| it.name.as_str()).collect();
        let numbered = (2..).map(|number| format!("{engine}{number}"));
        let mut names_to_try = [example.to_owned(), engine.to_string()]
            .into_iter()
            .chain(numbered);
        let free = names_to_try.find(|name| !names.contains(name.as_str()));
        free.unwrap_or_default()
    }

    /// The first port from this one on that nobody listens on and no instance was given.
    fn free_port(&self, from: u16) -> u16 {
        let given = |port: &u16| self.instances.iter().any(|it| it.port == *port);
        let free = |port: &u16| !given(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
        (from..=u16::MAX).find(free).unwrap_or(from)
    }

    fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let mut line = |line: &str| drop(writeln!(text, "{line}"));
        line(SCHEMA_LINE);
        line("# Every instance has a permanent address and runs only while somebody is connected.");
        line("# `doze up` holds the addresses, `doze env` prints the URLs.");
        line("");
        line(&format!("name = {}", quoted(&self.project)));
        line("");
        line("[defaults]");
        line("idle_timeout = \"5m\"     # how long an engine stays awake with nobody connected");
        for it in &self.instances {
            line("");
            if let Some(lack) = &it.lack {
                line(lack);
            }
            let mark = if it.is_off { "# " } else { "" };
            line(&format!("{mark}[{}.{}]", it.engine, key(&it.name)));
            line(&format!("{mark}version = {}", version_in_toml(&it.version)));
            line(&format!("{mark}port = {}", it.port));
        }
        if let Some((about, Some(app))) = &self.process {
            line("");
            line(&format!("[{}.{}]", about.engine, key(&app.name)));
            // It is the shell that is to see it.
            line(&format!(
                "command = {}",
                quoted(&app.command.replace("${", "$${"))
            ));
            if let Some(port) = app.port {
                line(&format!("port = {port}"));
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Whether an instance is a program of the user's own.
fn wants_a_command(about: &Description) -> bool {
    let required = about.schema.get("required").and_then(Value::as_array);
    required.is_some_and(|keys| keys.iter().any(|key| key == "command"))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn key(name: &str) -> String {
    toml_edit::Key::new(name).to_string()
}

fn no_driver(engine: &EngineName, drivers: &Drivers) -> Failure {
    let known = || drivers.engines().map(EngineName::as_str);
    let hint = match nearest(engine.as_str(), known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Failure::Plain {
        message: format!("there is no driver of `{engine}` here"),
        hint: Some(hint),
        exit: Exit::Config,
    }
}

fn missing(engine: &EngineName, description: &Description) -> String {
    match description.toolchain.packages.as_slice() {
        [] => format!("# {engine} is not installed here."),
        packages => {
            let packages = packages.join(" or ");
            format!("# {engine} is not installed here (Debian: {packages}).")
        }
    }
}
