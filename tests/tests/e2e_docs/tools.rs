//! `docs/guides/tools.md`: each snippet, read by the tool that it is for.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doze_tests::programs::cargo;
use doze_tests::project::succeed;
use doze_tests::{User, World, engines, needed, process, wait_until};

use crate::markdown::Page;

const BOUND: Duration = Duration::from_secs(30);

/// What every snippet leads to.
const ASK: &str = "psql \"$DATABASE_URL\" -tAc 'select 1'";

/// The reader's project, with the files of the page in its folder.
struct Shop {
    listener: Option<Child>,
    world: World,
    page: Page,
    postgres: PathBuf,
}

impl Shop {
    fn of(user: User) -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let world = World::of(user);
        let shop = Self {
            listener: None,
            postgres: world.bindir(&postgres),
            page: Page::read("docs/guides/tools.md"),
            world,
        };
        let (major, port) = (postgres.major(), shop.world.port());
        let toml = format!("name = \"shop\"\n[postgres.app]\nversion = {major}\nport = {port}\n");
        shop.world.write("home/shop/doze.toml", &toml);
        Some(shop)
    }

    /// The same, up.
    fn up(user: User) -> Option<Self> {
        let mut shop = Self::of(user)?;
        let mut listener = shop.command("doze");
        let mut listener = listener
            .args(["up", "--foreground"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("doze starts");
        let lines = BufReader::new(listener.stdout.take().expect("a pipe")).lines();
        shop.listener = Some(listener);
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.contains("Ctrl-C")), "it is up");
        Some(shop)
    }

    /// A program in the folder of the project.
    fn command(&self, program: &str) -> Command {
        self.world.programs();
        let mut command = self.world.command(program);
        command
            .current_dir(self.world.home().join("shop"))
            .env("DOZE_POSTGRES_BINDIR", &self.postgres)
            .env("npm_config_update_notifier", "false");
        command
    }

    /// Has this shell do something.
    #[track_caller]
    fn sh(&self, shell: &str, script: &str) -> String {
        succeed(self.command(shell).args(["-c", script]))
    }

    /// Writes a file of the page, and returns its text.
    #[track_caller]
    fn file(&self, name: &str) -> String {
        let blocks = self.page.blocks();
        let block = blocks.iter().find(|block| block.file() == Some(name));
        let text = block.expect("the page has it").text();
        self.world.write(Path::new("home/shop").join(name), &text);
        text
    }

    fn down(mut self) {
        self.sh("sh", "doze down");
        if let Some(mut listener) = self.listener.take() {
            assert!(listener.wait().expect("our child").success());
        }
    }
}

/// Whether a program is where every user can run it.
fn is_there(program: &str) -> bool {
    needed(program, Path::new(program).is_file().then_some(())).is_some()
}

#[test]
fn shells_take_the_lines() {
    let Some(shop) = Shop::of(User::Unprivileged) else {
        return;
    };
    let blocks = shop.page.blocks();
    for (shell, language) in [
        ("/bin/sh", "sh"),
        ("/bin/bash", "sh"),
        ("/usr/bin/zsh", "sh"),
        ("/usr/bin/fish", "fish"),
    ] {
        let mut of = blocks.iter().filter(|block| block.is(language));
        let block = of.find(|block| block.file().is_none());
        let text = block.expect("the page has it").text();
        if is_there(shell) {
            let said = shop.sh(shell, &format!("{text}printf %s \"$DATABASE_URL\""));
            assert_eq!(said, shop.sh("sh", "doze url app").trim_end(), "{shell}");
        }
    }
}

#[test]
fn direnv_loads_the_variables() {
    if !is_there("/usr/bin/direnv") {
        return;
    }
    let Some(shop) = Shop::up(User::Unprivileged) else {
        return;
    };
    shop.file(".envrc");
    shop.sh("sh", "direnv allow");
    assert_eq!(
        shop.sh(
            "sh",
            &format!("direnv exec . sh -c '{}'", ASK.replace('\'', "'\\''"))
        ),
        "1\n"
    );
    shop.down();
}

/// mise itself is in no package; what it is told to read is read by the shell that it uses.
#[test]
fn mise_sources_the_variables() {
    let Some(shop) = Shop::up(User::Unprivileged) else {
        return;
    };
    let config: toml::Table = shop.file("mise.toml").parse().expect("TOML");
    let sourced = config.get("env").and_then(|env| env.get("_"));
    let sourced = sourced.and_then(|special| special.get("source"));
    let script = sourced.and_then(toml::Value::as_str).expect("a script");
    shop.file(script);
    assert_eq!(shop.sh("bash", &format!(". ./{script}; {ASK}")), "1\n");
    shop.down();
}

#[test]
fn cargo_runs_tests_with_the_variables() {
    // Its toolchain is in the home of whoever runs the tests.
    let Some(shop) = Shop::up(User::Current) else {
        return;
    };
    shop.file(".cargo/config.toml");
    shop.file("tests/database.rs");
    let manifest = "[package]\nname = \"shop\"\nedition = \"2024\"\n[workspace]\n";
    shop.world.write("home/shop/Cargo.toml", manifest);
    shop.world.write("home/shop/src/lib.rs", "");
    let mut test = shop.command(&cargo().get_program().to_string_lossy());
    let mut path = shop.world.programs().display().to_string();
    for folder in [env!("CARGO"), "/usr/bin/psql", "/bin/sh"] {
        let folder = Path::new(folder).parent().expect("a folder");
        write!(path, ":{}", folder.display()).expect("memory");
    }
    let said = succeed(test.args(["test", "--test", "database"]).env("PATH", path));
    assert!(said.contains("the_database_answers ... ok"), "{said}");
    shop.down();
}

#[test]
fn pytest_has_the_variables() {
    let there = Command::new("/usr/bin/python3")
        .args(["-c", "import pytest"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if needed("a pytest of the system", there.then_some(())).is_none() {
        return;
    }
    let Some(shop) = Shop::up(User::Unprivileged) else {
        return;
    };
    shop.file("conftest.py");
    shop.file("test_database.py");
    let said = shop.sh("sh", "/usr/bin/python3 -m pytest -p no:cacheprovider");
    assert!(said.contains("1 passed"), "{said}");
    shop.down();
}

#[test]
fn npm_runs_scripts_with_the_variables() {
    if !is_there("/usr/bin/npm") {
        return;
    }
    let Some(shop) = Shop::up(User::Unprivileged) else {
        return;
    };
    shop.file("package.json");
    shop.file("database.test.js");
    let said = shop.sh("sh", "npm test");
    assert!(said.contains("the database answers"), "{said}");
    assert!(said.contains("pass 1"), "{said}");
    shop.down();
}

/// The steps, by the shell of a runner and one after the other.
#[test]
fn the_steps_of_a_workflow_do_what_they_say() {
    let Some(shop) = Shop::of(User::Unprivileged) else {
        return;
    };
    let text = shop.file(".github/workflows/test.yml");
    let steps = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- run: "));
    let said: Vec<String> = steps
        .map(|step| succeed(shop.command("bash").args(["-e", "-c", step])))
        .collect();
    assert_eq!(said, ["Ctrl-C stops everything\n", "1\n", ""]);
    // `doze down` waits for all that the listener had to do, and not for its last breath.
    wait_until("the listener to leave", BOUND, || {
        match shop.world.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(process::list(&left)),
        }
    });
}
