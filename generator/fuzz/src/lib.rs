//! The world of the targets: the real drivers, and engines that have nothing but a version.
//!
//! Both are this same program under another name, so that nothing else has to be built or
//! installed.

use std::{
    env, fs,
    os::unix::fs::symlink,
    process::{self, ExitCode},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze::{
    compile::{self, Host},
    config::{ConfigError, File, Inputs},
    diagnostic::{self, Diagnostic, Source, Sources},
    dirs::{Dirs, Init},
    drivers::{DriverError, Drivers, PREFIX},
    import::{Imported, Surroundings},
    supply::Supplied,
    toolchain::Toolchains,
};
use doze_contract::{
    EngineName, Version,
    protocol::{Check, Description, Problem},
};
use doze_engine_postgres::Postgres;
use doze_engine_valkey::Valkey;
use doze_units::Profile;

/// The most instances that are planned. More take longer, and tell nothing new.
const MOST: usize = 50;

/// Does what a program is called for that is no fuzzer. To be called first.
#[expect(
    clippy::disallowed_methods,
    reason = "the main function is libFuzzer's"
)]
pub fn be_another_program() {
    let mut words = env::args();
    let path = Utf8PathBuf::from(words.next().unwrap_or_default());
    if words.next().as_deref() == Some("--version") {
        // An engine stands in a folder that is named after its version.
        println!("{}.0", path.parent().and_then(Utf8Path::file_name).unwrap());
        process::exit(0);
    }
    let name = path.file_name().unwrap_or_default();
    let status = match name.strip_prefix(PREFIX) {
        Some("postgres") => doze_driver::run(&Postgres),
        Some("valkey") => doze_driver::run(&Valkey),
        _ => return,
    };
    process::exit(i32::from(status != ExitCode::SUCCESS));
}

/// Two drivers, and the newest engine of each.
pub struct World {
    dirs: Dirs,
    drivers: Drivers,
    toolchains: Toolchains,
    host: Host,
}

impl World {
    /// Sets it up in a folder that `tests/fuzz` removes.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let folder = Utf8PathBuf::from_path_buf(folder).unwrap();
        let here = env::current_exe().unwrap();
        for engine in ["postgres", "valkey"] {
            symlink(&here, folder.join(format!("{PREFIX}{engine}"))).unwrap();
        }
        let drivers = Drivers::find(&folder).unwrap();
        let mut supplied = Supplied::default();
        for engine in drivers.engines() {
            let about = drivers.describe(engine).unwrap().unwrap();
            let newest = about.majors.last().unwrap();
            let programs = folder.join(engine.as_str()).join(newest.to_string());
            fs::create_dir_all(&programs).unwrap();
            let search = &about.toolchain;
            for name in search.needs.iter().chain(search.servers.first()) {
                // A server may be needed as well.
                drop(symlink(&here, programs.join(name)));
            }
            let key = (engine.clone(), newest.clone());
            supplied.engines.insert(key, Ok(programs));
        }
        let dirs = Dirs {
            init: Init::Systemd,
            home: "/home/x/.local/share/doze".into(),
            config: "/home/x/.config/doze".into(),
            units: "/home/x/.config/systemd/user".into(),
            runtime: "/run/user/1000/doze".into(),
            programs: folder,
            here: "/home/x".into(),
        };
        let host = Host {
            dirs: dirs.clone(),
            is_root: false,
            unshare: None,
            profile: Profile::Seccomp,
        };
        Self {
            dirs,
            drivers,
            toolchains: supplied.into(),
            host,
        }
    }

    /// All that `doze generate` does with a text: what resolves compiles, and what does not says
    /// why.
    pub fn generate(&self, text: &str) {
        let source = Source {
            path: "/home/x/shop/doze.toml".into(),
            text: text.to_owned(),
        };
        let inputs = Inputs {
            isolated: true,
            ..Inputs::default()
        };
        let file = match File::parse(&source, &inputs) {
            Ok(file) => file,
            Err(error) => return show(&error),
        };
        if file.blocks.len() > MOST {
            return;
        }
        let project = match file.resolve(&self.dirs, &self.drivers, &self.toolchains) {
            Ok(project) => project,
            Err(error) => return show(&error),
        };
        let plans = compile::plans(&project, &self.host, &self.drivers).unwrap();
        compile::compile(&project, &plans, String::new(), &self.host).unwrap();
    }

    /// What an import says can be read, whatever else is wrong with it.
    pub fn imported(&self, imported: &Imported) {
        let text = &imported.toml;
        assert!(
            doze::config::toml_tree::parse(text, 0).1.is_empty(),
            "{text}"
        );
        self.generate(text);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Surroundings for World {
    fn describe(&self, engine: &EngineName) -> Result<Option<Description>, DriverError> {
        self.drivers.describe(engine)
    }

    fn installed(&self, about: &Description) -> Vec<Version> {
        about.majors.last().cloned().into_iter().collect()
    }

    fn check(&self, engine: &EngineName, check: Check) -> Result<Vec<Problem>, DriverError> {
        Ok(self.drivers.check(engine, check)?.problems)
    }

    fn file(&self, _: &str) -> Option<String> {
        None
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn is_free(&self, _: u16) -> bool {
        true
    }
}

/// Shows what is wrong in both ways.
fn show(error: &ConfigError) {
    match error {
        ConfigError::Wrong { sources, problems } => render(sources, problems),
        other => panic!("{}", doze_contract::error::chain(other)),
    }
}

/// Every problem has a place, in the picture and in the data.
pub fn render(sources: &Sources, problems: &[Diagnostic]) {
    assert!(!problems.is_empty());
    let picture = diagnostic::render(sources, problems, false);
    let json = diagnostic::to_json(sources, problems);
    for problem in json.as_array().unwrap() {
        assert!(problem["at"].is_object(), "{problem}");
    }
    let first = json[0]["code"].as_str().unwrap();
    assert!(picture.starts_with(&format!("error[{first}]")), "{picture}");
}
