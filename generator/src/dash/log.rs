//! The end of an instance's log. Must not know what stands in it.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
};

use camino::Utf8Path;

use crate::{fsx::missing_is_none, output::harmless};

/// How much of it is read, in bytes: more than anybody scrolls through.
const TAIL: u64 = 64 * 1024;

/// Tells whether a log has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    file: u64,
    length: u64,
}

/// Its last lines, unless it is as it was at the mark.
pub(super) fn tail(path: &Utf8Path, before: Mark) -> io::Result<Option<(Mark, Vec<String>)>> {
    let Some(mut file) = missing_is_none(File::open(path))? else {
        let changed = before != Mark::default();
        return Ok(changed.then(|| (Mark::default(), Vec::new())));
    };
    let found = file.metadata()?;
    let mark = Mark {
        file: found.ino(),
        length: found.len(),
    };
    if mark == before {
        return Ok(None);
    }
    let from = mark.length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line is only the end of one.
    let cut = usize::from(from > 0);
    let lines = text.lines().skip(cut);
    let shown = lines.map(|line| harmless(&line.replace('\t', "    ")));
    Ok(Some((mark, shown.collect())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn a_long_log_is_read_from_a_whole_line_on_and_only_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("log")).unwrap();
        assert_eq!(tail(&path, Mark::default()).unwrap(), None);
        let mut file = File::create(&path).unwrap();
        for number in 0..20_000 {
            writeln!(file, "line {number}").unwrap();
        }
        let (mark, lines) = tail(&path, Mark::default()).unwrap().unwrap();
        assert!(lines[0].starts_with("line 1"), "{}", lines[0]);
        assert_eq!(lines.last().unwrap(), "line 19999");
        assert_eq!(tail(&path, mark).unwrap(), None);
        file.write_all(b"\x1b[2J\tend\xff").unwrap();
        let (_, lines) = tail(&path, mark).unwrap().unwrap();
        assert_eq!(lines.last().unwrap(), "\u{fffd}[2J    end\u{fffd}");
    }
}
