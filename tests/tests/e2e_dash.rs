//! The dashboard in a real terminal (tmux), under a private systemd and in the foreground.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::path::{Display, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{in_every_mode, needed, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const BOUND: Duration = Duration::from_secs(30);

in_every_mode!(
    every_key_does_what_it_says,
    a_process_is_seen_to_run_and_to_end_and_runs_again_by_a_key,
    whoever_holds_the_sockets_may_go_and_come_back,
);

fn every_key_does_what_it_says(mode: Mode) {
    let Some((mut project, terminal)) = shop(mode) else {
        return;
    };
    project.up();
    terminal.start_dash("");
    let holder = match mode {
        Mode::Systemd => "held by systemd",
        Mode::Launchd => "held by launchd",
        Mode::Foreground => "up in the foreground",
    };
    terminal.shows(&["shop", "0 of 2 awake", holder, "app: postgres"]);
    for (key, title) in [
        ("j", "cache: valkey"),
        ("k", "app: postgres"),
        ("Down", "cache: valkey"),
        ("Up", "app: postgres"),
        ("G", "cache: valkey"),
        ("g", "app: postgres"),
        ("End", "cache: valkey"),
    ] {
        terminal.press(key);
        terminal.shows(&[title, "○ asleep", "sleeps in -"]);
    }
    assert_eq!(project.wakes("app") + project.wakes("cache"), 0);

    terminal.press("w");
    terminal.shows(&["`cache` is ready", "idling", "sleeps in 59m", " MiB "]);
    assert_eq!(project.state("cache"), "idling");
    terminal.shows(&["cache is ready after"]);
    terminal.press("s");
    terminal.shows(&["`cache` is asleep", "○ asleep"]);
    assert_eq!(project.state("cache"), "asleep");
    terminal.press("Enter");
    terminal.shows(&["`cache` is ready", "1 of 2 awake"]);
    terminal.press("R");
    terminal.shows(&["Restart `cache`?"]);
    terminal.press("n");
    terminal.shows(&["`cache` goes on"]);
    assert_eq!(project.wakes("cache"), 2);
    terminal.press("R");
    terminal.press("y");
    terminal.shows(&["`cache` is ready"]);
    assert_eq!(project.wakes("cache"), 3);

    terminal.press("y");
    terminal.shows(&["the URL of `cache` is in the clipboard"]);
    let url = project.run(&["url", "cache"]);
    wait_until("the clipboard", BOUND, || {
        match terminal.tmux(&["show-buffer"]) {
            copied if copied == url.trim_end() => Ok(()),
            other => Err(other),
        }
    });

    terminal.press("Tab");
    terminal.press("g");
    terminal.shows(&["lines up"]);
    terminal.press("G");
    terminal.shows_not("lines up");
    terminal.press("Tab");
    terminal.press("l");
    terminal.shows_not("instances");
    terminal.press("Escape");
    terminal.shows(&["instances"]);

    terminal.press("/");
    terminal.press("APP");
    terminal.shows(&["/APP▏", "app: postgres"]);
    terminal.shows_not("● cache");
    terminal.press("Enter");
    terminal.shows(&["instances: APP", "? help"]);
    terminal.press("Escape");
    terminal.shows(&["◐ cache"]);
    terminal.press("?");
    terminal.shows(&["┌ keys"]);
    terminal.press("x");
    terminal.shows_not("┌ keys");

    let more = project.toml("1h") + "\n[valkey.\"größer\"]\nversion = 8\n";
    project.declare(&more);
    terminal.press("r");
    terminal.shows(&["of 3 awake", "größer", "not up"]);
    project.declare("name = \"shop\"\n[");
    terminal.press("r");
    terminal.shows(&["doze.toml is not read again", "größer"]);

    terminal.resize(50, 10);
    terminal.shows(&["has 50 columns and 10 rows"]);
    terminal.resize(120, 40);
    terminal.shows(&["└────", "/ filter", "größer"]);
    let rows = terminal.screen().lines().count();
    assert_eq!(rows, 40);
    terminal.resize(60, 16);
    terminal.shows(&["größer"]);
    terminal.resize(80, 24);
    terminal.shows(&["/ filter"]);
    terminal.press("q");
    terminal.is_as_before("left with 0");
}

fn whoever_holds_the_sockets_may_go_and_come_back(mode: Mode) {
    let Some((mut project, terminal)) = shop(mode) else {
        return;
    };
    project.up();
    terminal.start_dash("");
    terminal.shows(&["0 of 2 awake"]);
    terminal.press("w");
    terminal.shows(&["`app` is ready"]);
    let (gone, back) = match mode {
        Mode::Systemd | Mode::Launchd => {
            let pid = project.world.manager_pid().expect("there is one");
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a pid"), Signal::TERM).expect("it runs");
            let back = if mode == Mode::Launchd {
                "held by launchd"
            } else {
                "held by systemd"
            };
            ("the user manager is gone", back)
        }
        Mode::Foreground => {
            project.signal_listener(Signal::TERM);
            assert!(project.wait_for_listener(), "it ended well");
            ("the listener is gone", "up in the foreground")
        }
    };
    terminal.shows(&[gone, "0 of 2 awake", "not up"]);
    terminal.press("w");
    terminal.shows(&["`app` is not up"]);
    if mode.has_manager() {
        project.world.restart_manager(Signal::TERM);
    }
    // A login loads all agents that are there.
    if mode != Mode::Launchd {
        project.up();
    }
    terminal.shows(&[back, "asleep"]);
    terminal.press("w");
    terminal.shows(&["`app` is ready", "1 of 2 awake"]);
    terminal.press("C-c");
    terminal.is_as_before("left with 0");
}

