//! What programs are told of the instances: right whatever has changed, and nobody is started to
//! say it again.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use doze_tests::project::{output, succeed};
use doze_tests::{Tree, World, engines, needed};

/// A project with a cache, whose driver and server are its own files.
struct Shop {
    world: World,
    programs: PathBuf,
    driver: PathBuf,
    server: PathBuf,
    toml: String,
}

impl Shop {
    fn new(world: Option<World>) -> Option<Self> {
        let valkey = needed("a Valkey", engines::valkey())?;
        let world = world?;
        let keep = world.write("engine/.keep", "");
        let programs = keep.parent().expect("its folder").to_path_buf();
        let (from, server) = (world.bindir(&valkey), programs.join("valkey-server"));
        copy(&world, &from.join("valkey-server"), &server);
        // Those of a world are links to what all tests run.
        let driver = world.programs().join("doze-driver-valkey");
        let aside = world.dir().join("driver");
        copy(&world, &driver, &aside);
        copy(&world, &aside, &driver);
        let toml = format!(
            "name = \"shop\"\n[variables.p]\ndefault = \"one\"\n\
             [outputs]\ncache = \"${{valkey.cache.url}}\"\n\
             [profile.ci]\nvalkey.cache.password = \"ci\"\n\
             [valkey.cache]\nversion = {}\nport = {}\n\
             password = '${{var.p}}${{env(\"SHOP_P\", \"\")}}${{file(\"p.txt\")}}'\n",
            valkey.major(),
            world.port(),
        );
        let shop = Self {
            world,
            programs,
            driver,
            server,
            toml,
        };
        shop.write("doze.toml", &shop.toml);
        shop.write("p.txt", "");
        Some(shop)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.world.write(Path::new("home/shop").join(name), text)
    }

    fn doze(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command("doze");
        command
            .args(arguments)
            .current_dir(self.world.home().join("shop"))
            .env("DOZE_VALKEY_BINDIR", &self.programs);
        command
    }

    /// Whether its driver and its server can be started from now on. Their files stay the same.
    fn can_start(&self, can: bool) {
        for program in [&self.driver, &self.server] {
            let mode = Permissions::from_mode(if can { 0o755 } else { 0o644 });
            fs::set_permissions(program, mode).expect("our file");
        }
    }

    /// Replaces a program by a script.
    fn replace(&self, program: &Path, script: &str) {
        fs::remove_file(program).expect("our file");
        self.world.write(program, script);
        self.can_start(true);
    }
}

fn copy(world: &World, from: &Path, to: &Path) {
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    world.run(&["rm", "-f", &to]);
    world.run(&["cp", "-L", &from, &to]);
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().append(true).open(path).expect("our file");
    file.set_modified(time).expect("our file");
}

#[track_caller]
fn assert_needs_the_driver(command: &mut Command) {
    let refused = output(command);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot start the driver"), "{said}");
}

/// The answers of a driver that cannot be started are those that it gave.
#[test]
fn nobody_is_started_to_say_what_is_known() {
    let Some(shop) = Shop::new(Some(World::new())) else {
        return;
    };
    let commands: [&[&str]; 6] = [
        &["env"],
        &["url", "cache"],
        &["run", "--", "printenv", "REDIS_URL"],
        &["output", "cache"],
        &["generate"],
        &["generate", "--check"],
    ];
    succeed(&mut shop.doze(&["generate"]));
    let all = || commands.map(|command| succeed(&mut shop.doze(command)));
    let said = all();
    let before = Tree::read(shop.world.dir());
    shop.can_start(false);
    assert_eq!(all(), said);
    shop.can_start(true);
    assert!(before == Tree::read(shop.world.dir()), "nothing is written");
    assert!(shop.world.processes().is_empty());
}

