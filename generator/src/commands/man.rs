//! `doze man`.

use std::{
    fs::{self, File},
    io::{self, Write},
};

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
    let (_, page) = page(command).map_err(Failure::io("make the page"))?;
    print(format_args!("{page}")).map_err(Failure::io("print the page"))
}

/// Writes all pages into a folder.
pub(super) fn write(context: &Context, folder: &Utf8Path) -> Result<(), Failure> {
    let folder = context.dirs.here.join(folder);
    let cannot = format!("write man pages into {folder}");
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(&folder)
        .and_then(|()| write_below(&command, &folder))
        .map_err(Failure::io(cannot))
}

fn write_below(command: &clap::Command, folder: &Utf8Path) -> io::Result<()> {
    let (name, text) = page(command)?;
    File::create(folder.join(name))?.write_all(text.as_bytes())?;
    let mut shown = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    shown.try_for_each(|below| write_below(below, folder))
}

/// The page of one command, with the name of its file. Every command is one of this program, whose
/// version stands at the foot; and no line is stretched to the margin, for most have words that
/// are to be typed as they stand.
fn page(command: &clap::Command) -> io::Result<(String, String)> {
    const NAME: &str = ".SH NAME\n";
    let page = Man::new(command.clone()).source(concat!("doze ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8_lossy(&text).replacen(NAME, &format!(".ad l\n{NAME}"), 1);
    Ok((page.get_filename(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_one_of_doze_and_stretches_no_line() {
        let mut command = cli::command();
        command.build();
        let wait = command.find_subcommand("wait").unwrap();
        let (name, text) = page(wait).unwrap();
        assert_eq!(name, "doze-wait.1");
        let head = format!(
            ".TH doze-wait 1  \"doze {}\" \n.ad l\n.SH NAME\n",
            env!("CARGO_PKG_VERSION")
        );
        assert!(text.contains(&head), "{text}");
    }
}