fn a_process_is_seen_to_run_and_to_end_and_runs_again_by_a_key(mode: Mode) {
    let Some((mut project, terminal)) = shop(mode) else {
        return;
    };
    let process = "[process.web]\n\
        command = 'echo started; until test -e ended; do sleep 0.1; done; rm ended'\n";
    project.declare(&(project.toml("1h") + process));
    project.up();
    terminal.start_dash("");
    terminal.shows(&["app: postgres"]);
    terminal.press("j");
    terminal.shows(&["web: process", "1 of 3 awake", "● running"]);
    project.world.write("home/shop/ended", "");
    terminal.shows(&["web: process", "0 of 3 awake", "· ended"]);
    terminal.press("R");
    terminal.shows(&["Restart `web`?"]);
    terminal.press("y");
    terminal.shows(&["`web` is ready", "1 of 3 awake"]);
    assert_eq!(project.wakes("web"), 2);
    terminal.press("q");
    terminal.is_as_before("left with 0");
}

#[test]
fn every_end_leaves_the_terminal_as_it_was() {
    let Some((project, terminal)) = shop(Mode::Systemd) else {
        return;
    };
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        terminal.start_dash("");
        terminal.shows(&["not up: `doze up`", "app: postgres"]);
        terminal.press("w");
        terminal.shows(&["`app` is not up"]);
        kill_process(pid_of(&project, "doze dash"), signal).expect("it runs");
        terminal.is_as_before("left with 0");
    }
    for keys in [["?", "C-c"], ["/", "C-c"], ["R", "C-c"], ["l", "q"]] {
        terminal.start_dash("");
        terminal.shows(&["app: postgres"]);
        terminal.press(keys[0]);
        terminal.press(keys[1]);
        terminal.is_as_before("left with 0");
    }
}

#[test]
fn a_command_that_is_stopped_gives_the_terminal_back_and_takes_it_again() {
    let Some((project, terminal)) = shop(Mode::Systemd) else {
        return;
    };
    for (command, shown) in [
        ("doze dash", "┌ app: postgres"),
        ("doze status --watch", "(q quits)"),
    ] {
        terminal.start(command);
        terminal.shows(&[shown]);
        terminal.press("C-z");
        terminal.is_as_before("left with 148");
        terminal.go_on();
        terminal.shows(&[shown]);
        // This signal leaves no time to give anything back.
        let pid = pid_of(&project, command);
        kill_process(pid, Signal::STOP).expect("it runs");
        // Until then it may take a key. What the shell prints is nowhere in particular: it may be in
        // the middle of what was being drawn, and cut in two by the edge.
        terminal.left("left with 147");
        terminal.go_on();
        terminal.shows(&[shown]);
        terminal.press("q");
        terminal.is_as_before("left with 0");
    }
}

/// The process of a doze command.
#[track_caller]
fn pid_of(project: &Project, command: &str) -> Pid {
    let running = project.running("doze");
    let mut found = running.iter().filter(|process| {
        let path = format!("/{command}");
        process.command == command || process.command.ends_with(&path)
    });
    let pid = found.next().and_then(|process| Pid::from_raw(process.pid));
    pid.expect("it runs")
}

#[test]
fn colour_is_there_unless_it_is_not_wanted() {
    let Some((_project, terminal)) = shop(Mode::Systemd) else {
        return;
    };
    for (variables, coloured) in [("", true), ("NO_COLOR=1 ", false)] {
        terminal.start_dash(variables);
        terminal.shows(&["not up: `doze up`"]);
        let painted = terminal.tmux(&["capture-pane", "-p", "-e"]);
        // The first of all colours, red.
        assert_eq!(painted.contains("\u{1b}[38;5;"), coloured, "{painted:?}");
        terminal.press("q");
        terminal.is_as_before("left with 0");
    }
}

#[test]
fn without_a_terminal_there_is_no_dashboard() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    for name in ["dash", "top"] {
        let refused = output(&mut project.doze(&[name]));
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stdout.is_empty(), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("the dashboard needs a terminal"), "{said}");
    }
}

#[test]
fn a_dumb_terminal_is_refused_in_one_line() {
    let Some((_project, terminal)) = shop(Mode::Systemd) else {
        return;
    };
    for (command, said) in [
        ("doze dash", "the dashboard needs a terminal"),
        ("doze status --watch", "is for terminals that are not dumb"),
    ] {
        terminal.start(&format!("TERM=dumb {command}"));
        terminal.shows(&[said]);
        terminal.is_as_before("left with 2");
    }
}

