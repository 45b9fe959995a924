//! Reading a page, as far as tests have to: fenced blocks, headings, tables, links.
//!
//! Must not know: what any page says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use doze_tests::programs::workspace;

/// A page of the documentation.
pub(crate) struct Page {
    /// Its path below the root of the repository.
    pub(crate) path: PathBuf,
    text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// Where it begins, for messages.
    pub(crate) place: String,
    /// The words of its info string.
    pub(crate) info: Vec<String>,
    /// Its lines.
    pub(crate) lines: Vec<String>,
}

impl Block {
    /// The file that it is, as the page tells its reader to write it.
    pub(crate) fn file(&self) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix("file="))
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Whether its info string has this word.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.info.iter().any(|part| part == word)
    }
}

/// The README and every page below `docs`.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    let mut open = vec![PathBuf::from("docs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(workspace().join(&folder)).expect("docs is a folder") {
            let entry = entry.expect("docs can be read");
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.iter().map(Page::read).collect()
}

impl Page {
    /// Reads a page by its path below the root of the repository.
    pub(crate) fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(workspace().join(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// Its fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                continue;
            };
            blocks.push(Block {
                place: format!("{}:{number}", self.path.display()),
                info: info
                    .split([' ', ','])
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect(),
                lines: lines
                    .by_ref()
                    .map(|(line, _)| line)
                    .take_while(|line| !line.starts_with("```"))
                    .map(str::to_owned)
                    .collect(),
            });
        }
        blocks
    }

    /// Its lines outside of fenced blocks.
    fn prose(&self) -> Vec<&str> {
        let mut fenced = false;
        let outside = |line: &&str| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        };
        self.text.lines().filter(outside).collect()
    }

    /// The targets of its links.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = self.prose().join("\n");
        let targets = prose.split("](").skip(1);
        targets
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self
            .prose()
            .into_iter()
            .filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| -> String {
            let letters = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = letters
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    /// Its sections of the second level: each heading with the lines below it.
    pub(crate) fn sections(&self) -> Vec<(&str, Vec<&str>)> {
        let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in self.prose() {
            if let Some(heading) = line.strip_prefix("## ") {
                sections.push((heading, Vec::new()));
            } else if let Some((_, lines)) = sections.last_mut() {
                lines.push(line);
            }
        }
        sections
    }

    /// The cells of the rows of all its tables, without the heads.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        rows(&self.prose())
    }

    /// The lines of the section with this heading.
    #[track_caller]
    pub(crate) fn section(&self, heading: &str) -> Vec<&str> {
        let found = self
            .sections()
            .into_iter()
            .find(|(name, _)| *name == heading);
        found
            .unwrap_or_else(|| panic!("{} has no `## {heading}`", self.path.display()))
            .1
    }
}

/// The cells of the rows of every table, without the heads.
pub(crate) fn rows(lines: &[&str]) -> Vec<Vec<String>> {
    let is_rule = |line: &str| line.starts_with("|--");
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_head && !is_rule(line) {
            let cells = line.trim_matches('|').split(" |");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// The texts between backquotes.
pub(crate) fn code(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
