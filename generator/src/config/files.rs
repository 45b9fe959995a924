//! Which files a project is made of, and what all of them say together.

use std::{
    collections::btree_map::Entry,
    fs::File,
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;

use super::{
    ConfigError, FILE_NAME,
    toml_tree::{self, Table, Value},
};
use crate::diagnostic::{Code, Diagnostic, Source, Sources, nearest};

/// The end of the names of further files.
const SIBLING: &str = ".doze.toml";

/// The end of the names of files with the values of variables.
const VALUES: &str = ".auto.toml";

/// The longest file that is read, in bytes. Nobody writes as much; a disk image that somebody named
/// by mistake would keep the machine busy.
const LONGEST: u64 = 1 << 20;

/// The words at the top of a file that are no engines.
pub(super) const RESERVED: [&str; 7] = [
    "name",
    "defaults",
    "registries",
    "variables",
    "locals",
    "outputs",
    "profile",
];

/// The texts of a project.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) sources: Sources,
    /// What the files say together.
    pub(super) table: Table,
    /// What the files with values say, each on its own, the strongest last.
    pub(super) values: Vec<Table>,
}

/// The file that stands for a folder: its `doze.toml`, else the first of its `*.doze.toml`.
pub(super) fn anchor(folder: &Utf8Path) -> Utf8PathBuf {
    let main = folder.join(FILE_NAME);
    if main.is_file() {
        return main;
    }
    ending_with(folder, SIBLING)
        .into_iter()
        .next()
        .unwrap_or(main)
}

/// Reads a file and those that belong to it: the `*.doze.toml` beside a `doze.toml`, or beside
/// each other where there is none; the `*.auto.toml` there.
pub(super) fn read(path: &Utf8Path) -> Result<Texts, ConfigError> {
    let mut texts = Texts::default();
    let mut problems = Vec::new();
    for file in declaring(path) {
        texts.add(&text(file)?, &mut problems);
    }
    for file in ending_with(path.parent().unwrap_or(path), VALUES) {
        let source = text(file)?;
        let table = texts.parse(&source, &mut problems);
        texts.values.push(table);
    }
    texts.sound(problems)
}

/// The files that [`read`] reads.
pub(crate) fn texts_of(path: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut files = declaring(path);
    files.extend(ending_with(path.parent().unwrap_or(path), VALUES));
    files
}

/// Those of them that declare something.
fn declaring(path: &Utf8Path) -> Vec<Utf8PathBuf> {
    let folder = path.parent().unwrap_or(path);
    let main = path.file_name() == Some(FILE_NAME);
    let mut files = vec![path.to_owned()];
    if main || anchor(folder) == path {
        let siblings = ending_with(folder, SIBLING).into_iter();
        files.extend(siblings.filter(|sibling| sibling != path));
    }
    files
}

/// One text that is a whole project.
pub(super) fn parse(source: &Source) -> Result<Texts, ConfigError> {
    let mut texts = Texts::default();
    let mut problems = Vec::new();
    texts.add(source, &mut problems);
    texts.sound(problems)
}

fn text(path: Utf8PathBuf) -> Result<Source, ConfigError> {
    match bounded(&path) {
        Ok(text) => Ok(Source { path, text }),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

/// The text of a file of a project, which is no pipe and has at most 1 MiB.
pub(crate) fn bounded(path: &Utf8Path) -> io::Result<String> {
    let mut text = String::new();
    // Whoever opens a pipe waits for its other end, and a second reader would find nothing.
    let mut options = File::options();
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.read(true).custom_flags(nonblocking).open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        let error = "it is a pipe, and not a file";
        return Err(io::Error::new(ErrorKind::InvalidInput, error));
    }
    // One byte more, by which a longer file is seen to be one.
    let length = file.take(LONGEST + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= LONGEST) {
        return Ok(text);
    }
    Err(io::Error::new(
        ErrorKind::FileTooLarge,
        "it has more than 1 MiB",
    ))
}

/// The files of a folder with this end, by name. A folder that cannot be read has none: whoever
/// asks reads a file in it anyway.
fn ending_with(folder: &Utf8Path, end: &str) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let named =
        |name: &str| name.ends_with(end) && name.len() > end.len() && !name.starts_with('.');
    let mut files: Vec<_> = entries
        .filter(|entry| named(entry.file_name()))
        .map(|entry| folder.join(entry.file_name()))
        .collect();
    files.sort();
    files
}

impl Texts {
    fn parse(&mut self, source: &Source, problems: &mut Vec<Diagnostic>) -> Table {
        let start = self.sources.add(source.clone());
        let (table, found) = toml_tree::parse(&source.text, start);
        problems.extend(found);
        table
    }

