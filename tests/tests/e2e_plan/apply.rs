//! `doze apply` does what it has shown, and asks before it disturbs.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use doze_tests::project::Project;

use crate::{Guest, assert_settled, ended, project, without_cache};

#[test]
fn without_a_terminal_whom_it_would_disturb_needs_a_yes() {
    let Some(project) = project() else { return };
    let mut guest = Guest::of(&project, "cache");
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    let said = ended(&project, &["apply"], 2);
    assert!(
        said.err
            .contains("`doze apply` would stop cache (1 client)"),
        "{}",
        said.err
    );
    assert!(said.err.contains("`doze apply --yes`"), "{}", said.err);
    assert!(guest.is_served(), "nothing was done");
    ended(&project, &["plan", "--check"], 5);

    let said = project.run(&["apply", "--yes"]);
    assert!(
        said.contains("cache: stops for its new settings (1 client)"),
        "{said}"
    );
    assert!(!guest.is_served());
    let limit = project.cached(&["config", "get", "maxmemory"]);
    assert_eq!(limit, "maxmemory\n104857600");
    assert_settled(&project);
    assert_eq!(project.run(&["apply"]), "", "nothing to do");
}

#[test]
fn what_disturbs_nobody_is_applied_unasked() {
    let Some(project) = project() else { return };
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    assert!(project.run(&["apply"]).contains("/plans/cache.json"));
    assert_settled(&project);
    assert_eq!(project.processes(), [], "and nobody is woken for it");
}

#[test]
fn data_that_no_instance_owns_goes_only_when_asked() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    project.declare(&without_cache(&project));
    project.run(&["apply", "--yes"]);
    let data = project.home().join("data/cache");
    assert!(data.is_dir());
    let precious = project.world.write("home/precious/file", "mine");
    symlink(precious.parent().expect("a folder"), data.join("link")).expect("a fresh name");

    let said = ended(&project, &["apply", "--prune"], 2).err;
    assert!(
        said.contains(&format!("remove {}", data.display())),
        "{said}"
    );
    assert!(data.is_dir());
    let said = project.run(&["apply", "--prune", "--yes"]);
    assert!(
        said.contains(&format!("removed {}", data.display())),
        "{said}"
    );
    assert!(!data.try_exists().expect("it can be looked for"));
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "mine");
    assert_settled(&project);
    assert!(!project.run(&["status"]).contains("orphaned"));
}

#[test]
fn on_a_terminal_it_asks_and_a_no_changes_nothing() {
    let Some(project) = project() else { return };
    let mut guest = Guest::of(&project, "cache");
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    let mut terminal = Terminal::open(&project, "apply");
    terminal.wait_for("apply this? [y/N]");
    let (code, said) = terminal.answer("n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(guest.is_served());

    let mut terminal = Terminal::open(&project, "apply");
    terminal.wait_for("apply this? [y/N]");
    let (code, said) = terminal.answer("y");
    assert_eq!(code, Some(0), "{said}");
    assert_settled(&project);
}

#[test]
fn what_came_after_the_question_is_not_applied() {
    let Some(project) = project() else { return };
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    let mut terminal = Terminal::open(&project, "apply");
    terminal.wait_for("apply this? [y/N]");
    // Nobody said that a client of the cache would be cut off.
    let mut guest = Guest::of(&project, "cache");
    let (code, said) = terminal.answer("y");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no longer what was shown"), "{said}");
    assert!(guest.is_served());
    ended(&project, &["plan", "--check"], 5);
}

/// A doze command on a terminal of its own, made by script(1).
struct Terminal {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    said: String,
}

impl Terminal {
    fn open(project: &Project, command: &str) -> Self {
        let doze = project.doze(&[command]);
        let words = [doze.get_program()].into_iter().chain(doze.get_args());
        let quoted = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8")));
        let line: Vec<_> = quoted.collect();
        let mut script = Command::new("script");
        script
            .args(["-qec", &line.join(" "), "/dev/null"])
            .env_clear()
            .envs(
                doze.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(doze.get_current_dir().expect("the project"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = script.spawn().expect("script(1) is there");
        Self {
            input: child.stdin.take().expect("a pipe"),
            output: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            said: String::new(),
        }
    }

    /// Reads until the question; a command that ends without it fails the test.
    fn wait_for(&mut self, question: &str) {
        while !self.said.contains(question) {
            let part = self.output.fill_buf().expect("it can be read");
            assert!(!part.is_empty(), "it ended: {}", self.said);
            self.said += &String::from_utf8_lossy(part);
            let length = part.len();
            self.output.consume(length);
        }
    }

    /// Answers, and waits for the end.
    fn answer(mut self, answer: &str) -> (Option<i32>, String) {
        writeln!(self.input, "{answer}").expect("it reads");
        self.output
            .read_to_string(&mut self.said)
            .expect("it can be read");
        let status = self.child.wait().expect("our child");
        (status.code(), self.said)
    }
}
