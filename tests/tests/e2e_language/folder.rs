//! A project that is compiled and never brought up.
//!
//! Must not know: what a test expects of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use doze_contract::Plan;
use doze_contract::plan::Condition;
use doze_tests::World;
use doze_tests::project::{output, succeed};
use serde_json::Value;

/// A folder with files of a project, on a machine that has a Postgres 17 and a Valkey 8.
pub(crate) struct Folder {
    world: World,
    path: PathBuf,
}

impl Folder {
    /// With this `doze.toml`.
    pub(crate) fn of(toml: &str) -> Self {
        let folder = Self::empty();
        folder.write("doze.toml", toml);
        folder
    }

    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        let world = World::new();
        // Programs that only say a version: a file is right or wrong whatever is installed.
        for (program, says) in [
            ("postgres", "postgres (PostgreSQL) 17.4"),
            ("initdb", "initdb (PostgreSQL) 17.4"),
            ("valkey-server", "Valkey server v=8.1.8 sha=0 malloc=libc"),
        ] {
            let script = format!("#!/bin/sh\necho '{says}'\n");
            let path = world.write(format!("engines/{program}"), &script);
            world.run(&["chmod", "755", path.to_str().expect("UTF-8")]);
        }
        let path = world.home().join("shop");
        world.write("home/shop/.keep", "");
        Self { world, path }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.world.write(format!("home/shop/{name}"), text);
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// A doze command in it.
    pub(crate) fn doze(&self, arguments: &[&str]) -> Command {
        let engines = self.world.dir().join("engines");
        let mut command = self.world.command("doze");
        command
            .args(arguments)
            .current_dir(&self.path)
            .env("DOZE_POSTGRES_BINDIR", &engines)
            .env("DOZE_VALKEY_BINDIR", &engines);
        command
    }

    /// What the project compiles to.
    #[track_caller]
    pub(crate) fn compiled(&self) -> Compiled {
        self.compiled_by(&mut self.doze(&[]))
    }

    /// What it compiles to by a command that so far has nothing but options.
    #[track_caller]
    pub(crate) fn compiled_by(&self, command: &mut Command) -> Compiled {
        let out = self.path.join("out");
        succeed(command.arg("generate").arg("--out").arg(&out));
        let plans = fs::read_dir(out.join("plans")).expect("there are plans");
        let plans = plans
            .map(|plan| plan.expect("it can be listed").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .map(|path| {
                let text = fs::read(path).expect("a plan can be read");
                let plan: Plan = serde_json::from_slice(&text).expect("a plan is JSON");
                (plan.instance.to_string(), plan)
            })
            .collect();
        fs::remove_dir_all(out).expect("our folder");
        Compiled(plans)
    }

    /// All that is wrong with it.
    #[track_caller]
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems_by(&mut self.doze(&[]))
    }

    /// All that is wrong with it for a command that so far has nothing but options: `CODE
    /// FILE:LINE message`, with each further place and the way out in brackets.
    #[track_caller]
    pub(crate) fn problems_by(&self, command: &mut Command) -> Vec<String> {
        let wrong = output(command.args(["--format", "json", "generate", "--check"]));
        let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        assert!(wrong.stdout.is_empty());
        let said: Value = serde_json::from_str(&said).expect("one line of JSON");
        let place = |at: &Value| {
            let file = text(at, "/file");
            let file = file.strip_prefix(&format!("{}/", self.path()));
            let line = part(at, "/start/line");
            format!("{}:{line}", file.unwrap_or_else(|| text(at, "/file")))
        };
        let one = |problem: &Value| {
            let (code, message) = (text(problem, "/code"), text(problem, "/message"));
            let told = format!("{code} {} {message}", place(part(problem, "/at")));
            let see = part(problem, "/see").as_array().into_iter().flatten();
            let see: String = see.map(|it| [" (", &place(it), ")"].concat()).collect();
            let hint = part(problem, "/hint").as_str();
            let hint: String = hint.map(|it| [" [", it, "]"].concat()).unwrap_or_default();
            told + &see + &hint
        };
        let problems = part(&said, "/diagnostics").as_array();
        problems.into_iter().flatten().map(one).collect()
    }
}

fn part<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    let found = value.pointer(pointer);
    found.unwrap_or_else(|| panic!("{value} has no {pointer}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    part(value, pointer).as_str().expect("a text")
}

/// The plans of a project by the names of its instances.
pub(crate) struct Compiled(BTreeMap<String, Plan>);

impl Compiled {
    /// The names of the instances.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    #[track_caller]
    pub(crate) fn plan(&self, name: &str) -> &Plan {
        let plan = self.0.get(name);
        plan.unwrap_or_else(|| panic!("{name} is none of {:?}", self.names()))
    }

    /// The endpoints of an instance.
    #[track_caller]
    pub(crate) fn endpoints(&self, name: &str) -> Vec<String> {
        let endpoints = self.plan(name).endpoints.iter();
        endpoints.map(ToString::to_string).collect()
    }

    /// How long an instance stays awake, in seconds.
    #[track_caller]
    pub(crate) fn idle_seconds(&self, name: &str) -> Option<u64> {
        self.plan(name).idle_timeout.map(|it| it.as_secs())
    }

    /// What an instance holds, and in which condition.
    #[track_caller]
    pub(crate) fn holds(&self, name: &str) -> Vec<(String, Condition)> {
        let holds = self.plan(name).holds.iter();
        holds
            .map(|hold| (hold.instance.to_string(), hold.condition))
            .collect()
    }

    /// Whether this text is in one of the files that are written for an instance.
    #[track_caller]
    pub(crate) fn configures(&self, name: &str, text: &str) -> bool {
        let files = serde_json::to_string(&self.plan(name).body.files).expect("JSON");
        files.contains(text)
    }
}
