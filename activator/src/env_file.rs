//! Files of variables: `NAME=value` lines as a shell and most tools understand them alike.
//!
//! An empty line and one that begins with `#` say nothing, and `export ` in front of a name
//! changes nothing. A value is the rest of the line without the blanks around it, up to a `#`
//! behind a blank. Within single quotes everything stands for itself; within double quotes `\n`,
//! `\r` and `\t` stand for a control character, and a backslash takes the meaning from `"`, `\`,
//! `$` and a backtick. A quoted value may have line breaks. Nothing is put in place of `$NAME`.
//!
//! Must not know who reads them. No message repeats a line: it may hold a secret.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};

/// Why a file gives no variables.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvFileError {
    #[error("cannot read the variables in {path}")]
    Unreadable {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}, line {line}: {what}")]
    Line {
        path: Utf8PathBuf,
        line: usize,
        what: Wrong,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("there is no `=`; write NAME=value")]
    NoValue,
    #[error("what stands before the `=` is no name of a variable")]
    Name,
    #[error("the quote that begins here does not end")]
    Open,
    #[error("something follows the closing quote")]
    Behind,
    #[error("the value contains a NUL byte")]
    Nul,
}

type Variables = Vec<(String, String)>;

/// Reads the file at `path`, in its order.
pub(crate) fn read(path: &Utf8Path) -> Result<Variables, EnvFileError> {
    let unreadable = |source| EnvFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // A pipe would keep this process until somebody writes into it.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    parse(&text).map_err(|(line, what)| EnvFileError::Line {
        path: path.to_owned(),
        line,
        what,
    })
}

/// The variables in a text, or the number of the first wrong line, counted from 1.
fn parse(text: &str) -> Result<Variables, (usize, Wrong)> {
    let mut variables = Variables::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut number = 1;
    while !rest.is_empty() {
        let line = rest.lines().next().unwrap_or_default();
        let taken = if line.trim().is_empty() || line.trim_start().starts_with('#') {
            line.len()
        } else {
            let (name, at) = name(line).map_err(|wrong| (number, wrong))?;
            let behind = rest.get(at..).unwrap_or_default();
            let (value, length) = value(behind).map_err(|wrong| (number, wrong))?;
            variables.push((name, value));
            at + length
        };
        let (done, next) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        // The end of the last line of the value goes along.
        let end = next.find('\n').map_or(next.len(), |at| at + 1);
        number += done.matches('\n').count() + 1;
        rest = next.get(end..).unwrap_or_default();
    }
    Ok(variables)
}

/// The name on a line, and where its value begins.
fn name(line: &str) -> Result<(String, usize), Wrong> {
    let (before, _) = line.split_once('=').ok_or(Wrong::NoValue)?;
    let word = before.trim();
    let name = match word.split_once([' ', '\t']) {
        Some(("export", name)) => name.trim_start(),
        _ => word,
    };
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !name.starts_with(is_first) || !name.chars().all(is_inner) {
        return Err(Wrong::Name);
    }
    Ok((String::from(name), before.len() + 1))
}

/// The value that a text begins with, and its length there.
fn value(text: &str) -> Result<(String, usize), Wrong> {
    let trimmed = text.trim_start_matches([' ', '\t']);
    let blanks = text.len() - trimmed.len();
    let (value, length) = match trimmed.strip_prefix('\'') {
        Some(quoted) => {
            let end = quoted.find('\'').ok_or(Wrong::Open)?;
            (String::from(quoted.get(..end).unwrap_or_default()), end + 2)
        }
        None => match trimmed.strip_prefix('"') {
            Some(quoted) => escaped(quoted).map(|(value, end)| (value, end + 2))?,
            None => return plain(text),
        },
    };
    let behind = trimmed.get(length..).unwrap_or_default();
    let behind = behind.lines().next().unwrap_or_default().trim();
    if !behind.is_empty() && !behind.starts_with('#') {
        return Err(Wrong::Behind);
    }
    checked(value, blanks + length)
}

