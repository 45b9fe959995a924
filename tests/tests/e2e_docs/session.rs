//! Guides, done as they say: each console block of a page, in order, in one world.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use doze_tests::programs::workspace;
use doze_tests::project::succeed;
use doze_tests::skip::skip;
use doze_tests::{World, engines, needed, wait_until};

use crate::markdown::{Block, Page, pages};
use crate::wildcard::fits;

/// How long one command may take: the slowest creates a database on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// The home of a page's reader.
const HOME: &str = "/home/you";

/// The line that ends the output of a command, before its status.
const END: &str = "@@end@@";

/// A world as the reader of a page has it: both engines installed, a shell in the home.
struct Session {
    // Before the world: they have to be gone while it is still there.
    shell: Shell,
    staying: Vec<(Child, Receiver<String>)>,
    ports: [(&'static str, String); 4],
    world: World,
}

impl Session {
    fn new(world: Option<World>) -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let valkey = needed("a Valkey", engines::valkey())?;
        let world = world?;
        let ports = ["5432", "6379", "8000", "8001"].map(|port| (port, world.port().to_string()));
        let bindirs = [&postgres, &valkey].map(|engine| world.bindir(engine));
        let mut path = world.programs().display().to_string();
        for bindir in &bindirs {
            write!(path, ":{}", bindir.display()).expect("memory");
        }
        let [postgres, valkey] = bindirs;
        let mut command = world.command("sh");
        command
            .env("DOZE_POSTGRES_BINDIR", &postgres)
            .env("DOZE_VALKEY_BINDIR", &valkey);
        let mut shell = Shell::start(command);
        shell.run("exec 2>&1");
        // In front of what the world has, such as its launchctl.
        shell.run(&format!("PATH={path}:$PATH"));
        Some(Self {
            shell,
            staying: Vec::new(),
            ports,
            world,
        })
    }

    /// Does what the page says.
    fn follow(mut self, page: &Page) {
        let blocks = page.blocks();
        assert!(
            blocks.iter().any(|block| block.is("console")),
            "{} shows no console",
            page.path.display()
        );
        for block in blocks {
            if let Some(name) = block.file() {
                self.write(name, &block.text());
            }
            if !block.is("console") {
                continue;
            }
            let steps = steps(&block);
            let last = steps.len() - 1;
            for (at, (command, shown)) in steps.iter().enumerate() {
                if block.is("stays") {
                    self.stay(&block, command, shown);
                } else {
                    self.step(&block, command, shown, block.is("fails") && at == last);
                }
            }
        }
        for (mut child, _) in self.staying.drain(..) {
            let status = wait_until("a command that stays to end", BOUND, || {
                child
                    .try_wait()
                    .expect("our child")
                    .ok_or("it runs".to_owned())
            });
            assert!(status.success(), "it ended with {status}");
        }
    }

    /// Writes a file of the page where the shell is.
    fn write(&mut self, name: &str, text: &str) {
        let folder = PathBuf::from(self.shell.run("pwd").0.concat());
        let mut text = text.replace(HOME, &self.home());
        for (shown, real) in &self.ports {
            // The second port of a mapping is that in a container.
            let inner = text.replace(&format!("{shown}:{shown}"), &format!("{real}:{END}"));
            text = inner.replace(shown, real).replace(END, shown);
        }
        self.world.write(folder.join(name), &text);
    }

    fn home(&self) -> String {
        self.world.home().display().to_string()
    }

    fn step(&mut self, block: &Block, command: &str, shown: &[String], fails: bool) {
        let place = &block.place;
        // A client that has just left may not have been seen to; the reader is not so fast.
        let begun = Instant::now();
        let mut here = command.to_owned();
        for (shown, real) in &self.ports {
            here = here.replace(shown, real);
        }
        let (printed, status) = loop {
            let (printed, status) = self.shell.run(&here);
            let printed = self.translate(printed);
            let again = command == "doze status" && begun.elapsed() < BOUND;
            if !again || fits(shown, &printed) {
                break (printed, status);
            }
        };
        let all = printed.join("\n");
        assert_eq!(
            status != 0,
            fails,
            "{place}: `{command}` exits with {status}\n{all}"
        );
        assert!(
            fits(shown, &printed),
            "{place}: `{command}` prints\n{all}\ninstead of\n{}",
            shown.join("\n")
        );
        if command.contains("doze init") {
            self.use_ports();
        }
    }

    /// A command that runs on while the page goes on, once it has said what the page shows.
    fn stay(&mut self, block: &Block, command: &str, shown: &[String]) {
        let folder = self.shell.run("pwd").0.concat();
        let (mut said, mut printed) = (None, Vec::new());
        let mut child = self.world.command("sh");
        child
            .args(["-c", &format!("exec {command}")])
            .current_dir(PathBuf::from(folder));
        let variables = self.shell.run("env | grep -E '^(DOZE_|PATH=)'").0;
        child.envs(variables.iter().filter_map(|line| line.split_once('=')));
        let mut child = child.stdout(Stdio::piped()).spawn().expect("sh starts");
        let lines = said.insert(lines(child.stdout.take().expect("a pipe")));
        while !fits(shown, &printed) {
            match lines.recv_timeout(BOUND) {
                Ok(line) => printed.extend(self.translate(vec![line])),
                Err(error) => panic!("{}: {error} after {printed:#?}", block.place),
            }
        }
        self.staying.extend(said.map(|said| (child, said)));
    }

    /// Gives the ports that this world has to the instances that `doze init` has declared.
    fn use_ports(&mut self) {
        let [(_, postgres), (_, valkey), ..] = &self.ports;
        let edit = format!(
            "sed -i -e '/^.postgres/,/^port/s/^port = .*/port = {postgres}/' \
             -e '/^.valkey/,/^port/s/^port = .*/port = {valkey}/' doze.toml"
        );
        assert_eq!(self.shell.run(&edit), (Vec::new(), 0));
    }

    /// What was printed, with the home and the ports that the page has.
    fn translate(&self, mut lines: Vec<String>) -> Vec<String> {
        let home = self.home();
        for line in &mut lines {
            *line = line.replace(&home, HOME);
            for (shown, real) in &self.ports {
                *line = line.replace(real, shown);
            }
        }
        lines
    }
}

/// The commands of a block, each with the lines that it is shown to print.
fn steps(block: &Block) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_owned(), Vec::new())),
            (None, Some((_, shown))) => shown.push(line.clone()),
            (None, None) => panic!("{} begins with no command", block.place),
        }
    }
    assert!(!steps.is_empty(), "{} is empty", block.place);
    steps
}

