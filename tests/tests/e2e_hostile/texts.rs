//! Hostile text for every key that takes any: whatever a shell, SQL, a unit file, a URL, TOML, an
//! expression or a `.env` file treats in its own way.
//!
//! Must not know: where it is written, and how it is read back.

use proptest::array::{uniform2, uniform3, uniform5};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;

/// What each key of the project says.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    /// Of the project and of both instances. A path of a socket has two of them.
    pub(crate) project: String,
    pub(crate) postgres: String,
    pub(crate) valkey: String,
    /// The project's folder, doze's own, and that of the unix sockets.
    pub(crate) folder: String,
    pub(crate) home: String,
    pub(crate) sockets: String,
    /// Names in the server.
    pub(crate) owner: String,
    pub(crate) role: String,
    pub(crate) group: String,
    pub(crate) database: String,
    pub(crate) schema: String,
    /// On one line.
    pub(crate) setting: String,
    pub(crate) role_setting: String,
    /// Any text.
    pub(crate) owner_password: String,
    pub(crate) role_password: String,
    pub(crate) password: String,
    pub(crate) primary_password: String,
    /// Of an output and of a local, and what both say.
    pub(crate) output: String,
    pub(crate) said: String,
}

const PARTS: &[&str] = &[
    "'",
    "\"",
    "''",
    "\"\"",
    "'''",
    "\"\"\"",
    "\\",
    "\\'",
    "\\n",
    "%",
    "%%",
    "%s",
    "%i",
    "%h",
    "%20",
    "%{",
    "$",
    "$$",
    "$$$",
    "$HOME",
    "${",
    "${x}",
    "$${",
    "${var.x}",
    "$(id)",
    "`id`",
    " ",
    "  ",
    ";",
    "&&",
    "--",
    "/*",
    "+",
    "@",
    "#",
    ":",
    "?",
    "&",
    "=",
    "|",
    "<",
    ">",
    "*",
    "~",
    "!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "^",
    "-",
    ".",
    "..",
    "a",
    "Z",
    "0",
    "ü",
    "e\u{301}",
    "ß",
    "日本",
    "🦀",
    "\u{a0}",
    "\u{ad}",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "ª",
    "'; DROP ROLE postgres; --",
    "' OR 1=1",
];
const CONTROLS: &[&str] = &[
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u{1}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
];

/// The longest value that has to be carried, in bytes.
const LONGEST: usize = 4096;

impl Texts {
    /// Everything at its worst.
    pub(crate) fn worst() -> Self {
        let long = |text: &str| text.repeat(LONGEST / text.len());
        let text = |text: &str| text.to_owned();
        Self {
            project: text("-50% \"$HOME\" 'ü' "),
            postgres: text(" %i\\ ${x}'; \"日\" `id`"),
            valkey: text("[$(id)*? %n \\\"' #ß "),
            folder: text(" 5% $${x} \"it's\" `id` \\n ü; "),
            home: text(" %h $HOME \"it's\" \\ 🦀 "),
            sockets: text(" %t ${x} \"it's\" \\ "),
            owner: text("o'%s \"$x\" ;ü--"),
            role: text("'; DROP ROLE postgres; -- \"\\"),
            group: text("all"),
            database: text("${database} %d /*\u{202e}"),
            schema: text("\"Bil'ling\".$1"),
            setting: long("it's 100% \\ $x ${y} \"ü\" # "),
            role_setting: long("\\' $${z} %{if} 'ü\", "),
            owner_password: long("p\n%20@:/?#[]$&'()*+,;= \"\\ü"),
            role_password: long("\r\n\t${x}'\"\\`id`\u{1}日"),
            password: long("s'\"\\x41 \n%s ${x} $(id) ü"),
            primary_password: long("\\r\\n\r\n# \"'${x}%\u{7f}🦀"),
            output: text("an \"output\" = ${x} %\\"),
            said: long("said: ${x} $${y} %{z} \\n\n'''\"\"\" ü"),
        }
    }

    /// Any.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let paths = || path(20).prop_filter("a name", |name| !name.starts_with('.'));
        let values = || hostile(LONGEST, CONTROLS);
        let line = || {
            let is_line = |text: &String| !text.chars().any(char::is_control);
            hostile(LONGEST, &[]).prop_filter("one line", is_line)
        };
        let names = (uniform3(paths()), uniform3(path(40)), uniform5(name()));
        let texts = (uniform2(line()), uniform5(values()), name());
        (names, texts)
            .prop_map(|((outer, folders, names), (lines, values, output))| {
                let [project, postgres, valkey] = outer;
                let [folder, home, sockets] = folders;
                let [owner, role, group, database, schema] = names;
                let [setting, role_setting] = lines;
                let [
                    owner_password,
                    role_password,
                    password,
                    primary_password,
                    said,
                ] = values;
                Self {
                    project,
                    postgres,
                    valkey,
                    folder,
                    home,
                    sockets,
                    owner,
                    role,
                    group,
                    database,
                    schema,
                    setting,
                    role_setting,
                    owner_password,
                    role_password,
                    password,
                    primary_password,
                    output,
                    said,
                }
            })
            .prop_filter("no two of a kind are called alike", |texts| {
                let Self {
                    owner, role, group, ..
                } = texts;
                let alike = texts.postgres == texts.valkey || texts.postgres == texts.database;
                !alike && owner != role && owner != group && role != group
            })
    }
}

/// A text of at most so many bytes, and now and then one as long as that.
fn hostile(longest: usize, more: &'static [&'static str]) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        5 => select(PARTS).prop_map(str::to_owned),
        1 => select([PARTS, more].concat()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let whole = vec(part, 1..12).prop_map(|parts| parts.concat());
    let repeated = (whole, any::<bool>()).prop_map(move |(text, long)| match text.len() {
        length @ 1.. if long && longest > 255 => text.repeat((longest / length).max(1)),
        _ => text,
    });
    repeated.prop_filter("of a length that it can have", move |text| {
        (1..=longest).contains(&text.len()) && !text.contains('\0')
    })
}

/// A part of a path that a unit file can say.
fn path(longest: usize) -> impl Strategy<Value = String> {
    hostile(longest, &[]).prop_filter("a part of a path", |part| {
        let can_be = |c: char| c != '/' && c != ',' && !c.is_control() && !is_noncharacter(c);
        part != "." && part != ".." && part.chars().all(can_be)
    })
}

fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff) || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

/// A name in the server.
fn name() -> impl Strategy<Value = String> {
    hostile(63, &[]).prop_filter("a name", |name| {
        let reserved = ["public", "none", "postgres"].contains(&name.as_str());
        !name.chars().any(char::is_control) && !name.starts_with("pg_") && !reserved
    })
}
