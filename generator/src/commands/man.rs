//! `doze man`.

use std::fs;

use camino::Utf8Path;
use clap_mangen::Man;

use super::Context;
use crate::{cli, diagnostic::nearest, failure::Failure, output::print};

/// Prints the page of the command with these words, that of `doze` if there are none.
pub(super) fn show(words: &[String]) -> Result<(), Failure> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let mut command = &command;
    for word in words {
        let Some(below) = command.find_subcommand(word) else {
            let near = nearest(word, command.get_subcommands().map(clap::Command::get_name));
            let near = near
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(Failure::usage(format!(
                "there is no command `{word}`{near}"
            )));
        };
        command = below;
    }
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .and_then(|()| print(format_args!("{}", String::from_utf8_lossy(&page))))
        .map_err(Failure::io("print the page"))
}

/// Writes all pages into a folder.
pub(super) fn write(context: &Context, folder: &Utf8Path) -> Result<(), Failure> {
    let folder = context.dirs.here.join(folder);
    let cannot = format!("write man pages into {folder}");
    fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(cli::command(), &folder))
        .map_err(Failure::io(cannot))
}