    fn add(&mut self, source: &Source, problems: &mut Vec<Diagnostic>) {
        let table = self.parse(source, problems);
        for (word, item) in table.0 {
            match self.table.0.entry(word) {
                Entry::Vacant(entry) => {
                    entry.insert(item);
                }
                Entry::Occupied(mut entry) => {
                    let reserved = RESERVED.contains(&entry.key().as_str());
                    let word = entry.key().clone();
                    match (&mut entry.get_mut().value, item.value) {
                        (Value::Table(first), Value::Table(second)) => {
                            unite(first, second, reserved, problems);
                        }
                        _ => problems.push(
                            Diagnostic::new(
                                Code::Merge,
                                item.key,
                                format!("`{word}` is set twice"),
                            )
                            .label("and here")
                            .see(entry.get().key.clone(), "here"),
                        ),
                    }
                }
            }
        }
    }

    fn sound(self, problems: Vec<Diagnostic>) -> Result<Self, ConfigError> {
        if problems.is_empty() {
            Ok(self)
        } else {
            // What a parser makes of the rest of broken text would only add noise.
            Err(ConfigError::Wrong {
                sources: self.sources,
                problems,
            })
        }
    }

    /// Lays the profile of this name over everything, and takes all profiles out.
    pub(super) fn choose_profile(&mut self, chosen: Option<&str>, problems: &mut Vec<Diagnostic>) {
        let item = self.table.0.remove("profile");
        let profiles = match item {
            None => Table::default(),
            Some(item) => {
                let Value::Table(table) = item.value else {
                    let message = "`profile` needs a name for each profile";
                    let found = Diagnostic::new(Code::Missing, item.key, message);
                    problems.push(found.hint("write [profile.NAME]"));
                    return;
                };
                table
            }
        };
        let Some(chosen) = chosen else { return };
        let names: Vec<_> = profiles.0.keys().cloned().collect();
        let Some((_, item)) = profiles.0.into_iter().find(|(name, _)| name == chosen) else {
            let asked = Source {
                path: "--profile".into(),
                text: chosen.to_owned(),
            };
            let start = self.sources.add(asked);
            let message = format!("there is no profile `{chosen}`");
            let found = Diagnostic::new(Code::Profile, start..start + chosen.len(), message);
            let hint = match nearest(chosen, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "add it as [profile.NAME]".to_owned(),
                None => format!("the profiles are {}", names.join(", ")),
            };
            problems.push(found.hint(hint));
            return;
        };
        if let Value::Table(overlay) = item.value {
            lay_over(&mut self.table, overlay);
        } else {
            let message = format!("`{chosen}` has to be a table, not {}", item.value.kind());
            problems.push(Diagnostic::new(Code::Value, item.span, message));
        }
    }
}

/// Adds what a further file says of the same word. Nothing is said twice.
fn unite(first: &mut Table, second: Table, reserved: bool, problems: &mut Vec<Diagnostic>) {
    for (key, item) in second.0 {
        match first.0.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(item);
            }
            Entry::Occupied(entry) => {
                let (code, message, hint) = if reserved {
                    (Code::Merge, format!("`{}` is set twice", entry.key()), None)
                } else {
                    let message = format!("there are two instances called `{}`", entry.key());
                    let hint = "an instance is declared in one place; a profile can change it";
                    (Code::Duplicate, message, Some(hint.to_owned()))
                };
                let found = Diagnostic::new(code, item.key, message)
                    .label("and here")
                    .see(entry.get().key.clone(), "here");
                problems.push(found.maybe_hint(hint));
            }
        }
    }
}

/// Replaces what the overlay says, table by table.
fn lay_over(below: &mut Table, overlay: Table) {
    for (key, item) in overlay.0 {
        match (
            below.0.get_mut(&key).map(|item| &mut item.value),
            item.value,
        ) {
            (Some(Value::Table(below)), Value::Table(over)) => lay_over(below, over),
            (_, value) => {
                below.0.insert(key, toml_tree::Item { value, ..item });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, process::Command};

    use super::*;

    fn told(path: &Utf8Path) -> Option<String> {
        let refused = text(path.into()).unwrap_err();
        refused.source().map(ToString::to_string)
    }

    #[test]
    fn a_file_without_end_is_not_read_to_it() {
        let zero = told("/dev/zero".into());
        assert_eq!(zero, Some("it has more than 1 MiB".to_owned()));
    }

    #[test]
    fn nobody_waits_for_the_other_end_of_a_pipe() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let path = path.join("doze.toml");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo is everywhere").success());
        let pipe = told(&path);
        assert_eq!(pipe, Some("it is a pipe, and not a file".to_owned()));
    }
}
