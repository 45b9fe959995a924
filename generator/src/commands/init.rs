//! `doze init`: a first `doze.toml` that works on this machine.

use std::{collections::BTreeSet, io::Write, net::TcpListener};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version, exit::Exit, protocol::Description};

use super::Context;
use crate::{
    config::{FILE_NAME, block::version_in_toml},
    drivers::Drivers,
    failure::Failure,
    fsx,
    output::print,
    schema::SCHEMA_LINE,
    toolchain::{Toolchains, newest_known},
};

pub(super) fn run(context: &Context, force: bool) -> Result<(), Failure> {
    let path = match &context.config {
        Some(path) => context.dirs.here.join(path),
        None => context.dirs.here.clone(),
    };
    let path = if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path
    };
    if path.is_file() && !force {
        return Err(Failure::Plain {
            message: format!("{path} is there already"),
            hint: Some("`doze init --force` replaces it".into()),
            exit: Exit::Config,
        });
    }
    let text = starter(context, path.parent().unwrap_or(&path))?;
    write(&path, &text)?;
    print(format_args!("wrote {path}; `doze up` brings it up\n")).map_err(Failure::io("print"))
}

fn write(path: &Utf8PathBuf, text: &str) -> Result<(), Failure> {
    fsx::replace(path, text, 0o644).map_err(Failure::io(format!("write {path}")))
}

/// One instance of every engine that is installed, each at the port that its clients expect or
/// the next one that is free now.
fn starter(context: &Context, folder: &Utf8Path) -> Result<String, Failure> {
    let drivers = Drivers::find(&context.dirs.programs).map_err(Failure::io("look for drivers"))?;
    let toolchains = Toolchains::default();
    let mut text = Vec::new();
    let (mut names, mut ports) = (BTreeSet::new(), Vec::new());
    // Writing to memory does not fail.
    let mut line = |line: &str| drop(writeln!(text, "{line}"));
    line(SCHEMA_LINE);
    line("# Every instance has a permanent address and runs only while somebody is connected.");
    line("# `doze up` holds the addresses, `doze env` prints the URLs.");
    line("");
    let name = toml::Value::from(folder.file_name().unwrap_or("project"));
    line(&format!("name = {name}"));
    line("");
    line("[defaults]");
    line("idle_timeout = \"5m\"     # how long an engine stays awake with nobody connected");
    for engine in drivers.engines() {
        let Some(description) = drivers.describe(engine)? else {
            continue;
        };
        let found = toolchains.of(engine, &description.toolchain);
        let version = newest_known(&description, &found).map(|(_, major)| major);
        let Some(usual) = description.default_port else {
            continue;
        };
        let port = free_port(usual, &ports);
        ports.push(port);
        // Drivers do not know each other, and two may give the same example.
        let name = if names.insert(description.example.to_string()) {
            description.example.as_str()
        } else {
            engine.as_str()
        };
        let block = format!("{engine}.{name}");
        line("");
        if let Some(version) = version {
            instance(&mut line, "", &block, version, port);
        } else if let Some(newest) = description.majors.last() {
            line(&missing(engine, &description));
            instance(&mut line, "# ", &block, newest, port);
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn instance(line: &mut impl FnMut(&str), mark: &str, block: &str, version: &Version, port: u16) {
    line(&format!("{mark}[{block}]"));
    line(&format!("{mark}version = {}", version_in_toml(version)));
    line(&format!("{mark}port = {port}"));
}

fn missing(engine: &EngineName, description: &Description) -> String {
    let packages = description.toolchain.packages.join(" or ");
    format!("# {engine} is not installed here (Debian: {packages}).")
}

/// The first port from this one on that nobody listens on and nobody was given.
fn free_port(from: u16, given: &[u16]) -> u16 {
    let free =
        |port: &u16| !given.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (from..=u16::MAX).find(free).unwrap_or(from)
}
