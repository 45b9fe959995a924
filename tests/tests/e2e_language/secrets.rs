//! Where a sensitive value may be, and where it never is.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use doze_tests::process;
use doze_tests::project::{Mode, Project, output, succeed};

use crate::folder::Folder;

/// They survive every quoting as they are, so that they are found wherever they are.
const SECRETS: [&str; 2] = ["Zq7planted9wX", "Kv3rotated5bT"];

/// No output of any command has one, but of those that exist to tell it; nor has a file that others
/// may read, or a command line.
#[test]
fn a_sensitive_value_is_in_no_output_and_in_no_file_of_others() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let mut stage = Stage::new(project);
    let [first, second] = SECRETS;

    stage.runs(&["plan"], 0);
    stage.runs(&["plan", "--json"], 0);
    stage.runs(&["generate", "--check"], 5);
    stage.runs(&["generate", "--out", "out"], 0);
    stage.runs(&["apply", "--yes"], 0);
    stage.both_are_served();
    stage.commands();

    // Another value: what differs is told, and not how.
    stage.secret = second;
    stage.runs(&["plan"], 0);
    stage.runs(&["plan", "--json"], 0);
    stage.runs(&["plan", "--check"], 5);
    stage.runs(&["apply", "--yes"], 0);
    stage.both_are_served();
    let with_the_old = stage.sql().env("PGPASSWORD", first).output();
    assert!(!with_the_old.expect("psql runs").status.success());
    stage.commands();
    stage.nothing_is_told("files and processes");

    // Units that the manager makes anew at each reload.
    let generators = stage.project.world.generators();
    stage.project.world.write("generators/.keep", "");
    let doze = stage.project.world.programs().join("doze");
    symlink(doze, generators.join("doze-generator")).expect("a fresh folder");
    stage.runs(&["up", "--register"], 0);
    stage
        .project
        .world
        .run(&["systemctl", "--user", "daemon-reload"]);
    stage.both_are_served();
    stage.commands();
    assert!(
        !told(&stage.project.world.manager_log()),
        "the manager's log"
    );
    stage.runs(&["down", "--unregister"], 0);
    stage.runs(&["destroy", "--yes"], 0);
    stage.nothing_is_told("what is left");
}

/// The same of a value that a file gives, where no manager is.
#[test]
fn the_listener_in_the_foreground_tells_no_sensitive_value() {
    let Some(project) = Project::new(Mode::Foreground, "1h") else {
        return;
    };
    let mut stage = Stage::new(project);
    let values = format!("secret = \"{}\"\n", stage.secret);
    let values = stage
        .project
        .world
        .write("home/shop/own.auto.toml", &values);
    fs::set_permissions(values, fs::Permissions::from_mode(0o600)).expect("our file");
    stage.project.up();
    stage.both_are_served();
    stage.runs(&["status"], 0);
    stage.runs(&["logs", "app"], 0);
    stage.nothing_is_told("files and processes");
    stage.project.down();
    stage.nothing_is_told("what is left");
}

