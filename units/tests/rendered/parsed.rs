//! What systemd reads where something was written: `systemd --user --test` loads units without
//! running them, and prints what it understood.

use doze_tests::World;
use doze_units::escape::{self, EscapeError};

#[test]
fn systemd_reads_the_values_that_were_written() {
    let paths: Vec<String> = hostile_words()
        .iter()
        .map(|word| format!("/p/{word}"))
        .collect();
    let lines = |key: &str, escape: fn(&str) -> Result<String, EscapeError>| {
        let line = |path: &String| format!("{key}={}", escape(path).unwrap());
        paths.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let listen = lines("ListenStream", escape::value);
    let items = lines("ReadWritePaths", escape::item);

    let world = World::new();
    let unit = |name: &str, text: &str| world.write(world.units().join(name), text);
    let source = r#"/p/100% "$HOME"\ /doze.toml"#;
    let about = r#"it's 100% "$HOME" \"#;
    unit("x.target", "[Unit]\nWants=x.socket\n");
    unit("x.socket", &format!("[Socket]\n{listen}\n"));
    unit(
        "x.service",
        &format!(
            "[Unit]\nDescription={}\nSourcePath={}\n[Service]\nExecStart=/bin/true\n{items}\n",
            escape::value(about).unwrap(),
            escape::value(source).unwrap(),
        ),
    );
    let dump = world.run(&[
        "/usr/lib/systemd/systemd",
        "--user",
        "--test",
        "--unit=x.target",
    ]);

    let socket = of_unit(&dump, "x.socket");
    let read: Vec<String> = values(socket, "ListenStream").map(unescape).collect();
    assert_eq!(read, paths);
    let service = of_unit(&dump, "x.service");
    assert_eq!(values(service, "Description").collect::<Vec<_>>(), [about]);
    assert_eq!(values(service, "Source Path").collect::<Vec<_>>(), [source]);
    assert_eq!(
        values(service, "ReadWritePaths").collect::<Vec<_>>(),
        [paths.join(" ")]
    );
}

/// Every printable ASCII character at the start, inside and at the end, and some others.
fn hostile_words() -> Vec<String> {
    let ascii = (b' '..=b'~').map(char::from).filter(|c| *c != '/');
    ascii
        .chain(['ü', '日', '\u{a0}', '\u{2028}', '🦀'])
        .flat_map(|c| [format!("{c}a"), format!("a{c}{c}a"), format!("a{c}")])
        .chain(
            [
                "$HOME", "${HOME}", "%h", "%%", "\\x41", "\\\\", "\"a\"", "a b ", "a;", "-", "+a",
            ]
            .map(String::from),
        )
        .collect()
}

/// What is printed of one unit.
fn of_unit<'a>(dump: &'a str, name: &str) -> &'a str {
    let (_, rest) = dump
        .split_once(&format!("\n\t-> Unit {name}:\n"))
        .unwrap_or_else(|| panic!("{name} is not in\n{dump}"));
    rest.split_once("\n\t-> Unit ")
        .map_or(rest, |(unit, _)| unit)
}

fn values<'a>(unit: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let key = format!("{key}: ");
    unit.lines()
        .filter_map(move |line| line.trim_start().strip_prefix(&key))
}

/// Undoes C escapes: `\"`, `\\`, `\303`.
fn unescape(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        plain.push(match bytes.next().unwrap() {
            high @ b'0'..=b'3' => {
                let mut digit = || bytes.next().unwrap() - b'0';
                let (middle, low) = (digit(), digit());
                (high - b'0') << 6 | middle << 3 | low
            }
            escaped => escaped,
        });
    }
    String::from_utf8(plain).unwrap()
}