/// The same of a project that is up: there is nothing to do, and nobody has to be asked whether.
#[test]
fn a_second_up_starts_nobody() {
    let Some(shop) = Shop::new(World::with_manager()) else {
        return;
    };
    succeed(&mut shop.doze(&["up"]));
    shop.can_start(false);
    assert_eq!(succeed(&mut shop.doze(&["up"])), "");
    assert_eq!(succeed(&mut shop.doze(&["plan"])), "");
    assert!(shop.world.processes().is_empty());
    // A unit that somebody has changed is seen all the same.
    let unit = shop.world.units().join("doze-shop-cache.socket");
    let text = fs::read_to_string(&unit).expect("it is installed");
    shop.world.write(&unit, &(text.clone() + "# mine\n"));
    let planned = succeed(&mut shop.doze(&["plan"]));
    assert!(planned.contains("doze-shop-cache.socket"), "{planned}");
    succeed(&mut shop.doze(&["up"]));
    let mended = fs::read_to_string(&unit).expect("it is installed");
    assert_eq!(mended, text);
    shop.can_start(true);
    succeed(&mut shop.doze(&["down"]));
}

/// One thing that is otherwise, and the password that the URL has then.
struct Change {
    file: Option<(&'static str, &'static str)>,
    variable: Option<(&'static str, &'static str)>,
    options: &'static [&'static str],
    password: &'static str,
}

const NOTHING: Change = Change {
    file: None,
    variable: None,
    options: &[],
    password: "one",
};

#[test]
fn whatever_an_answer_depends_on_changes_it() {
    let Some(shop) = Shop::new(Some(World::new())) else {
        return;
    };
    let changes = [
        Change {
            file: Some(("p.txt", "two")),
            password: "onetwo",
            ..NOTHING
        },
        Change {
            file: Some(("my.auto.toml", "p = \"auto\"\n")),
            password: "auto",
            ..NOTHING
        },
        Change {
            variable: Some(("SHOP_P", "-here")),
            password: "one-here",
            ..NOTHING
        },
        Change {
            variable: Some(("DOZE_VAR_p", "given")),
            password: "given",
            ..NOTHING
        },
        Change {
            options: &["--var", "p=said"],
            password: "said",
            ..NOTHING
        },
        Change {
            options: &["--profile", "ci"],
            password: "ci",
            ..NOTHING
        },
        Change {
            variable: Some(("DOZE_PROFILE", "ci")),
            password: "ci",
            ..NOTHING
        },
    ];
    succeed(&mut shop.doze(&["generate"]));
    for change in &changes {
        let ask = |change: &Change| {
            let mut command = shop.doze(&[change.options, &["url", "cache"]].concat());
            command.envs(change.variable);
            command
        };
        let before = change.file.map(|(name, text)| {
            let path = shop.world.home().join("shop").join(name);
            let before = fs::read_to_string(&path).ok();
            shop.write(name, text);
            (path, before)
        });
        shop.can_start(false);
        assert_needs_the_driver(&mut ask(change));
        shop.can_start(true);
        let url = succeed(&mut ask(change));
        let start = format!("redis://default:{}@", change.password);
        assert!(url.starts_with(&start), "{url}");
        match before {
            Some((path, Some(text))) => drop(shop.world.write(path, &text)),
            Some((path, None)) => fs::remove_file(path).expect("our file"),
            None => {}
        }
        shop.can_start(false);
        let url = succeed(&mut ask(&NOTHING));
        assert!(url.starts_with("redis://default:one@"), "{url}");
        shop.can_start(true);
    }
    let moved = shop.toml.replace("port = ", "listen = \"unix\" # ");
    shop.write("doze.toml", &moved);
    let at = |folder: &str| {
        let mut command = shop.doze(&["url", "cache"]);
        command.env("XDG_RUNTIME_DIR", shop.world.dir().join(folder));
        succeed(&mut command)
    };
    assert!(at("run").contains("/run/doze/shop/cache/"));
    succeed(&mut shop.doze(&["generate"]));
    assert!(at("else").contains("/else/doze/shop/cache/"));
    shop.can_start(false);
    let mut elsewhere = shop.doze(&["url", "cache"]);
    elsewhere.env("DOZE_HOME", shop.world.dir().join("tmp"));
    assert_needs_the_driver(&mut elsewhere);
}

