//! The engines that benchmark `wake` measures, as far as this machine has them: how each of them is
//! declared. Must not know: rounds and results.

use std::fmt::Write as _;

use doze_tests::engines::{self, Engine};
use doze_tests::world::World;

/// An engine of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As `doze.toml` calls it.
    pub(crate) kind: &'static str,
    /// What is special about this one.
    pub(crate) how: &'static str,
    /// The name of its instance.
    pub(crate) name: &'static str,
    /// What else stands in its block.
    lines: &'static str,
    /// Where doze is told that the programs are.
    pub(crate) variable: &'static str,
    pub(crate) engine: Engine,
}

/// How to find an engine.
type Find = fn() -> Option<Engine>;

/// Everything that there is, of these kinds, or of all if none is named. What is not on this
/// machine is said.
pub(crate) fn entries(kinds: &[String]) -> Vec<Entry> {
    const OPEN: &str = "open_to = \"all\"\n";
    let table: [(_, _, _, _, _, Find); 7] = [
        (
            "postgres",
            "",
            "app",
            "owner = \"app\"\n",
            "DOZE_POSTGRES_BINDIR",
            engines::postgres,
        ),
        (
            "valkey",
            "",
            "cache",
            "",
            "DOZE_VALKEY_BINDIR",
            engines::valkey,
        ),
        (
            "mariadb",
            "",
            "shop",
            "",
            "DOZE_MARIADB_BINDIR",
            engines::mariadb,
        ),
        (
            "mariadb",
            ", open to all",
            "open",
            OPEN,
            "DOZE_MARIADB_BINDIR",
            engines::mariadb,
        ),
        (
            "temporal",
            "",
            "flows",
            "",
            "DOZE_TEMPORAL_BINDIR",
            engines::temporal,
        ),
        (
            "kvrocks",
            "",
            "store",
            "",
            "DOZE_KVROCKS_BINDIR",
            engines::kvrocks,
        ),
        (
            "ferret",
            "",
            "docs",
            "",
            "DOZE_FERRET_BINDIR",
            engines::ferret,
        ),
    ];
    let mut found = Vec::new();
    for (kind, how, name, lines, variable, find) in table {
        if !kinds.is_empty() && !kinds.iter().any(|asked| asked == kind) {
            continue;
        }
        match find() {
            Some(engine) => found.push(Entry {
                kind,
                how,
                name,
                lines,
                variable,
                engine,
            }),
            None => println!("{kind} is not on this machine (see {variable}) and left out"),
        }
    }
    found
}

impl Entry {
    /// The numbers of its version, without what a distribution adds.
    pub(crate) fn version(&self) -> &str {
        let version = &self.engine.version;
        version.split('-').next().unwrap_or(version)
    }

    /// Adds an instance of it to a `doze.toml`. Returns its port.
    pub(crate) fn declare(&self, toml: &mut String, world: &World, instance: &str) -> u16 {
        let port = world.port();
        let mut numbers = self.engine.version.split('.');
        let major = numbers.next().unwrap_or_default();
        let version = match self.kind {
            "mariadb" => format!("\"{major}.{}\"", numbers.next().unwrap_or_default()),
            _ => major.to_owned(),
        };
        write!(
            toml,
            "\n[{}.{instance}]\nversion = {version}\nport = {port}\n{}",
            self.kind, self.lines
        )
        .expect("memory");
        port
    }
}
