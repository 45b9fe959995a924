//! `doze fmt`: the files of the project in their one look.

use std::{fs, os::unix::fs::PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::exit::Exit;

use super::Context;
use crate::{
    config::{self, ConfigError, toml_tree},
    diagnostic::{Source, Sources},
    failure::Failure,
    fmt, fsx,
    output::print_lines,
};

pub(super) fn run(context: &Context, check: bool, files: &[Utf8PathBuf]) -> Result<(), Failure> {
    let files = if files.is_empty() {
        let path = config::find(context.config.as_deref(), &context.dirs.here)?;
        config::texts_of(&path)
    } else {
        let here = &context.dirs.here;
        files.iter().map(|file| here.join(file)).collect()
    };
    // Before anything is written: if one of them is wrong, all stay as they are.
    let mut others = Vec::new();
    for path in &files {
        let text = config::bounded(path).map_err(Failure::io(format!("read {path}")))?;
        match fmt::format(&text) {
            Some(formatted) if formatted == text => {}
            Some(formatted) => others.push((path, formatted)),
            None => return Err(wrong(path, text)),
        }
    }
    let names: Vec<_> = others.iter().map(|(path, _)| path.to_string()).collect();
    if !check {
        for (path, formatted) in &others {
            replace(path, formatted).map_err(Failure::io(format!("write {path}")))?;
        }
    }
    print_lines(&names).map_err(Failure::io("print"))?;
    if check && !names.is_empty() {
        return Err(Failure::Told(Exit::Drift));
    }
    Ok(())
}

/// Behind a link and with the mode that it has.
fn replace(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize_utf8()?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    fsx::replace(&path, text, mode)
}

fn wrong(path: &Utf8Path, text: String) -> Failure {
    let mut sources = Sources::default();
    let path = path.to_owned();
    let source = Source { path, text };
    let start = sources.add(source.clone());
    let (_, problems) = toml_tree::parse(&source.text, start);
    if problems.is_empty() {
        return Failure::plain(format!("{} has no look that means the same", source.path));
    }
    ConfigError::Wrong { sources, problems }.into()
}
