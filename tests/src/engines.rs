//! The real engines of this machine, and their clients.
//!
//! Must not know: how doze finds them; this is what the tests hand to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs;

/// An engine's installed programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The folder of its programs.
    pub bindir: PathBuf,
    /// The version that the server reports, such as `15.18`.
    pub version: String,
    /// Its command line client: `psql`, `mariadb`, `valkey-cli`, `redis-cli` or `temporal`.
    pub client: PathBuf,
}

impl Engine {
    /// The first number of the version.
    pub fn major(&self) -> u32 {
        let digits = self.version.split('.').next().unwrap_or_default();
        digits
            .parse()
            .unwrap_or_else(|_| panic!("no major in {:?}", self.version))
    }
}

/// Postgres: `DOZE_POSTGRES_BINDIR`, else the newest that the system's packages installed.
pub fn postgres() -> Option<Engine> {
    if let Some(asked) = asked("DOZE_POSTGRES_BINDIR", "postgres", "psql") {
        return Some(asked);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    versions
        .filter_map(Result::ok)
        .filter_map(|version| engine(&version.path().join("bin"), "postgres", "psql"))
        .max_by_key(Engine::major)
}

/// Valkey: `DOZE_VALKEY_BINDIR` if it holds one, else the system's, else the one that
/// `tests/setup` put into the target directory.
pub fn valkey() -> Option<Engine> {
    let (server, client) = ("valkey-server", "valkey-cli");
    asked("DOZE_VALKEY_BINDIR", server, client)
        .or_else(|| engine(Path::new("/usr/bin"), server, client))
        .or_else(|| engine(&provided("valkey"), server, client))
}

/// Redis: `DOZE_VALKEY_BINDIR` if it holds one, else the system's.
pub fn redis() -> Option<Engine> {
    let (server, client) = ("redis-server", "redis-cli");
    asked("DOZE_VALKEY_BINDIR", server, client)
        .or_else(|| engine(Path::new("/usr/bin"), server, client))
}

/// Temporal, whose one program is its client as well: `DOZE_TEMPORAL_BINDIR` if it holds one, else
/// the one that `tests/setup` put into the target directory.
pub fn temporal() -> Option<Engine> {
    let name = "temporal";
    asked("DOZE_TEMPORAL_BINDIR", name, name).or_else(|| engine(&provided(name), name, name))
}

/// MariaDB: `DOZE_MARIADB_BINDIR` if it holds one, else the system's, whose server is not for users.
pub fn mariadb() -> Option<Engine> {
    let (server, client) = ("mariadbd", "mariadb");
    let apart = Path::new("/usr/sbin");
    asked("DOZE_MARIADB_BINDIR", server, client)
        .or_else(|| of_server(apart, server, Path::new("/usr/bin").join(client)))
        .or_else(|| engine(Path::new("/usr/bin"), server, client))
}

/// The programs of a Postgres with `DocumentDB`: those of `DOZE_DOCUMENTDB_BINDIR`, else Debian's, else
/// those that `tests/setup` put into the target directory.
pub fn documentdb() -> Option<PathBuf> {
    let named = std::env::var_os("DOZE_DOCUMENTDB_BINDIR").map(PathBuf::from);
    let trees = [
        PathBuf::from("/"),
        programs::target().join("engines/documentdb"),
    ];
    let has_it = |tree: &PathBuf| {
        let control = "usr/share/postgresql/18/extension/documentdb.control";
        tree.join(control).is_file()
    };
    let found = trees.into_iter().find(has_it);
    named.or(found.map(|tree| tree.join("usr/lib/postgresql/18/bin")))
}

/// Kvrocks, of which there is no package: `DOZE_KVROCKS_BINDIR`.
pub fn kvrocks() -> Option<Engine> {
    asked("DOZE_KVROCKS_BINDIR", "kvrocks", "kvrocks")
}

/// `FerretDB`, of which there is no package: `DOZE_FERRET_BINDIR`, with the Postgres that it needs.
pub fn ferret() -> Option<Engine> {
    asked("DOZE_FERRET_BINDIR", "ferretdb", "ferretdb")
}

fn asked(variable: &str, server: &str, client: &str) -> Option<Engine> {
    engine(Path::new(&std::env::var_os(variable)?), server, client)
}

fn provided(name: &str) -> PathBuf {
    programs::target().join("engines").join(name).join("bin")
}

/// The engine in a folder, if its server runs and its client is there.
fn engine(bindir: &Path, server: &str, client: &str) -> Option<Engine> {
    of_server(bindir, server, bindir.join(client))
}

/// Likewise, with its client elsewhere.
fn of_server(bindir: &Path, server: &str, client: PathBuf) -> Option<Engine> {
    if !client.is_file() {
        return None;
    }
    let asked = Command::new(bindir.join(server))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let version = version(&String::from_utf8_lossy(&asked.stdout))?;
    Some(Engine {
        bindir: bindir.to_path_buf(),
        version,
        client,
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`, `Valkey server v=8.1.8 sha=…`: the first word that
/// starts with a number.
fn version(text: &str) -> Option<String> {
    text.split_whitespace()
        .map(|word| word.trim_start_matches("v="))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
}

/// systemd-socket-proxyd(8), which others put in front of an engine; where Debian and others have
/// it.
pub fn socket_proxyd() -> Option<&'static str> {
    let places = [
        "/lib/systemd/systemd-socket-proxyd",
        "/usr/lib/systemd/systemd-socket-proxyd",
    ];
    places.into_iter().find(|place| Path::new(place).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_each_server_says() {
        let said = |text| version(text).unwrap_or_default();
        assert_eq!(
            said("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            "15.18"
        );
        assert_eq!(
            said("Valkey server v=8.1.8 sha=00000000:0 malloc=libc bits=64"),
            "8.1.8"
        );
        assert_eq!(said("Redis server v=7.0.15 sha=00000000:0"), "7.0.15");
        assert_eq!(said(""), "");
    }
}