/// A project that is not up, and a terminal in its folder; `None` if this machine lacks something,
/// which is said then.
fn shop(mode: Mode) -> Option<(Project, Terminal)> {
    let project = Project::new(mode, "1h")?;
    let terminal = Terminal::open(&project)?;
    Some((project, terminal))
}

/// A shell in a terminal of 80 columns and 24 rows, which goes with it.
struct Terminal {
    socket: PathBuf,
    /// Where the shell writes how the terminal is set.
    settings: PathBuf,
}

impl Terminal {
    /// Opens it in the project's folder, as the project's user.
    fn open(project: &Project) -> Option<Self> {
        let found = Path::new("/usr/bin/tmux").is_file().then_some(());
        needed("tmux", found)?;
        // The shell finds doze in its PATH.
        project.world.programs();
        let temporary = project.world.dir().join("tmp");
        let terminal = Self {
            socket: temporary.join("tmux"),
            settings: temporary.join("settings"),
        };
        let mut start = project.world.command("tmux");
        start
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(&terminal.socket)
            .args(["new-session", "-d", "-x", "80", "-y", "24", "-c"])
            .arg(project.world.home().join("shop"))
            .args(["env", "PS1=ready> ", "sh"]);
        succeed(&mut start);
        terminal.tmux(&["set-option", "-g", "status", "off"]);
        terminal.tmux(&["set-option", "-s", "set-clipboard", "on"]);
        terminal.tmux(&["set-option", "-s", "escape-time", "0"]);
        terminal.resize(80, 24);
        terminal.shows(&["ready>"]);
        Some(terminal)
    }

    /// Starts the dashboard, with these words before it.
    fn start_dash(&self, variables: &str) {
        self.start(&format!("{variables}doze dash"));
    }

    /// Starts a command. When it ends or is stopped, the shell says with what.
    fn start(&self, command: &str) {
        let file = self.settings.display();
        let left = Self::tell_how_it_left(&file);
        let line = format!("clear; stty -a >{file}.1; {command}; {left}");
        self.press(&line);
        self.press("Enter");
    }

    /// Lets the command that is stopped go on, on a screen that has nothing else.
    fn go_on(&self) {
        // In raw mode, which this shell does not end, enter is no end of a line.
        let enter = |line: &str| {
            self.press(line);
            self.press("C-j");
        };
        enter("clear");
        wait_until("a clear screen", BOUND, || match self.screen() {
            screen if screen.trim() == "ready>" => Ok(()),
            other => Err(other),
        });
        let left = Self::tell_how_it_left(&self.settings.display());
        enter(&format!("clear; fg; {left}"));
    }

    /// What a shell does after a command, with the files that it writes.
    fn tell_how_it_left(file: &Display<'_>) -> String {
        format!("echo left with $? | tee {file}.left; stty -a >{file}.2")
    }

    /// Waits until the shell has written that the command has left with these words, wherever they
    /// are on the screen.
    #[track_caller]
    fn left(&self, words: &str) {
        let file = format!("{}.left", self.settings.display());
        wait_until(words, BOUND, || match fs::read_to_string(&file) {
            Ok(written) if written.trim_end() == words => Ok(()),
            other => Err(format!("{other:?}\n{}", self.screen())),
        });
    }

    /// Waits until the command has left the terminal with these words of the shell, and nothing of
    /// it is left.
    #[track_caller]
    fn is_as_before(&self, left: &str) {
        self.shows(&[left, "ready>"]);
        let settings = |number: u8| {
            let file = format!("{}.{number}", self.settings.display());
            fs::read_to_string(&file).expect("the shell wrote it")
        };
        assert!(!settings(1).is_empty());
        assert_eq!(settings(1), settings(2));
        let flags = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(flags, "0 1", "neither another screen nor a hidden cursor");
        self.tmux(&["send-keys", "clear", "Enter"]);
        self.shows_not("left with");
    }

    /// A key by tmux's name, or a text.
    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of this is on the screen.
    #[track_caller]
    fn shows(&self, texts: &[&str]) {
        wait_until(&format!("{texts:?}"), BOUND, || {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                Ok(())
            } else {
                Err(format!("\n{screen}"))
            }
        });
    }

    /// Waits until this is not on the screen.
    #[track_caller]
    fn shows_not(&self, text: &str) {
        wait_until(&format!("no {text:?}"), BOUND, || {
            let screen = self.screen();
            if screen.contains(text) {
                Err(format!("\n{screen}"))
            } else {
                Ok(())
            }
        });
    }

    /// What tmux says to a command.
    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let mut said = succeed(self.command().args(words));
        said.truncate(said.trim_end_matches('\n').len());
        said
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/bin/tmux");
        command.args(["-u", "-S"]).arg(&self.socket);
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The world ends what this does not.
        drop(self.command().arg("kill-server").output());
    }
}