/// A value without quotes.
fn plain(text: &str) -> Result<(String, usize), Wrong> {
    let line = text.lines().next().unwrap_or_default();
    let comment = line.match_indices('#').find(|(at, _)| {
        line.get(..*at)
            .is_some_and(|before| before.ends_with([' ', '\t']))
    });
    let value = line.get(..comment.map_or(line.len(), |(at, _)| at));
    checked(String::from(value.unwrap_or_default().trim()), line.len())
}

/// What stands before the closing double quote, and where that is.
fn escaped(text: &str) -> Result<(String, usize), Wrong> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, at)),
            '\\' => match characters.next().ok_or(Wrong::Open)?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                itself @ ('"' | '\\' | '$' | '`') => value.push(itself),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    Err(Wrong::Open)
}

fn checked(value: String, length: usize) -> Result<(String, usize), Wrong> {
    if value.contains('\0') {
        return Err(Wrong::Nul);
    }
    Ok((value, length))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_is_what_a_shell_makes_of_it() {
        for (line, expected) in [
            ("A=b", "b"),
            ("  A = b c  ", "b c"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A=#b", "#b"),
            ("A=b#c # d # e", "b#c"),
            ("A=b=c", "b=c"),
            ("A='b # c' # d", "b # c"),
            (r"A='b\n$c'", r"b\n$c"),
            (r#"A="b # \"c\" \\ \$d \` \x" "#, r#"b # "c" \ $d ` \x"#),
            (r#"A="b\tc\r\n""#, "b\tc\r\n"),
            ("A=\"b\nc\"# d", "b\nc"),
            ("A='b\n\nc'", "b\n\nc"),
            ("A=b\r", "b"),
            ("A='b'\r", "b"),
            ("\u{feff}A=b", "b"),
            ("A=it's", "it's"),
            ("A=é # ü", "é"),
        ] {
            let expected = vec![(String::from("A"), String::from(expected))];
            assert_eq!(parse(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn lines_keep_their_order_and_their_number() {
        let text = "# what it needs\r\n\r\nA=1\n \nexport B=\"2\n3\"  # and so on\nA=4";
        let of = |name: &str, value: &str| (String::from(name), String::from(value));
        let expected = vec![of("A", "1"), of("B", "2\n3"), of("A", "4")];
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(
            parse(&format!("{text}\n\nnothing\n")),
            Err((9, Wrong::NoValue))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, wrong) in [
            ("A", 1, Wrong::NoValue),
            ("export A", 1, Wrong::NoValue),
            ("\n=b", 2, Wrong::Name),
            ("1A=b", 1, Wrong::Name),
            ("A B=c", 1, Wrong::Name),
            ("A$=c", 1, Wrong::Name),
            ("A='b\nc", 1, Wrong::Open),
            ("A=b\nC=\"d\\", 2, Wrong::Open),
            ("A='b'c", 1, Wrong::Behind),
            ("A=\"b\" c", 1, Wrong::Behind),
            ("A=b\0", 1, Wrong::Nul),
        ] {
            assert_eq!(parse(text), Err((line, wrong)), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        for path in [folder.join("absent"), folder.to_owned()] {
            let error = read(&path).unwrap_err().to_string();
            assert_eq!(error, format!("cannot read the variables in {path}"));
        }
        let path = folder.join("env");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"A=b\nPASSWORD: secret\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        let expected = "line 2: there is no `=`; write NAME=value";
        assert_eq!(error, format!("{path}, {expected}"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ A=#'\"\\\\\n\r\t$é]{0,40}") {
            parse(&text).ok();
        }

        #[test]
        fn a_value_in_double_quotes_is_what_was_put_there(value in "[^\0]{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let expected = vec![(String::from("A"), value)];
            prop_assert_eq!(parse(&format!("A=\"{quoted}\"\n")), Ok(expected));
        }
    }
}
