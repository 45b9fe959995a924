//! How text of any kind is said in a unit file: systemd.syntax(7), systemd.unit(5) on specifiers,
//! systemd.service(5) on command lines.
//!
//! Each kind of setting has rules of its own, so there is a function for each kind that doze
//! writes. Must not know which settings there are.

use std::fmt::Write as _;

use doze_contract::name::is_unwritable;

/// Why a text cannot be said in a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EscapeError {
    /// A control character or a Unicode noncharacter, for which this kind of setting has no escape.
    #[error("{text:?} contains {character:?}, which a unit file cannot hold")]
    Character {
        /// The text.
        text: String,
        /// Its first such character.
        character: char,
    },
    /// systemd refuses to run such a program.
    #[error("{path:?} contains a quote or a backslash; systemd runs no program of such a path")]
    Program {
        /// The path.
        path: String,
    },
}

/// One part of a unit name, as `systemd-escape` writes it.
pub fn name(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if at == 0 => push_hex(&mut escaped, byte),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'_' | b'.' => {
                escaped.push(char::from(byte));
            }
            _ => push_hex(&mut escaped, byte),
        }
    }
    escaped
}

/// The whole value of a setting that takes it as it stands, such as `Description=` or
/// `ListenStream=`.
pub fn value(text: &str) -> Result<String, EscapeError> {
    check(text)?;
    let mut escaped = text.replace('%', "%%");
    if escaped.ends_with([' ', '\\']) {
        // A blank at the end of a line would be dropped, and a backslash would join the next line.
        // `%i` is empty in a unit that is no template.
        escaped.push_str("%i");
    }
    Ok(escaped)
}

/// A path where a pattern of glob(7) may stand, such as in `EnvironmentFile=`; not yet a value.
pub fn glob(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// One item of a list of paths, such as `ReadWritePaths=`.
pub fn item(path: &str) -> Result<String, EscapeError> {
    check(path)?;
    Ok(quote(path, |text, c| match c {
        '%' => text.push_str("%%"),
        '"' | '\\' => text.extend(['\\', c]),
        _ => text.push(c),
    }))
}

/// The path of the program at the start of a command line. It is the one word in which `$` stands
/// for itself.
pub fn program(path: &str) -> Result<String, EscapeError> {
    check(path)?;
    if path.contains(['"', '\'', '\\']) {
        return Err(EscapeError::Program { path: path.into() });
    }
    Ok(quote(path, |text, c| match c {
        '%' => text.push_str("%%"),
        _ => text.push(c),
    }))
}

/// An argument of a command line.
pub fn argument(text: &str) -> String {
    quote(text, |text, c| match c {
        '%' => text.push_str("%%"),
        '$' => text.push_str("$$"),
        '"' | '\\' => text.extend(['\\', c]),
        _ if is_unwritable(c) => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                push_hex(text, byte);
            }
        }
        _ => text.push(c),
    })
}

/// Puts a word into double quotes if it needs any.
fn quote(word: &str, push: impl Fn(&mut String, char)) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@+,%$".contains(c);
    let quoted = word.is_empty() || !word.chars().all(is_plain);
    let mut text = String::with_capacity(word.len() + 2);
    if quoted {
        text.push('"');
    }
    for c in word.chars() {
        push(&mut text, c);
    }
    if quoted {
        text.push('"');
    }
    text
}

fn check(text: &str) -> Result<(), EscapeError> {
    match text.chars().find(|c| is_unwritable(*c)) {
        None => Ok(()),
        Some(character) => Err(EscapeError::Character {
            text: text.into(),
            character,
        }),
    }
}

fn push_hex(text: &mut String, byte: u8) {
    write!(text, "\\x{byte:02x}").unwrap_or(());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_word_stays_as_it_is() {
        assert_eq!(
            program("/usr/bin/doze-activator").unwrap(),
            "/usr/bin/doze-activator"
        );
        assert_eq!(argument("run"), "run");
        assert_eq!(item("/home/ada/.local").unwrap(), "/home/ada/.local");
        assert_eq!(value("/home/ada/my shop").unwrap(), "/home/ada/my shop");
    }

    #[test]
    fn each_kind_has_its_own_escapes() {
        let text = r#"/a b/100%/$HOME/"q"/\"#;
        assert_eq!(value(text).unwrap(), r#"/a b/100%%/$HOME/"q"/\%i"#);
        assert_eq!(item(text).unwrap(), r#""/a b/100%%/$HOME/\"q\"/\\""#);
        assert_eq!(argument(text), r#""/a b/100%%/$$HOME/\"q\"/\\""#);
        assert_eq!(program("/a b/100%/$HOME").unwrap(), r#""/a b/100%%/$HOME""#);
        assert_eq!(argument(""), r#""""#);
        assert_eq!(argument(";"), r#"";""#);
        assert_eq!(argument("\n\u{fdd0}"), r#""\x0a\xef\xb7\x90""#);
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for text in ["/a\nb", "/a\u{7f}", "/a\u{fdd0}", "/a\u{1ffff}"] {
            let refused = |result: Result<String, EscapeError>| {
                matches!(result, Err(EscapeError::Character { .. }))
            };
            assert!(refused(value(text)), "{text:?}");
            assert!(refused(item(text)), "{text:?}");
            assert!(refused(program(text)), "{text:?}");
        }
        for path in ["/it's", r#"/a"b"#, r"/a\b"] {
            assert!(
                matches!(program(path), Err(EscapeError::Program { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn a_name_is_escaped_as_systemd_escape_does() {
        let ascii: Vec<String> = (1..128u8)
            .map(|byte| format!("a{}b", char::from(byte)))
            .collect();
        let others = [
            "app",
            "my shop",
            "100%",
            "größe",
            "日本",
            "a-b_c.d:e",
            ".a",
            "-",
            "..",
            "\\x2d",
        ];
        let names: Vec<&str> = ascii.iter().map(String::as_str).chain(others).collect();
        assert_eq!(
            names.iter().map(|text| name(text)).collect::<Vec<_>>(),
            oracle(&names)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn any_name_is_escaped_as_systemd_escape_does(names in prop::collection::vec("[^\0/]{1,20}", 1..20)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(names.iter().map(|text| name(text)).collect::<Vec<_>>(), oracle(&names));
        }
    }

    fn oracle(names: &[&str]) -> Vec<String> {
        let output = Command::new("systemd-escape")
            .arg("--")
            .args(names)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim_end().split(' ').map(String::from).collect()
    }
}
