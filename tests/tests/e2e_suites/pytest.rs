//! Suites that pytest runs. It must not know what they are about.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use doze_tests::project::output;
use doze_tests::{World, needed, programs};

use crate::results::Results;

/// Where Debian has it; what was fetched is for this one.
const PYTHON: &str = "/usr/bin/python3";

const OUTCOMES: &str = include_str!("../../suites/outcomes.py");

/// A folder that `tests/setup` fetched, as the user of the world can read it; `None` after saying
/// that it is not there.
pub(crate) fn fetched(world: &World, name: &str) -> Option<PathBuf> {
    let folder = programs::target().join("engines").join(name);
    needed(name, folder.is_dir().then_some(()))?;
    Some(world.readable(&folder))
}

/// The tests of a Python package, and the packages that they need.
#[derive(Debug)]
pub(crate) struct Pytest {
    packages: PathBuf,
    source: PathBuf,
}

impl Pytest {
    /// The source of that name, fetched by `tests/setup`.
    pub(crate) fn of(world: &World, name: &str) -> Option<Self> {
        Some(Self {
            packages: fetched(world, "suites")?,
            source: fetched(world, name)?,
        })
    }

    /// What became of the tests that the words select. All that was said is in `NAME.log` in the
    /// world.
    pub(crate) fn run(&self, world: &World, name: &str, words: &[&str]) -> Results {
        world.write("home/plugins/outcomes.py", OUTCOMES);
        let outcomes = world.home().join(format!("{name}.outcomes"));
        let mut path = self.packages.clone().into_os_string();
        path.push(":");
        path.push(world.home().join("plugins"));
        let mut pytest: Command = world.command(PYTHON);
        pytest
            .args(["-m", "pytest", "-p", "outcomes", "-p", "no:cacheprovider"])
            .args(["-q", "--color=no", "--tb=short"])
            .args(words)
            .current_dir(&self.source)
            .env("OUTCOMES", &outcomes)
            .env("PYTHONPATH", path)
            .env("PYTHONPYCACHEPREFIX", world.dir().join("tmp/pycache"));
        let output = output(&mut pytest);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        world.write(format!("{name}.log"), &said);
        let text = fs::read_to_string(&outcomes);
        Results::of_pytest(&text.unwrap_or_else(|error| panic!("{error}: {said}")))
    }
}
