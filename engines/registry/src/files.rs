//! `.doze-files`, the list of what an archive became: it lies in the tree itself, so that the tree
//! can be checked again later.
//!
//! Must not know where the tree is.
//!
//! Lines of fields with a tab between them, for no name has one: first the format and the digest of
//! the archive, then `directory PATH`, `file 0644|0755 BLAKE3 PATH` or `link PATH TARGET` in the
//! order of the archive. Nobody but doze reads it, so files have the digest that is quick to make;
//! that of the archive is the SHA-256 that its publisher has signed.

use std::io::{self, BufRead, Lines, Write};

use blake3::Hash;
use camino::{Utf8Path, Utf8PathBuf};

use crate::Digest;

/// The name of the list in a tree.
pub const NAME: &str = ".doze-files";

/// The first words.
const FORMAT: &str = "doze-files 1";

/// What is there under a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Whether it is a program.
        executable: bool,
        /// The digest of what is in it.
        hash: Hash,
    },
    /// A symbolic link, and what it says.
    Link(String),
}

/// Writes a list.
pub(crate) struct ListWriter<W>(W);

impl<W: Write> ListWriter<W> {
    /// Begins the list of a tree that an archive becomes.
    pub(crate) fn new(mut out: W, archive: &Digest) -> io::Result<Self> {
        writeln!(out, "{FORMAT}\t{archive}")?;
        Ok(Self(out))
    }

    pub(crate) fn add(&mut self, path: &Utf8Path, node: &Node) -> io::Result<()> {
        let out = &mut self.0;
        match node {
            Node::Directory => writeln!(out, "directory\t{path}"),
            Node::File { executable, hash } => {
                let mode = if *executable { "0755" } else { "0644" };
                writeln!(out, "file\t{mode}\t{hash}\t{path}")
            }
            Node::Link(target) => writeln!(out, "link\t{path}\t{target}"),
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads a list line by line.
pub(crate) struct ListReader<R> {
    /// The archive that the tree was.
    pub(crate) archive: Digest,
    lines: Lines<R>,
}

impl<R: BufRead> ListReader<R> {
    /// Reads the first line. A list that is none is [`io::ErrorKind::InvalidData`].
    pub(crate) fn new(inner: R) -> io::Result<Self> {
        let mut lines = inner.lines();
        let first = lines.next().ok_or_else(garbled)??;
        let digest = first
            .strip_prefix(FORMAT)
            .and_then(|f| f.strip_prefix('\t'));
        let archive = digest.and_then(|digest| digest.parse().ok());
        let archive = archive.ok_or_else(garbled)?;
        Ok(Self { archive, lines })
    }
}

impl<R: BufRead> Iterator for ListReader<R> {
    type Item = io::Result<(Utf8PathBuf, Node)>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some(line.and_then(|line| parse(&line).ok_or_else(garbled)))
    }
}

fn parse(line: &str) -> Option<(Utf8PathBuf, Node)> {
    let fields: Vec<&str> = line.split('\t').collect();
    match *fields.as_slice() {
        ["directory", path] => Some((path.into(), Node::Directory)),
        ["file", mode @ ("0755" | "0644"), hash, path] => {
            let executable = mode == "0755";
            let hash = Hash::from_hex(hash).ok()?;
            Some((path.into(), Node::File { executable, hash }))
        }
        ["link", path, target] => Some((path.into(), Node::Link(target.to_owned()))),
        _ => None,
    }
}

fn garbled() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_what_it_writes() {
        let archive = Digest::of(b"archive");
        let nodes = [
            ("bin", Node::Directory),
            (
                "bin/a b",
                Node::File {
                    executable: true,
                    hash: blake3::hash(b"x"),
                },
            ),
            ("bin/c", Node::Link("../bin/a b".into())),
        ];
        let mut text = Vec::new();
        let mut list = ListWriter::new(&mut text, &archive).unwrap();
        for (path, node) in &nodes {
            list.add(Utf8Path::new(path), node).unwrap();
        }
        list.finish().unwrap();
        let list = ListReader::new(text.as_slice()).unwrap();
        assert_eq!(list.archive, archive);
        let read: Vec<_> = list.map(Result::unwrap).collect();
        assert_eq!(read, nodes.map(|(path, node)| (path.into(), node)));
    }

    #[test]
    fn another_text_is_no_list() {
        assert!(ListReader::new(&b""[..]).is_err());
        assert!(ListReader::new(&b"doze-files 2\tx\n"[..]).is_err());
        let text = format!("{FORMAT}\t{}\nfile\t0777\tx\ty\n", Digest::of(b""));
        assert!(
            ListReader::new(text.as_bytes())
                .unwrap()
                .next()
                .unwrap()
                .is_err()
        );
    }
}
