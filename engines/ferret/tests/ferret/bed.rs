//! What the tests of the driver stand on: programs in one folder, and one life of an instance. It must
//! not know what is tested.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Write},
    os::unix::fs::symlink,
    process::Command,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Plan, Version,
    error::chain,
    protocol::{Change, ConvergeCall, Converged, Toolchain},
};
use doze_driver::conformance::{Engine, World, or_skipped, until};
use serde_json::{Map, Value};

pub(crate) const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-ferret");

/// The stand-in for FerretDB beside a real Postgres with DocumentDB.
#[derive(Debug)]
pub(crate) struct Bed {
    folder: tempfile::TempDir,
    pub(crate) toolchain: Toolchain,
}

impl Bed {
    /// One, or none if there is no DocumentDB; that is told as skipped then.
    pub(crate) fn new() -> io::Result<Vec<Self>> {
        let what = "PostgreSQL 18 with DocumentDB; set DOZE_DOCUMENTDB_BINDIR to its programs";
        let found = or_skipped(what, documentdb().into_iter().collect());
        found.iter().map(|bin| Self::with(bin)).collect()
    }

    fn with(bin: &Utf8Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Utf8PathBuf::try_from(folder.path().join("bin")).map_err(io::Error::other)?;
        std::fs::create_dir(&path)?;
        let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in/ferretdb");
        symlink(stand_in, path.join("ferretdb"))?;
        for name in ["initdb", "postgres", "psql"] {
            symlink(bin.join(name), path.join(name))?;
        }
        Ok(Self {
            toolchain: Toolchain {
                server: path.join("ferretdb"),
                folder: path,
                version: Version::new("2.7.0").map_err(io::Error::other)?,
            },
            folder,
        })
    }

    /// A file with this content, and its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> io::Result<String> {
        let path = self.folder.path().join(name);
        let path = Utf8PathBuf::try_from(path).map_err(io::Error::other)?;
        write(&path, text)?;
        Ok(path.into_string())
    }
}

pub(crate) fn write(path: &Utf8Path, text: &str) -> io::Result<()> {
    File::create(path)?.write_all(text.as_bytes())
}

/// psql with some SQL for the private Postgres of a plan.
pub(crate) fn inside(plan: &Plan, sql: &str) -> Command {
    let members = plan.body.members.iter().flat_map(|member| &member.argv);
    let server = members
        .map(Utf8Path::new)
        .find(|word| word.ends_with("postgres"));
    let psql = server.map(|server| server.with_file_name("psql"));
    let mut psql = Command::new(psql.as_deref().unwrap_or(Utf8Path::new("psql")));
    psql.env_clear().env("PGCLIENTENCODING", "UTF8");
    psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
    psql.args(["-d", "postgres", "-U", "postgres", "-c", sql, "-h"]);
    psql.arg(&plan.paths.run);
    psql
}

/// The programs of a Postgres that has the extension.
fn documentdb() -> Option<Utf8PathBuf> {
    if let Ok(named) = env::var("DOZE_DOCUMENTDB_BINDIR") {
        return Some(named.into());
    }
    // Debian's, or what `tests/setup` put into the target directory.
    let trees = [
        "/",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/../engines/documentdb"),
    ];
    let control = "usr/share/postgresql/18/extension/documentdb.control";
    let mut trees = trees.into_iter().map(Utf8Path::new);
    let found = trees.find(|tree| tree.join(control).is_file());
    found.map(|tree| tree.join("usr/lib/postgresql/18/bin"))
}

/// The table of a block.
pub(crate) fn block(block: &Value) -> Map<String, Value> {
    block.as_object().cloned().unwrap_or_default()
}

/// An instance between a wake and a sleep.
#[derive(Debug)]
pub(crate) struct Life {
    world: World,
    engine: Engine,
    psql: Utf8PathBuf,
}

impl Life {
    /// Provisions an instance and wakes it. It is called as only an instance can be.
    pub(crate) fn begin(bed: &Bed, declared: &Value) -> Result<Self, Box<dyn Error>> {
        let world = World::new(DRIVER, &bed.toolchain)?;
        let plan = world.plan(r#"50% "it's" $HOME \ü"#, &block(declared))?;
        world.provision(&plan)?;
        Ok(Self {
            engine: Engine::boot(&world, &plan)?,
            psql: bed.toolchain.folder.join("psql"),
            world,
        })
    }

    /// Stops it, and wakes it with this block.
    pub(crate) fn sleep_and_wake(self, declared: &Value) -> Result<Self, Box<dyn Error>> {
        let Self {
            world,
            engine,
            psql,
        } = self;
        engine.stop()?;
        let plan = world.plan(r#"50% "it's" $HOME \ü"#, &block(declared))?;
        Ok(Self {
            engine: Engine::boot(&world, &plan)?,
            psql,
            world,
        })
    }

    pub(crate) fn end(self) -> Result<(), Box<dyn Error>> {
        let status = self.engine.stop()?;
        assert!(status.success(), "{status}");
        Ok(())
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.engine.plan()
    }

    pub(crate) fn log(&self) -> String {
        self.engine.log()
    }

    pub(crate) fn converge(&self) -> Result<Vec<Change>, String> {
        let changes = self.world.converge(self.plan(), false);
        changes.map_err(|error| chain(&error))
    }

    pub(crate) fn prune(&self) -> Result<Converged, Box<dyn Error>> {
        let call = ConvergeCall {
            upstream: None,
            plan: self.plan().clone(),
            dry_run: false,
            prune: true,
        };
        Ok(self.world.session()?.converge(call)?)
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(&self.psql);
        psql.env_clear();
        psql.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        psql.arg("-h").arg(&self.plan().paths.run);
        psql
    }

    /// What the private Postgres answers.
    pub(crate) fn sql(&self, sql: &str) -> Result<String, Box<dyn Error>> {
        let output = inside(self.plan(), sql).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Asks until that is the answer.
    pub(crate) fn until_sql(&self, sql: &str, expected: &str) -> Result<(), String> {
        until(Duration::from_secs(30), || match self.sql(sql) {
            Ok(answer) if answer == expected => Ok(()),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Whether a user can log in.
    pub(crate) fn lets_in(&self, user: &str, password: &str) -> Result<bool, Box<dyn Error>> {
        let mut psql = self.psql();
        psql.args(["-U", user, "-c", "SELECT 1"]);
        let output = psql.env("PGPASSWORD", password).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            false if !told.contains("password authentication failed") => Err(told.into()),
            let_in => Ok(let_in),
        }
    }

    /// The documents of a collection as canonical Extended JSON.
    pub(crate) fn documents(
        &self,
        database: &str,
        collection: &str,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let sql = format!(
            "SELECT documentdb_core.bson_to_json_string(document)
             FROM documentdb_api.collection('{database}', '{collection}')"
        );
        Ok(self.sql(&sql)?.lines().map(str::to_owned).collect())
    }

    /// The answer to `listIndexes` as canonical Extended JSON.
    pub(crate) fn indexes(
        &self,
        database: &str,
        collection: &str,
    ) -> Result<String, Box<dyn Error>> {
        self.sql(&format!(
            "SELECT documentdb_core.bson_to_json_string(cursorpage)
             FROM documentdb_api.list_indexes_cursor_first_page('{database}',
                 '{{\"listIndexes\":\"{collection}\"}}')"
        ))
    }
}
