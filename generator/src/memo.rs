//! What programs have answered before, so that they need not be started to say it again.
//!
//! Only for questions to which a program always gives the same answer. It is the same program as
//! long as its file is; a script may be made of more than its file, so it is always asked. Program
//! and question are the key, so an answer that is found is right, whatever has changed. Must not
//! know what is asked.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    ops::Range,
    os::unix::fs::MetadataExt as _,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::fsx;

/// The answers that are known.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// What was read.
    text: String,
    /// Where in it the answers are, by their keys.
    known: BTreeMap<String, Range<usize>>,
    /// The keys of those that were used.
    used: RefCell<BTreeSet<String>>,
    /// Those that were given since.
    new: RefCell<BTreeMap<String, String>>,
    /// What tells each program from what it was, or may become.
    programs: RefCell<BTreeMap<Utf8PathBuf, Option<String>>>,
}

impl Memo {
    /// Reads what [`Memo::write`] wrote. A file that is damaged is as good as none.
    pub(crate) fn read(path: &Utf8Path) -> io::Result<Self> {
        let text = fsx::read(path)?.unwrap_or_default();
        let (sum, lines) = text.split_once('\n').unwrap_or_default();
        let mut known = BTreeMap::new();
        if digest(lines) == sum {
            let mut start = text.len() - lines.len();
            for line in lines.split_inclusive('\n') {
                if let Some((key, answer)) = line.trim_end_matches('\n').split_once(' ') {
                    let from = start + key.len() + 1;
                    known.insert(key.to_owned(), from..from + answer.len());
                }
                start += line.len();
            }
        }
        Ok(Self {
            text,
            known,
            ..Self::default()
        })
    }

    /// What a program would answer to a question, if that is known.
    pub(crate) fn known(&self, program: &Utf8Path, question: &str) -> Option<&str> {
        let key = self.key(program, question)?;
        let answer = self.text.get(self.known.get(&key)?.clone())?;
        self.used.borrow_mut().insert(key);
        Some(answer)
    }

    /// Keeps what a program answered after its answer was not known, and always will.
    pub(crate) fn keep(&self, program: &Utf8Path, question: &str, answer: String) {
        if let Some(key) = self.key(program, question)
            && !answer.contains('\n')
        {
            self.new.borrow_mut().insert(key, answer);
        }
    }

    /// Writes the answers that were used, for the next command, unless the file has just those.
    pub(crate) fn write(&self, path: &Utf8Path) -> io::Result<()> {
        let (used, new) = (self.used.borrow(), self.new.borrow());
        if new.is_empty() && self.known.keys().eq(used.iter()) {
            return Ok(());
        }
        let old = self.known.iter().filter(|(key, _)| used.contains(*key));
        let old = old.filter_map(|(key, place)| Some((key, self.text.get(place.clone())?)));
        let new = new.iter().map(|(key, answer)| (key, answer.as_str()));
        let lines = old
            .chain(new)
            .flat_map(|(key, answer)| [key, " ", answer, "\n"]);
        let lines: String = lines.collect();
        // An answer may hold a password, as the plan that it becomes.
        fsx::replace(path, &format!("{}\n{lines}", digest(&lines)), 0o600)
    }

    /// What stands for a question to a program; nothing if its answer may change.
    fn key(&self, program: &Utf8Path, question: &str) -> Option<String> {
        let mut programs = self.programs.borrow_mut();
        let identity = match programs.get(program) {
            Some(identity) => identity,
            None => programs
                .entry(program.to_owned())
                .or_insert_with(|| identity(program).ok().flatten()),
        };
        let identity = identity.as_ref()?;
        Some(digest(&format!("{identity}\0{question}")))
    }
}

/// BLAKE3 rather than SHA-256: all of the answers are read again for every command.
fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// What changes when a program does; nothing for a script.
fn identity(program: &Utf8Path) -> io::Result<Option<String>> {
    // A link may be what chooses among the programs of one file.
    let path = fs::canonicalize(program)?;
    let mut start = Vec::new();
    File::open(&path)?.take(2).read_to_end(&mut start)?;
    if start == b"#!" {
        return Ok(None);
    }
    let about = fs::metadata(&path)?;
    Ok(Some(format!(
        "{program}\0{}\0{} {} {} {} {}",
        path.display(),
        about.dev(),
        about.ino(),
        about.size(),
        about.mtime(),
        about.mtime_nsec()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.program("\x7fELF one");
            folder
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            let path = self.0.path().join(name);
            Utf8PathBuf::from_path_buf(path).unwrap()
        }

        fn program(&self, text: &str) {
            fsx::replace(&self.path("program"), text, 0o700).unwrap();
        }

        /// Asks the questions in a new process, so to say; those that were passed on.
        fn ask(&self, questions: &[&str]) -> Vec<String> {
            let memo = Memo::read(&self.path("memo")).unwrap();
            let mut passed_on = Vec::new();
            for question in questions {
                let (program, answer) = (self.path("program"), format!("{question}!"));
                if let Some(known) = memo.known(&program, question) {
                    assert_eq!(known, answer);
                } else {
                    passed_on.push((*question).to_owned());
                    memo.keep(&program, question, answer);
                }
            }
            memo.write(&self.path("memo")).unwrap();
            passed_on
        }
    }

    #[test]
    fn what_was_answered_is_not_asked_again() {
        let folder = Folder::new();
        assert_eq!(folder.ask(&["a", "b"]), ["a", "b"]);
        let before = fs::metadata(folder.path("memo")).unwrap();
        assert_eq!(before.mode() & 0o777, 0o600);
        assert!(folder.ask(&["b", "a"]).is_empty());
        let after = fs::metadata(folder.path("memo")).unwrap();
        assert_eq!(before.ino(), after.ino(), "it is not written again");
    }

    #[test]
    fn what_nobody_asked_any_more_is_forgotten() {
        let folder = Folder::new();
        folder.ask(&["a", "b"]);
        folder.ask(&["a"]);
        assert_eq!(folder.ask(&["a", "b"]), ["b"]);
    }

    #[test]
    fn another_program_is_asked() {
        let folder = Folder::new();
        folder.ask(&["a"]);
        // As long as the one before, and moved to its place as installers do.
        folder.program("\x7fELF two");
        assert_eq!(folder.ask(&["a"]), ["a"]);
        let touched = File::options().append(true).open(folder.path("program"));
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        touched.unwrap().set_modified(long_ago).unwrap();
        assert_eq!(folder.ask(&["a"]), ["a"]);
        assert!(folder.ask(&["a"]).is_empty());
    }

    #[test]
    fn a_script_is_always_asked() {
        let folder = Folder::new();
        folder.program("#!/bin/sh\n. ./rest\n");
        folder.ask(&["a"]);
        assert_eq!(folder.ask(&["a"]), ["a"]);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let folder = Folder::new();
        folder.ask(&["a", "b"]);
        let text = fs::read_to_string(folder.path("memo")).unwrap();
        let cut = text.strip_suffix("!\n").unwrap();
        for damaged in [cut, &text.replace("a!", "b!"), ""] {
            fsx::replace(&folder.path("memo"), damaged, 0o600).unwrap();
            assert_eq!(folder.ask(&["a", "b"]), ["a", "b"]);
        }
    }
}
