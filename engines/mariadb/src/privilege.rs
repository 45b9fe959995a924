//! What a user can be allowed to do, by the names of the manual (`GRANT`), and where. It must not
//! know any user.

use std::{collections::BTreeSet, fmt};

/// What a privilege, or a grant, is about: a wider one holds what a narrower one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A table.
    Table,
    /// A database, with all that will ever be in it.
    Database,
    /// The server.
    Server,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "a table",
            Self::Database => "a database",
            Self::Server => "the server",
        })
    }
}

/// All that can be had at a level, `GRANT OPTION` excepted.
pub(crate) const ALL: &str = "ALL PRIVILEGES";

/// How the server calls the right to pass on what one has.
pub(crate) const GRANT_OPTION: &str = "GRANT OPTION";

const TABLE: &[&str] = &[
    "ALTER",
    "CREATE",
    "CREATE VIEW",
    "DELETE",
    "DELETE HISTORY",
    "DROP",
    "INDEX",
    "INSERT",
    "REFERENCES",
    "SELECT",
    "SHOW VIEW",
    "TRIGGER",
    "UPDATE",
];

const DATABASE: &[&str] = &[
    "ALTER ROUTINE",
    "CREATE ROUTINE",
    "CREATE TEMPORARY TABLES",
    "EVENT",
    "EXECUTE",
    "LOCK TABLES",
];

const SERVER: &[&str] = &[
    "BINLOG ADMIN",
    "BINLOG MONITOR",
    "BINLOG REPLAY",
    "CONNECTION ADMIN",
    "CREATE TABLESPACE",
    "CREATE USER",
    "FEDERATED ADMIN",
    "FILE",
    "PROCESS",
    "READ_ONLY ADMIN",
    "RELOAD",
    "REPLICATION MASTER ADMIN",
    "REPLICATION SLAVE",
    "REPLICATION SLAVE ADMIN",
    "SET USER",
    "SHOW DATABASES",
    "SHUTDOWN",
    "SLAVE MONITOR",
    "SUPER",
];

/// The privilege of a name, in whatever letters, as the server spells it, and the narrowest level
/// at which it can be had.
pub(crate) fn find(name: &str) -> Option<(&'static str, Level)> {
    if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case(ALL) {
        return Some((ALL, Level::Table));
    }
    [
        (TABLE, Level::Table),
        (DATABASE, Level::Database),
        (SERVER, Level::Server),
    ]
    .into_iter()
    .find_map(|(names, level)| {
        let mut names = names.iter();
        let found = names.find(|known| known.eq_ignore_ascii_case(name))?;
        Some((*found, level))
    })
}

/// The privileges of these names; `ALL PRIVILEGES` stands for the others as well.
pub(crate) fn set(names: &[String]) -> BTreeSet<String> {
    let found = names.iter().filter_map(|name| find(name));
    let set: BTreeSet<_> = found.map(|(name, _)| name.to_owned()).collect();
    if set.contains(ALL) {
        BTreeSet::from([ALL.to_owned()])
    } else {
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_is_known_in_whatever_letters() {
        assert_eq!(find("select"), Some(("SELECT", Level::Table)));
        assert_eq!(find("all"), Some((ALL, Level::Table)));
        assert_eq!(find("Execute"), Some(("EXECUTE", Level::Database)));
        assert_eq!(find("SUPER"), Some(("SUPER", Level::Server)));
        for wrong in [
            "",
            "SELECT ON *.* TO x; --",
            "SELECT, INSERT",
            "GRANT OPTION",
        ] {
            assert_eq!(find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn all_privileges_stand_for_the_others() {
        let names =
            |names: &[&str]| set(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["insert", "SELECT", "select"]).len(), 2);
        assert_eq!(names(&["SELECT", "all"]), BTreeSet::from([ALL.to_owned()]));
    }
}
