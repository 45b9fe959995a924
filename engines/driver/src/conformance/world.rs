//! One instance in a folder of its own: the directories, the plan, the provisioning. It must not
//! know how an engine is run.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, InstanceName, Plan, ProjectName, Version,
    plan::{Body, FORMAT, OpenTo, Paths},
    protocol::{
        Change, Check, ConvergeCall, Converged, Description, PlanCall, Problem, ProvisionCall,
        Toolchain,
    },
};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{Session, SessionError};
use crate::template;

/// The names of its folders. A folder is called as the user calls the instance, and that may be
/// anything but a slash or a control character.
const DATA: &str = r#"it's "d" %n $HOME \ü"#;
/// For an engine that has no port of its own.
const PORT: u16 = 8080;
const RUN: &str = r#"it's "r" %n $HOME \ü"#;

/// An instance of its own, removed when dropped.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    driver: Utf8PathBuf,
    launcher: Vec<String>,
    /// Absent for an engine without versions.
    toolchain: Option<Toolchain>,
    description: Description,
    endpoints: Vec<Endpoint>,
}

/// Why an instance cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A file or folder.
    #[error("cannot prepare the folder of the instance")]
    Folder(#[from] io::Error),
    /// The driver.
    #[error("the driver does not answer")]
    Session(#[from] SessionError),
    /// The block is wrong.
    #[error("the driver has problems with the block: {0:?}")]
    Problems(Vec<Problem>),
    /// The name is none.
    #[error("the instance has no valid name")]
    Name(#[from] doze_contract::name::NameError),
    /// The address is none.
    #[error("the instance has no valid endpoint")]
    Endpoint(#[from] doze_contract::endpoint::EndpointError),
}

/// The words before a command line that let root run an engine that refuses root: a user
/// namespace in which root is `nobody`, the one user that is always there.
pub fn launcher(description: &Description) -> Vec<String> {
    if !description.refuses_root || !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    [
        "/usr/bin/unshare",
        "-U",
        "--map-user=65534",
        "--map-group=65534",
    ]
    .map(String::from)
    .to_vec()
}

impl World {
    /// An instance for the driver `program` and the engine of `toolchain`, if it has versions, with
    /// nothing in it.
    pub fn new<'a>(
        program: impl AsRef<Utf8Path>,
        toolchain: impl Into<Option<&'a Toolchain>>,
    ) -> Result<Self, WorldError> {
        let folder = tempfile::Builder::new().prefix("doze-").tempdir()?;
        let driver = program.as_ref().to_owned();
        let description = Session::start(&[], &driver)?.describe()?;
        let mut world = Self {
            folder,
            driver,
            launcher: launcher(&description),
            toolchain: toolchain.into().cloned(),
            description,
            endpoints: Vec::new(),
        };
        let port = world.description.default_port.unwrap_or(PORT);
        world.endpoints = vec![
            Endpoint::tcp(([127, 0, 0, 1], port).into())?,
            Endpoint::unix(world.path(&world.description.socket_name))?,
        ];
        make_folder(&world.path(RUN))?;
        Ok(world)
    }

    /// A path inside the folder of the instance.
    pub fn path(&self, name: &str) -> Utf8PathBuf {
        let folder = self.folder.path().to_string_lossy().into_owned();
        Utf8PathBuf::from(folder).join(name)
    }

    /// Uses another toolchain from now on, as after an upgrade.
    pub fn upgrade(&mut self, toolchain: &Toolchain) {
        self.toolchain = Some(toolchain.clone());
    }

    /// A session with the driver.
    pub fn session(&self) -> Result<Session, SessionError> {
        Session::start(&self.launcher, &self.driver)
    }

    /// The call that plans a checked block.
    pub fn plan_call(&self, instance: &str, block: Value) -> Result<PlanCall, WorldError> {
        Ok(PlanCall {
            project: ProjectName::new("shop")?,
            instance: InstanceName::new(instance)?,
            block,
            toolchain: self.toolchain.clone(),
            folder: self.path(""),
            endpoints: self.endpoints.clone(),
            open_to: OpenTo::User,
            data: self.path(DATA),
            run: self.path(RUN),
        })
    }

    /// The addresses that the instance is declared with: one of each kind, if nobody changed that.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Declares the instance with these addresses from now on.
    #[must_use]
    pub fn at(mut self, endpoints: Vec<Endpoint>) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The block, as the driver's `check` answers it.
    pub fn checked(
        &self,
        session: &mut Session,
        instance: &str,
        block: &Map<String, Value>,
    ) -> Result<Value, WorldError> {
        let check = Check {
            instance: InstanceName::new(instance)?,
            version: self.version().cloned(),
            block: block.clone(),
            endpoints: self.endpoints.clone(),
        };
        let checked = session.check(check)?;
        if checked.problems.is_empty() {
            Ok(checked.block)
        } else {
            Err(WorldError::Problems(checked.problems))
        }
    }

    /// Checks `block` and plans the instance.
    pub fn plan(&self, instance: &str, block: &Map<String, Value>) -> Result<Plan, WorldError> {
        self.plan_in(instance, block, self.path(DATA), self.path(RUN))
    }

    fn plan_in(
        &self,
        instance: &str,
        block: &Map<String, Value>,
        data: Utf8PathBuf,
        run: Utf8PathBuf,
    ) -> Result<Plan, WorldError> {
        let mut session = self.session()?;
        let block = self.checked(&mut session, instance, block)?;
        let call = self.plan_call(instance, block)?;
        let call = PlanCall { data, run, ..call };
        let body = session.plan(call.clone())?;
        Ok(self.around(call, body))
    }

    /// Clones the data directory of the stopped instance, and plans another one for it.
    pub fn clone_of(&self, instance: &str, block: &Map<String, Value>) -> Result<Plan, WorldError> {
        let (data, run) = (self.path("clone"), self.path("clone.run"));
        make_folder(&data)?;
        make_folder(&run)?;
        template::clone(&self.path(DATA), &data)?;
        self.plan_in(instance, block, data, run)
    }

    /// Has the driver provision the data directory for `plan`, aside and renamed if it is absent.
    pub fn provision(&self, plan: &Plan) -> Result<(), WorldError> {
        let fresh = !plan.paths.data.try_exists()?;
        let data = if fresh {
            let aside = self.path(&format!("{DATA}.new"));
            if aside.try_exists()? {
                std::fs::remove_dir_all(&aside)?;
            }
            make_folder(&aside)?;
            aside
        } else {
            plan.paths.data.clone()
        };
        let call = ProvisionCall {
            plan: plan.clone(),
            data: data.clone(),
            fresh,
        };
        self.session()?.provision(call)?;
        if fresh {
            std::fs::rename(data, &plan.paths.data)?;
        }
        Ok(())
    }

    /// Has the driver converge the running engine of `plan`, or say what that would take, and gives
    /// the changes.
    pub fn converge(&self, plan: &Plan, dry_run: bool) -> Result<Vec<Change>, WorldError> {
        Ok(self.converged(plan, dry_run, false)?.changes)
    }

    /// Likewise, with what nobody declares any more taken back if `prune` says so, and gives also
    /// what was kept.
    pub fn converged(
        &self,
        plan: &Plan,
        dry_run: bool,
        prune: bool,
    ) -> Result<Converged, WorldError> {
        let call = ConvergeCall {
            plan: plan.clone(),
            upstream: None,
            dry_run,
            prune,
        };
        Ok(self.session()?.converge(call)?)
    }

    /// Empties the `run` folder and writes the plan's files, as before every boot.
    pub fn write_files(&self, plan: &Plan) -> Result<(), WorldError> {
        std::fs::remove_dir_all(&plan.paths.run)?;
        make_folder(&plan.paths.run)?;
        for file in &plan.body.files {
            private_file(&file.path)?.write_all(file.text.as_bytes())?;
        }
        Ok(())
    }

    fn around(&self, call: PlanCall, body: Body) -> Plan {
        Plan {
            format: FORMAT,
            revision: "1".to_owned(),
            project: call.project,
            instance: call.instance,
            engine: self.description.engine.clone(),
            idle_timeout: None,
            endpoints: call.endpoints,
            holds: Vec::new(),
            init_sockets: Vec::new(),
            open_to: OpenTo::User,
            hands_over: true,
            paths: Paths {
                wake_socket: self.path("wake.sock"),
                status_socket: self.path("status.sock"),
                lock: self.path("lock"),
                data: call.data,
                run: call.run,
                log: self.path("log"),
                templates: self.path("templates"),
            },
            driver: self.driver.clone(),
            launcher: self.launcher.clone(),
            body,
        }
    }

    /// What the driver says of its engine.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The version of the toolchain in use, if the engine has versions.
    pub fn version(&self) -> Option<&Version> {
        self.toolchain.as_ref().map(|toolchain| &toolchain.version)
    }
}

pub(super) fn private_file(path: &Utf8Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn make_folder(path: &Utf8Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // The mode above went through the umask.
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}
