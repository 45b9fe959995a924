//! The questions of `doze init`, a line each. Must not know where the file goes, nor write it.

use std::io;

use camino::Utf8Path;
use doze_contract::{InstanceName, ProjectName};

use super::{App, Draft};
use crate::{
    failure::Failure,
    output::{complain, harmless},
};

/// Asks for everything in the draft that the user may want otherwise, shows the file, and asks
/// whether to write it.
pub(super) fn refine(draft: &mut Draft, path: &Utf8Path) -> Result<(), Failure> {
    complain(format_args!(
        "Enter takes what is in brackets; Ctrl-C writes nothing.\n"
    ));
    draft.project = until("name of the project", &draft.project, |text| {
        let name = ProjectName::new(text);
        name.map(|_| text.to_owned())
            .map_err(|error| error.to_string())
    })?;
    let offered = std::mem::take(&mut draft.instances);
    for mut instance in offered.into_iter().filter(|it| it.lack.is_none()) {
        let (engine, version) = (&instance.engine, &instance.version);
        if !yes(&format!("{engine} {version} is here; use it?"))? {
            continue;
        }
        let usual = draft.free_name(&instance.name, engine);
        instance.name = until("  its name", &usual, |text| name(draft, text))?;
        let usual = draft.free_port(instance.port).to_string();
        instance.port = until("  its port", &usual, |text| port(draft, text))?;
        draft.instances.push(instance);
    }
    if let Some((about, _)) = &draft.process {
        let command = ask(
            "a command of yours that needs them, such as npm start",
            "none",
        )?;
        if command != "none" {
            let usual = about.example.to_string();
            let name = until("  its name", &usual, |text| name(draft, text))?;
            let port = until("  the port that it listens on", "none", |text| match text {
                "none" => Ok(None),
                text => port(draft, text).map(Some),
            })?;
            let app = App {
                name,
                command,
                port,
            };
            draft.process = draft.process.take().map(|(about, _)| (about, Some(app)));
        }
    }
    complain(format_args!("\n{}\n", harmless(&draft.text())));
    if yes(&format!("write {path}?"))? {
        Ok(())
    } else {
        Err(nothing_written())
    }
}

fn name(draft: &Draft, text: &str) -> Result<String, String> {
    let name = InstanceName::new(text).map_err(|error| error.to_string())?;
    if draft.instances.iter().any(|it| it.name == name.as_str()) {
        return Err("is the name of another instance".into());
    }
    Ok(name.to_string())
}

fn port(draft: &Draft, text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or("is not a number from 1 to 65535")?;
    match draft.instances.iter().find(|it| it.port == port) {
        Some(other) => Err(format!("is that of {}", other.name)),
        None => Ok(port),
    }
}

/// Asks again until the answer can be read.
fn until<T>(
    question: &str,
    usual: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    loop {
        let answer = ask(question, usual)?;
        match read(&answer) {
            Ok(value) => return Ok(value),
            Err(why) => complain(format_args!("  {:?} {why}\n", harmless(&answer))),
        }
    }
}

fn yes(question: &str) -> Result<bool, Failure> {
    loop {
        match ask(question, "Y/n")?.to_ascii_lowercase().as_str() {
            "y/n" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => complain(format_args!("  yes or no?\n")),
        }
    }
}

/// The answer, or what is usual. The end of the input is no answer.
fn ask(question: &str, usual: &str) -> Result<String, Failure> {
    complain(format_args!("{question} [{}] ", harmless(usual)));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match read.map_err(Failure::io("read the answer"))? {
        0 => {
            complain(format_args!("\n"));
            Err(nothing_written())
        }
        _ => Ok(match answer.trim() {
            "" => usual.to_owned(),
            answer => answer.to_owned(),
        }),
    }
}

fn nothing_written() -> Failure {
    Failure::plain("nothing was written")
}