/// A shell that keeps its variables and its folder from one command to the next.
struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Shell {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let input = child.stdin.take();
        let output = lines(child.stdout.take().expect("a pipe"));
        Self {
            child,
            input,
            output,
        }
    }

    /// Runs a command to its end: what it prints, and its status.
    #[track_caller]
    fn run(&mut self, command: &str) -> (Vec<String>, i32) {
        // The braces keep it in this shell; a command must not read the next one as its input.
        let script = format!("{{ {command}\n}} </dev/null\nprintf '\\n{END} %s\\n' $?\n");
        let input = self.input.as_mut().expect("the shell is not over");
        input.write_all(script.as_bytes()).expect("the shell reads");
        let mut printed = Vec::new();
        loop {
            let line = match self.output.recv_timeout(BOUND) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("`{command}` hangs after {printed:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("`{command}` ended the shell"),
            };
            if let Some(status) = line.strip_prefix(END) {
                // The line break before the mark.
                if printed.last().is_some_and(String::is_empty) {
                    printed.pop();
                }
                return (printed, status.trim().parse().expect("a status"));
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

/// The lines that come out of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn follow(page: &str, world: Option<World>) {
    if let Some(session) = Session::new(world) {
        session.follow(&Page::read(page));
    }
}

#[test]
fn the_readme_works() {
    follow("README.md", World::with_manager());
}

#[test]
fn a_first_project_works() {
    follow("docs/guides/first-project.md", World::with_manager());
}

#[test]
fn moving_in_works() {
    follow("docs/guides/moving-in.md", World::with_manager());
}

#[test]
fn processes_work() {
    follow("docs/guides/processes.md", World::with_manager());
}

#[test]
fn without_systemd_works() {
    follow("docs/guides/without-systemd.md", Some(World::new()));
}

#[test]
fn macos_works_as_far_as_a_stand_in_of_launchd_does() {
    follow("docs/guides/macos.md", World::with_launchd());
}

#[test]
fn publishing_an_engine_works() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        skip("the page shows what is pinned for Linux on x86_64");
        return;
    }
    for program in ["/usr/bin/patchelf", "/usr/bin/strip"] {
        let there = Path::new(program).is_file().then_some(());
        if needed(program, there).is_none() {
            return;
        }
    }
    let Some(mut session) = Session::new(World::with_manager()) else {
        return;
    };
    // As one has it who has fetched the package before: a world has no network.
    let recipes = workspace().join("engines/recipes");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes-of-valkey");
    let tree = tempfile::tempdir().expect("a folder");
    succeed(
        Command::new("bash")
            .arg(recipes.join("build"))
            .arg("--cache")
            .arg(&cache)
            .args(["valkey", "8"])
            .arg(tree.path().join("valkey")),
    );
    let (world, home) = (&session.world, session.world.home());
    for (from, to) in [
        (&recipes, "doze/engines/recipes"),
        (&cache, ".cache/doze/recipes"),
    ] {
        // Once by whoever may read it, once by whom it is to belong to.
        let (here, there) = (world.dir().join("copy"), home.join(to));
        succeed(Command::new("cp").arg("-r").arg(from).arg(&here));
        let parent = there.parent().expect("it is below the home");
        world.write(parent.join(".keep"), "");
        world.run(&[
            "cp",
            "-r",
            &here.to_string_lossy(),
            &there.to_string_lossy(),
        ]);
        fs::remove_dir_all(here).expect("our copy");
    }
    // The project of the page has no other engine than the one that is published.
    session
        .shell
        .run("unset DOZE_VALKEY_BINDIR DOZE_POSTGRES_BINDIR");
    session.follow(&Page::read("docs/guides/publish-an-engine.md"));
}

#[test]
fn no_other_page_has_a_console() {
    let has_one = |page: &Page| page.blocks().iter().any(|block| block.is("console"));
    let found = pages().into_iter().filter(has_one);
    let found: Vec<_> = found.map(|page| page.path.display().to_string()).collect();
    assert_eq!(
        found,
        [
            "README.md",
            "docs/guides/first-project.md",
            "docs/guides/macos.md",
            "docs/guides/moving-in.md",
            "docs/guides/processes.md",
            "docs/guides/publish-an-engine.md",
            "docs/guides/without-systemd.md"
        ]
    );
}
