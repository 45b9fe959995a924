//! A server that runs for one declaration, and what is asked of it. It must not know what is
//! declared.

use std::{
    error::Error,
    fs,
    process::{Command, Output},
};

use camino::Utf8Path;
use doze_contract::{
    Plan,
    protocol::{Converged, Toolchain},
};
use doze_driver::{
    Driver,
    conformance::{Engine, World, toolchains},
};
use doze_engine_postgres::Postgres;
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-postgres");

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Every version that is here.
pub(crate) fn engines() -> Vec<Toolchain> {
    let found = toolchains(&Postgres::ABOUT);
    assert!(
        !found.is_empty(),
        "no PostgreSQL here: install `postgresql` or set DOZE_POSTGRES_BINDIR"
    );
    found
}

/// A server that was provisioned for one declaration, and booted for it.
pub(crate) struct Booted {
    pub(crate) world: World,
    pub(crate) engine: Engine,
}

impl Booted {
    pub(crate) fn new(toolchain: &Toolchain, block: &Value) -> Result<Self, Box<dyn Error>> {
        let world = World::new(DRIVER, toolchain)?;
        let plan = plan(&world, block)?;
        world.provision(&plan)?;
        let engine = Engine::boot(&world, &plan)?;
        let booted = Self { world, engine };
        // The database and its owner are there; all that the declaration says of it is yet to come.
        let owner = block.get("owner");
        booted.converge(&owner.map_or(json!({}), |owner| json!({ "owner": owner })))?;
        Ok(booted)
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.engine.plan()
    }

    /// The statements that another declaration takes, made.
    pub(crate) fn converge(&self, block: &Value) -> Result<Vec<String>, Box<dyn Error>> {
        self.call(block, false)
    }

    pub(crate) fn call(&self, block: &Value, dry_run: bool) -> Result<Vec<String>, Box<dyn Error>> {
        Ok(statements(&self.converged(block, dry_run, false)?))
    }

    /// Likewise, with all that is told.
    pub(crate) fn converged(
        &self,
        block: &Value,
        dry_run: bool,
        prune: bool,
    ) -> Result<Converged, Box<dyn Error>> {
        let plan = plan(&self.world, block)?;
        Ok(self.world.converged(&plan, dry_run, prune)?)
    }

    /// Takes back what this no longer declares, as it was told before, and gives the statements
    /// and what was kept.
    pub(crate) fn prune(
        &self,
        block: &Value,
    ) -> Result<(Vec<String>, Vec<String>), Box<dyn Error>> {
        let told = self.converged(block, true, true)?;
        let done = self.converged(block, false, true)?;
        assert_eq!(done, told, "the dry run tells the same");
        let again = self.converged(block, false, true)?;
        assert_eq!(statements(&again), [""; 0], "the second run is silent");
        let kept = done.kept.iter();
        let kept = kept.map(|kept| format!("{}: {}", kept.object, kept.reason));
        Ok((statements(&done), kept.collect()))
    }

    /// Runs SQL as psql(1) does, as the superuser.
    pub(crate) fn sql(&self, sql: &str) -> Result<String, Box<dyn Error>> {
        self.sql_in("app", sql)
    }

    pub(crate) fn sql_in(&self, database: &str, sql: &str) -> Result<String, Box<dyn Error>> {
        let mut psql = self.psql(&["-c", sql]);
        let secret = fs::read_to_string(self.plan().paths.data.join("superuser"))?;
        psql.env("PGUSER", "postgres").env("PGPASSWORD", secret);
        answer(psql.env("PGDATABASE", database))
    }

    /// Logs in with a password, and tells who that is, and a setting of the role.
    pub(crate) fn login(&self, role: &str, password: &str) -> Result<String, Box<dyn Error>> {
        const SQL: &str = "SELECT current_user, current_setting('my.text', true)";
        let mut psql = self.psql(&["-w", "-c", SQL]);
        psql.env("PGUSER", role).env("PGPASSWORD", password);
        answer(psql.env("PGDATABASE", "app"))
    }

    pub(crate) fn psql(&self, words: &[&str]) -> Command {
        psql(self.plan(), words)
    }
}

/// psql(1) of the server, if it has one, at its own socket.
pub(crate) fn psql(plan: &Plan, words: &[&str]) -> Command {
    let server = plan.body.members.first();
    let server = server.and_then(|member| member.argv.first());
    let beside = server.map(|server| Utf8Path::new(server).with_file_name("psql"));
    let beside = beside.filter(|beside| beside.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| "psql".into()));
    command
        .env_clear()
        .env("PGHOST", &plan.paths.run)
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1"])
        .args(words);
    command
}

/// What was done.
pub(crate) fn statements(converged: &Converged) -> Vec<String> {
    let changes = converged.changes.iter();
    changes.map(|it| it.statement.clone()).collect()
}

pub(crate) fn answer(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output()?;
    if !status.success() {
        return Err(String::from_utf8(stderr)?.into());
    }
    // But for the newline of psql(1): a name may end with a space.
    let told = String::from_utf8(stdout)?;
    Ok(told.strip_suffix('\n').unwrap_or(&told).to_owned())
}

pub(crate) fn block(block: &Value) -> Map<String, Value> {
    block.as_object().cloned().unwrap_or_default()
}

pub(crate) fn plan(world: &World, declared: &Value) -> Result<Plan, Box<dyn Error>> {
    Ok(world.plan("app", &block(declared))?)
}