#[test]
fn another_driver_or_server_is_believed_at_once() {
    let Some(shop) = Shop::new(Some(World::new())) else {
        return;
    };
    succeed(&mut shop.doze(&["generate"]));
    let url = || succeed(&mut shop.doze(&["url", "cache"]));
    let known = url();
    let aside = shop.world.dir().join("driver");
    let script = |scheme: &str| {
        format!(
            "#!/bin/sh\nexec '{}' | sed -u 's/redis:/{scheme}:/g'\n",
            aside.display()
        )
    };
    for scheme in ["first", "other"] {
        shop.replace(&shop.driver, &script(scheme));
        assert_eq!(url(), known.replace("redis", scheme));
        succeed(&mut shop.doze(&["generate"]));
    }
    // A script is asked each time: it may read what it says from anywhere.
    let path = shop.driver.clone();
    let before = fs::metadata(&path)
        .and_then(|it| it.modified())
        .expect("a time");
    shop.world.write(&path, &script("third"));
    set_modified(&path, before);
    assert_eq!(url(), known.replace("redis", "third"));

    copy(&shop.world, &aside, &shop.driver);
    assert_eq!(url(), known);
    succeed(&mut shop.doze(&["generate"]));
    shop.replace(&shop.server, "#!/bin/sh\necho 'Valkey server v=1.0.0'\n");
    let refused = output(&mut shop.doze(&["url", "cache"]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("1.0.0"), "{said}");
}

/// Who has a name that several could have is told; the name of an instance is its own.
#[test]
fn a_name_that_several_could_have_is_told() {
    let Some(shop) = Shop::new(Some(World::new())) else {
        return;
    };
    let major = shop.toml.lines().find(|line| line.starts_with("version"));
    let major = major.expect("a version");
    let more = |name: &str| format!("[valkey.\"{name}\"]\n{major}\nlisten = \"unix\"\n");
    let env = |arguments: &[&str]| {
        let said = output(&mut shop.doze(&[&["env", "--json"], arguments].concat()));
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{told}");
        let all: BTreeMap<String, String> =
            serde_json::from_slice(&said.stdout).expect("an object");
        (all.into_keys().collect::<Vec<_>>(), told)
    };
    let (names, told) = env(&[]);
    assert_eq!(names, ["DOZE_CACHE_URL", "REDIS_URL"]);
    assert_eq!(told, "");

    let toml = [shop.toml.clone(), more("sess.ions"), more("sess-ions")].concat();
    shop.write("doze.toml", &toml);
    let note = "note: REDIS_URL is that of `cache`, the first of 3; those of the others end in \
                their names, as REDIS_URL_SESS_IONS does\n";
    let (names, told) = env(&[]);
    let cache = ["DOZE_CACHE_URL"];
    let sessions = ["DOZE_SESS_IONS_URL", "DOZE_SESS_IONS_URL_"];
    let redis = ["REDIS_URL", "REDIS_URL_SESS_IONS", "REDIS_URL_SESS_IONS_"];
    assert_eq!(names, [&cache[..], &sessions, &redis].concat());
    assert_eq!(told, note);

    let (names, told) = env(&["sess-ions"]);
    assert_eq!(names, ["DOZE_SESS_IONS_URL_", "REDIS_URL_SESS_IONS_"]);
    assert_eq!(told, note);
    let unknown = output(&mut shop.doze(&["env", "cahce"]));
    assert_eq!(unknown.status.code(), Some(2));
}

/// What stands in a URL is what a shell makes of the lines.
#[test]
fn passwords_survive_every_shell() {
    let Some(shop) = Shop::new(Some(World::new())) else {
        return;
    };
    shop.write("p.txt", "'\"$HOME`id`\\ %20 ü#@:/");
    let url = succeed(&mut shop.doze(&["url", "cache"]));
    let url = url.trim_end();
    for (shell, script) in [
        ("/bin/sh", "eval \"$(doze env)\"; printf %s \"$REDIS_URL\""),
        (
            "/bin/bash",
            "eval \"$(doze env)\"; printf %s \"$REDIS_URL\"",
        ),
        (
            "/bin/bash",
            "set -a; . <(doze env --dotenv); printf %s \"$REDIS_URL\"",
        ),
        (
            "/usr/bin/zsh",
            "eval \"$(doze env)\"; printf %s \"$REDIS_URL\"",
        ),
        (
            "/usr/bin/fish",
            "doze env | source; printf %s \"$REDIS_URL\"",
        ),
    ] {
        if needed(shell, Path::new(shell).is_file().then_some(())).is_none() {
            continue;
        }
        let mut command = shop.world.command(shell);
        command
            .args(["-c", script])
            .current_dir(shop.world.home().join("shop"))
            .env("DOZE_VALKEY_BINDIR", &shop.programs);
        assert_eq!(succeed(&mut command), url, "{shell}: {script}");
    }
}