#[test]
fn what_is_wrong_with_a_sensitive_value_is_told_without_it() {
    let [secret, _] = SECRETS;
    for line in [
        "port = \"${var.secret}\"",
        "port = 5432\nidle_timeout = \"${var.secret}\"",
        "port = 5432\nopen_to = '${lower(\"X\")}${var.secret}'",
        "port = 5432\nlisten = \"unix:${var.secret}\"",
        "port = 5432\nshared_buffers = \"${var.secret}\"",
        "port = 5432\nmax_connections = \"${var.secret}\"",
        "port = 5432\nlimits.memory = \"${var.secret}\"",
        "port = 5432\ndepends_on = \"${var.secret}\"",
        "port = 5432\nenabled = \"${var.secret}\"",
        "port = 5432\nfsync = '${parseint(var.secret, 10)}'",
        "port = 5432\nowner = '${file(var.secret)}'",
        "port = 5432\nowner = '${env(var.secret)}'",
        "port = 5432\nowner = '${jsondecode(var.secret)}'",
        "port = 5432\nowner = '${regex(\"(${var.secret}\", \"x\")}'",
        "port = 5432\nsettings.\"a b\" = \"${var.secret}\"",
        "port = 5432\nextensions = [\"${var.secret}\", \"${var.secret}\"]\nfsync = 1",
        "port = 5432\nfor_each = [\"${var.secret}/\"]",
    ] {
        let folder = Folder::of(&format!(
            "[variables.secret]\nsensitive = true\n\n[postgres.app]\nversion = 17\n{line}\n"
        ));
        for form in ["human", "json"] {
            let mut command = folder.doze(&["generate", "--check", "--format", form]);
            let wrong = output(command.env("DOZE_VAR_secret", secret));
            let said = [wrong.stdout, wrong.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(wrong.status.code(), Some(2), "{line}: {said}");
            assert!(!told(&said), "{line}: {said}");
        }
    }
}

/// Nobody hides a file from whoever it belongs to, but what is said of it ends up elsewhere.
#[test]
fn a_sensitive_value_of_a_file_is_covered_in_the_pictures_of_it() {
    let [first, second] = SECRETS;
    let declared = format!("[variables]\nsecret = {{ sensitive = true, default = \"{first}\", ");
    for (declared, given) in [
        (format!("{declared}typo = 1 }}\n"), String::new()),
        (format!("{declared}type = \"number\" }}\n"), String::new()),
        (
            "[variables.secret]\ntype = \"number\"\nsensitive = true\n".to_owned(),
            format!("secret = \"{second}\"\n"),
        ),
        (
            "[variables.secret]\nsensitive = true\ndefault = \"\"\n".to_owned(),
            format!("sercet = \"{second}\"\n"),
        ),
        (
            "[variables.secret]\ntype = \"string\"\nsensitive = true\n".to_owned(),
            format!("secret = [\"{first}\", {{ a = \"\"\"\n{second}\"\"\" }}]\n"),
        ),
    ] {
        let folder = Folder::of(&format!(
            "{declared}\n[valkey.cache]\nversion = 8\nport = 6379\n"
        ));
        folder.write("own.auto.toml", &given);
        let wrong = output(&mut folder.doze(&["generate", "--check"]));
        let said = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        assert!(said.contains("***") && !told(&said), "{said}");
    }
}

/// Whether a secret is in it.
fn told(text: &str) -> bool {
    SECRETS.iter().any(|secret| text.contains(secret))
}

/// A project whose passwords are a sensitive variable, which the environment gives.
struct Stage {
    project: Project,
    secret: &'static str,
}

impl Stage {
    fn new(project: Project) -> Self {
        let toml = project.toml("1h").replace(
            "[valkey.cache]\n",
            "[postgres.app.role.app]\npassword = \"${var.secret}\"\n\n\
             [valkey.cache]\npassword = \"${var.secret}\"\n",
        );
        project.declare(&format!(
            "{toml}\n[variables.secret]\nsensitive = true\n\n[outputs]\napp = \"${{postgres.app.url}}\"\n\
             cache = \"${{valkey.cache.url}}\"\nlength = \"${{strlen(var.secret)}}\"\n\
             list = \"${{[var.secret]}}\"\n"
        ));
        let [secret, _] = SECRETS;
        Self { project, secret }
    }

    /// A doze command ends so, and tells nobody.
    #[track_caller]
    fn runs(&self, arguments: &[&str], code: i32) {
        let mut command = self.project.doze(arguments);
        let ended = output(command.env("DOZE_VAR_secret", self.secret));
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!told(&said), "{arguments:?}: {said}");
    }

    fn sql(&self) -> Command {
        let mut command = self.project.psql("select 1");
        command.env("PGPASSWORD", self.secret);
        command
    }

    #[track_caller]
    fn both_are_served(&self) {
        assert_eq!(succeed(&mut self.sql()), "1\n");
        let mut ping = self.project.cli(&["ping"]);
        assert_eq!(succeed(ping.env("REDISCLI_AUTH", self.secret)), "PONG\n");
    }

    /// All commands that do not exist to tell it, as `env`, `run`, `url` and `output NAME` do.
    fn commands(&self) {
        for command in [
            &["up"][..],
            &["plan"],
            &["plan", "--json"],
            &["status"],
            &["status", "--json"],
            &["output"],
            &["output", "--json"],
            &["schema"],
            &["lock"],
            &["info", "postgres"],
            &["info", "valkey"],
            &["hold", "app", "--", "true"],
            &["sleep", "app"],
            &["wake", "app"],
            &["wake", "cache"],
            &["logs", "app"],
            &["logs", "cache"],
            &["reset", "cache", "--yes"],
            &["wake", "cache"],
        ] {
            self.runs(command, 0);
        }
        for wrong in [
            &["url", "cahce"][..],
            &["wake", "nobody"],
            &["--profile", "x", "plan"],
        ] {
            let mut command = self.project.doze(wrong);
            let ended = output(command.env("DOZE_VAR_secret", self.secret));
            assert!(!ended.status.success(), "{wrong:?}");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(!told(&said), "{wrong:?}: {said}");
        }
        self.nothing_is_told("files and processes");
    }

    /// Everything in the world but what its user alone reads, and the process table.
    #[track_caller]
    fn nothing_is_told(&self, what: &str) {
        let processes = process::list(&self.project.processes());
        assert!(!told(&processes), "{what}: {processes}");
        let mut private = 0;
        open_files(self.project.world.dir(), &mut |path, open| {
            let text = fs::read(path).unwrap_or_default();
            if told(&String::from_utf8_lossy(&text)) {
                assert!(!open, "{what}: others can read {}", path.display());
                private += 1;
            }
        });
        let some = !self.project.processes().is_empty();
        assert!(!some || private > 0, "{what}: the engines have to know it");
    }
}

/// Calls `seen` for each file below a folder, and says whether its mode lets others read it.
fn open_files(folder: &Path, seen: &mut impl FnMut(&Path, bool)) {
    // What goes in the meantime, as the files of a server do, is in nobody's hands any more.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(about) = fs::symlink_metadata(entry.path()) else {
            continue;
        };
        if about.is_dir() {
            open_files(&entry.path(), seen);
        } else if about.is_file() && about.len() < 16 << 20 {
            seen(&entry.path(), about.permissions().mode() & 0o077 != 0);
        }
    }
}
