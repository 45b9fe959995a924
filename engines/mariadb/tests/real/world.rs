//! A server that was provisioned for one declaration, and booted for it, with its client. It must
//! not know what a test expects.

use std::{
    error::Error,
    process::{Command, Output},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Plan,
    protocol::{ConvergeCall, Converged, Toolchain},
};
use doze_driver::{
    Driver,
    conformance::{Engine, World, toolchains},
};
use doze_engine_mariadb::MariaDb;
use serde_json::{Map, Value};

pub(crate) const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-mariadb");

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

pub(crate) fn engines() -> Vec<Toolchain> {
    let found = toolchains(&MariaDb::ABOUT);
    assert!(
        !found.is_empty(),
        "no MariaDB here: install `mariadb-server-core` or set DOZE_MARIADB_BINDIR"
    );
    found
}

pub(crate) fn block(block: &Value) -> Map<String, Value> {
    block.as_object().cloned().unwrap_or_default()
}

pub(crate) struct Booted {
    pub(crate) world: World,
    pub(crate) engine: Engine,
}

impl Booted {
    pub(crate) fn new(toolchain: &Toolchain, declared: &Value) -> Result<Self, Box<dyn Error>> {
        let world = World::new(DRIVER, toolchain)?;
        let plan = plan(&world, declared)?;
        world.provision(&plan)?;
        let engine = Engine::boot(&world, &plan)?;
        Ok(Self { world, engine })
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.engine.plan()
    }

    /// Stops it in good order and boots it again.
    pub(crate) fn again(self) -> Result<Self, Box<dyn Error>> {
        let Self { world, engine } = self;
        let plan = engine.plan().clone();
        let status = engine.stop()?;
        if !status.success() {
            return Err(format!("it stopped with {status}").into());
        }
        let engine = Engine::boot(&world, &plan)?;
        Ok(Self { world, engine })
    }

    /// The statements that a declaration takes, made.
    pub(crate) fn converge(&self, declared: &Value) -> Result<Vec<String>, Box<dyn Error>> {
        Ok(statements(self.call(declared, false, false)?))
    }

    pub(crate) fn call(
        &self,
        declared: &Value,
        dry_run: bool,
        prune: bool,
    ) -> Result<Converged, Box<dyn Error>> {
        let call = ConvergeCall {
            upstream: None,
            plan: plan(&self.world, declared)?,
            dry_run,
            prune,
        };
        Ok(self.world.session()?.converge(call)?)
    }

    /// Runs SQL as mariadb(1) does, as the driver's own user.
    pub(crate) fn sql(&self, sql: &str) -> Result<String, Box<dyn Error>> {
        let path = self.plan().paths.data.join("superuser-password");
        let password = std::fs::read_to_string(path)?;
        self.sql_as("doze", &password, "mysql", sql)
    }

    /// Likewise, as another user.
    pub(crate) fn sql_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
        sql: &str,
    ) -> Result<String, Box<dyn Error>> {
        answer(
            client(self.plan())
                .arg(format!(
                    "--socket={}",
                    self.plan().paths.run.join("mariadb.sock")
                ))
                .arg(format!("--user={user}"))
                .arg(format!("--database={database}"))
                .arg(format!("--execute={sql}"))
                .env("MYSQL_PWD", password),
        )
    }
}

pub(crate) fn statements(converged: Converged) -> Vec<String> {
    let changes = converged.changes.into_iter();
    changes.map(|change| change.statement).collect()
}

pub(crate) fn plan(world: &World, declared: &Value) -> Result<Plan, Box<dyn Error>> {
    Ok(world.plan("app", &block(declared))?)
}

/// The client that stands beside the server of a plan, or where programs are that everybody runs.
pub(crate) fn client(plan: &Plan) -> Command {
    let words = plan.body.members.iter().flat_map(|member| &member.argv);
    let server = words
        .map(Utf8PathBuf::from)
        .find(|word| word.ends_with("mariadbd"));
    let beside = server.map(|server| server.with_file_name("mariadb"));
    let program = beside.filter(|beside| beside.is_file());
    let mut command = Command::new(program.as_deref().unwrap_or(Utf8Path::new("mariadb")));
    let flags = [
        "--no-defaults",
        "--skip-ssl",
        "--batch",
        "--skip-column-names",
    ];
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .args(flags);
    command.arg("--default-character-set=utf8mb4");
    command
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
    let told = String::from_utf8(stdout)?;
    Ok(told.strip_suffix('\n').unwrap_or(&told).to_owned())
}
