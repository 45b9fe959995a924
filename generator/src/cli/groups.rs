//! The commands in the order in which `doze --help` and the reference show them, by what they are
//! for. The parser knows no such groups.

use std::fmt::Write as _;

use clap::CommandFactory;

use super::Cli;

/// The headings with their commands.
pub const GROUPS: [(&str, &[&str]); 6] = [
    (
        "A project",
        &[
            "init", "import", "lint", "fmt", "plan", "apply", "up", "down", "destroy",
        ],
    ),
    (
        "Its instances",
        &[
            "status", "dash", "logs", "shell", "wake", "sleep", "restart", "wait", "hold", "reset",
        ],
    ),
    (
        "For programs",
        &["env", "run", "url", "output", "generate", "schema"],
    ),
    ("Engines and drivers", &["info", "search", "lock", "store"]),
    ("For publishers", &["registry", "driver"]),
    (
        "This program",
        &["doctor", "demo", "completions", "man", "version", "help"],
    ),
];

/// The definition of the command line, whole.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}\n",
        listed(&command)
    );
    command.help_template(template)
}

/// All commands below their headings.
fn listed(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        writeln!(text, "{heading}:").ok();
        for name in names {
            let about = command.find_subcommand(name);
            let about = about.and_then(clap::Command::get_about);
            // The parser adds `help` when it is built.
            let about = about.map_or(
                "Print the help of a command".to_owned(),
                ToString::to_string,
            );
            writeln!(text, "  {name:<13}{about}").ok();
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut command = command();
        command.build();
        let there = command.get_subcommands().map(clap::Command::get_name);
        let mut there: Vec<_> = there.collect();
        let mut grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        there.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, there);
    }
}
