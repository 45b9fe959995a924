//! The guide to writing a driver: both of its drivers, built, tested and used as it says.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use doze_tests::process;
use doze_tests::programs::{cargo, target, workspace};
use doze_tests::project::{output, succeed};
use doze_tests::skip::skip;
use doze_tests::{World, needed, wait_until};

use crate::markdown::{Block, Page};
use crate::wildcard::{fits, line_fits};

const BOUND: Duration = Duration::from_mins(1);

/// Lines that a driver in Rust may take.
const RUST_LINES: usize = 150;

/// Where Debian has the server.
const MEMCACHED: &str = "/usr/bin/memcached";

fn block(is_it: impl Fn(&Block) -> bool) -> Block {
    let blocks = Page::read("docs/guides/write-an-engine.md").blocks();
    let mut found = blocks.into_iter().filter(is_it);
    let block = found.next().expect("the guide shows it");
    assert!(found.next().is_none(), "{} stands there twice", block.place);
    block
}

fn file(name: &str) -> String {
    block(|block| block.file() == Some(name)).text()
}

/// Writes the driver in Python as the world's user has it.
fn python(world: &World, text: &str) -> PathBuf {
    let path = world.write("drivers/doze-driver-memcached", text);
    world.run(&["chmod", "755", path.to_str().expect("UTF-8")]);
    path
}

/// Builds the driver in Rust, of what the workspace is built of, and puts it into the world.
fn rust(world: &World) -> PathBuf {
    let folder = tempfile::tempdir().expect("a folder");
    let main = file("src/main.rs");
    let lines = main.lines().count();
    assert!(lines < RUST_LINES, "the driver has {lines} lines");
    let sdk = workspace().join("engines/driver");
    let manifest = file("Cargo.toml");
    let found = manifest.replace("../doze/engines/driver", sdk.to_str().expect("UTF-8"));
    assert_ne!(found, manifest, "the SDK is somewhere else");
    fs::create_dir(folder.path().join("src")).expect("a fresh folder");
    for (name, text) in [("Cargo.toml", found), ("src/main.rs", main)] {
        let mut file = fs::File::create(folder.path().join(name)).expect("a fresh file");
        file.write_all(text.as_bytes()).expect("room");
    }
    let lock = workspace().join("Cargo.lock");
    fs::copy(lock, folder.path().join("Cargo.lock")).expect("a fresh file");
    let mut build = cargo();
    build
        .args(["build", "--quiet", "--offline", "--target-dir"])
        .arg(target())
        .current_dir(folder.path());
    succeed(&mut build);
    let built = target().join("debug/doze-driver-memcached");
    let path = world.dir().join("bin/doze-driver-memcached");
    fs::copy(built, &path).expect("it was built");
    path
}

/// A `doze` of the world that finds memcached there, if it is there, and this driver.
fn doze(world: &World, driver: &Path, arguments: &[&str]) -> Command {
    let mut doze = world.command("doze");
    doze.args(arguments)
        .env("DOZE_MEMCACHED_DRIVER", driver)
        .env("DOZE_MEMCACHED_BINDIR", world.dir().join("engine"));
    doze
}

fn test(world: &World, driver: &Path) -> Command {
    doze(
        world,
        Path::new("/nonexistent"),
        &["driver", "test", driver.to_str().expect("UTF-8")],
    )
}

/// What memcached, or its driver, answers to these lines on one connection.
fn say(port: u16, lines: &str, answers: usize) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(BOUND)).expect("a socket");
    stream.write_all(lines.as_bytes()).expect("it is read");
    let heard = BufReader::new(stream).lines().take(answers);
    heard.map(|line| line.expect("an answer in time")).collect()
}

/// The rest of the guide, whatever the driver is written in.
fn works(make: impl Fn(&World) -> PathBuf) {
    let there = Path::new(MEMCACHED).is_file().then_some(());
    let (Some(()), Some(world)) = (needed("a memcached", there), World::with_manager()) else {
        return;
    };
    let driver = make(&world);
    let (engine, away) = (world.dir().join("engine"), world.dir().join("away"));
    fs::create_dir(&engine).expect("a fresh folder");
    symlink(MEMCACHED, engine.join("memcached")).expect("a fresh folder");

    let printed = succeed(&mut test(&world, &driver));
    let printed: Vec<_> = printed.lines().map(str::to_owned).collect();
    let shown = block(|block| block.is("driver-test")).lines;
    assert!(fits(&shown, &printed), "{printed:#?}");
    let not_run = printed
        .iter()
        .filter_map(|line| line.strip_prefix("not run  "));
    assert_eq!(
        not_run.collect::<Vec<_>>(),
        [
            "plan: no secret on a command line or in an environment",
            "plan: any text is a password, and stays one",
            "client: what one stores the others have",
            "client: two that have nothing in common are let in by what the plan says",
            "wake: what was stored before the sleep is there",
            "crash: what was stored is there",
            "kill -9: what was stored is there",
            "clone: what was stored is in both",
            "password: with any text for one the engine boots and converges",
            "password: clients are let in with it",
        ]
    );

    // Beside the drivers that ship with doze, one of which has the same example.
    let folder = world.write("home/new/.keep", "");
    let folder = folder.parent().expect("a folder");
    succeed(doze(&world, &driver, &["init"]).current_dir(folder));
    let written = fs::read_to_string(folder.join("doze.toml")).expect("it was written");
    let instance = "\n[memcached.cache]\nversion = \"1.6\"\n";
    assert!(written.contains(instance), "{written}");
    succeed(doze(&world, &driver, &["generate", "--out", "out"]).current_dir(folder));

    let port = world.port();
    let toml = file("doze.toml").replace("11211", &port.to_string());
    world.write("home/doze.toml", &(toml + "idle_timeout = \"100ms\"\n"));
    succeed(&mut doze(&world, &driver, &["up"]));
    let asleep = || {
        wait_until("memcached to sleep", BOUND, || match world.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(process::list(&left)),
        });
    };
    asleep();
    let told = "set greeting 0 0 5\r\nhello\r\nget greeting\r\nquit\r\n";
    let shown = block(|block| block.is("conversation")).lines;
    assert_eq!(say(port, told, shown.len()), shown);
    asleep();
    assert_eq!(
        say(port, "get greeting\r\nquit\r\n", 1),
        ["END"],
        "it forgets"
    );
    asleep();
    fs::rename(&engine, &away).expect("our folder");
    let shown = block(|block| block.is("refusal")).lines.concat();
    let said = say(port, "get greeting\r\n", 2).concat();
    assert!(line_fits(&shown, &said), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    fs::rename(&away, &engine).expect("our folder");
    assert_eq!(say(port, told, 1), ["STORED"]);
    succeed(&mut doze(&world, &driver, &["down"]));
    is_published(&world, &driver);
}

/// The end of the guide: the driver and the engine come from a registry.
fn is_published(world: &World, driver: &Path) {
    if !Path::new("/usr/bin/patchelf").is_file() || !cfg!(target_arch = "x86_64") {
        skip("the recipe of memcached needs patchelf, and the page shows Linux on x86_64");
        return;
    }
    // Away from where doze looks for drivers.
    let home = world.home();
    fs::rename(driver, home.join("doze-driver-memcached")).expect("our driver");
    let trees = tempfile::tempdir().expect("a folder");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
    succeed(
        Command::new("bash")
            .arg(workspace().join("engines/recipes/build"))
            .arg("--cache")
            .arg(cache)
            .arg("memcached")
            .arg(trees.path().join("memcached")),
    );
    succeed(
        Command::new("cp")
            .arg("-r")
            .arg(trees.path().join("memcached"))
            .arg(&home),
    );

    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        world.programs().display()
    );
    let script = block(|block| block.is("publish")).text();
    let printed = succeed(world.command("sh").args(["-ec", &script]).env("PATH", path));
    let printed: Vec<_> = printed.lines().map(str::to_owned).collect();
    let shown = block(|block| block.is("published")).lines;
    assert!(fits(&shown, &printed), "{printed:#?}");

    let port = world.port();
    let toml = file("web/doze.toml").replace("11211", &port.to_string());
    let toml = toml.replace("/home/you", home.to_str().expect("UTF-8"));
    world.write("home/web/doze.toml", &toml);
    let doze = |word: &str| {
        succeed(
            world
                .command("doze")
                .arg(word)
                .current_dir(home.join("web")),
        )
    };
    doze("up");
    let told = "set greeting 0 0 5\r\nhello\r\nget greeting\r\nquit\r\n";
    let shown = block(|block| block.is("conversation")).lines;
    assert_eq!(say(port, told, shown.len()), shown);
    let plan = world
        .data_home()
        .join("doze/projects/web/plans/sessions.json");
    let plan = fs::read_to_string(plan).expect("it was written");
    for stored in [
        "store/engines/memcached/1.6.18-",
        "store/modules/memcached/0.1.0-",
    ] {
        assert!(plan.contains(stored), "{plan}");
    }
    doze("down");
}

#[test]
fn the_driver_in_rust_works() {
    works(rust);
}

#[test]
fn the_driver_in_python_works() {
    works(|world| python(world, &file("doze-driver-memcached")));
}

/// A process that has to be ready before memcached is started, by a line in a file.
const HELPER: &str = r#"{
                "name": "helper",
                "argv": ["/bin/sh", "-c", "echo ready >helper; exec sleep 1000"],
                "env": {},
                "cwd": call["run"],
                "ready": {"file_line": {"path": call["run"] + "/helper", "line": 1, "text": "ready"}},
                "ready_within_ms": 10000,
                "stop": {"signal": "SIGTERM", "within_ms": 10000},
            },"#;

#[test]
fn an_engine_of_two_processes_is_tested_as_well() {
    let there = Path::new(MEMCACHED).is_file().then_some(());
    let Some(()) = needed("a memcached", there) else {
        return;
    };
    let world = World::new();
    let one = file("doze-driver-memcached");
    let two = one.replace("\"members\": [", &format!("\"members\": [{HELPER}"));
    assert_ne!(one, two, "the driver has no members");
    let driver = python(&world, &two);
    fs::create_dir(world.dir().join("engine")).expect("a fresh folder");
    symlink(MEMCACHED, world.dir().join("engine/memcached")).expect("a fresh folder");
    let printed = succeed(&mut test(&world, &driver));
    assert!(printed.contains("ok       kill -9"), "{printed}");
    assert_eq!(process::list(&world.processes()), "");
}

/// A way to break the driver in Python: what is replaced by what, and the rule that breaks.
type Mistake = (&'static str, &'static str, &'static str);

/// In how it speaks and describes.
const MISTAKES_IN_TALK: [Mistake; 8] = [
    (
        r#"["1.4", "1.5", "1.6"]"#,
        r#"["1.6", "1.5"]"#,
        "describe: majors, oldest first",
    ),
    (
        r#""driver": "0.1.0""#,
        r#""driver": str(time.time())"#,
        "describe: the same answer each time",
    ),
    (
        "except Exception as error",
        "except KeyError as error",
        "a line that is no request",
    ),
    (
        r#"if request["protocol"] != PROTOCOL"#,
        "if not request",
        "another protocol",
    ),
    (
        r#"if request["protocol"] != PROTOCOL"#,
        r#"if len(request) > 2 or request["protocol"] != PROTOCOL"#,
        "a field that it does not know",
    ),
    (
        "    serve()\n",
        "    serve()\n    sys.exit(3)\n",
        "the end of input",
    ),
    (
        "    serve()\n",
        "    serve()\n    print('bye')\n",
        "the end of input",
    ),
    (
        r#""additionalProperties": False"#,
        r#""additionalProperties": True"#,
        "describe: a schema",
    ),
];

/// In what it says of an instance.
const MISTAKES_IN_PLANS: [Mistake; 9] = [
    (
        r#"{**defaults, **call["block"]}"#,
        r#"call["block"]"#,
        "check: every default",
    ),
    (
        "not isinstance(value, bool)",
        "value is None",
        "check: a wrong value is told",
    ),
    (
        "if name not in KEYS:",
        "if name not in KEYS and not problems:",
        "check: unknown keys are told",
    ),
    (
        r#""has to be a boolean""#,
        r#""cannot be %s" % (value,)"#,
        "check: no problem repeats a value",
    ),
    (
        r#""fingerprint": "memcached""#,
        r#""fingerprint": str(time.time())"#,
        "plan: the same answer each time",
    ),
    (
        "    argv = [",
        "    os.stat(call[\"toolchain\"][\"server\"])\n    argv = [",
        "plan: made for programs and folders that are not there",
    ),
    (
        r#"upstream = os.path.join(call["run"], SOCKET)"#,
        "upstream = '/tmp/' + SOCKET",
        "plan: writes and listens in the run folder",
    ),
    (
        r#"call["endpoints"][0].removeprefix("unix:")"#,
        r#""127.0.0.1:11211""#,
        "plan: a variable, and the URL",
    ),
    (
        "client.sendall(b\"SERVER_ERROR %s\\r\\n\" % line.encode(errors=\"replace\"))",
        "client.sendall(b\"ERROR\\r\\n\")",
        "refuse: a client that says hello is told",
    ),
];

/// Those that only the engine brings to light.
const MISTAKES_WITH_ENGINE: [Mistake; 4] = [
    ("--unix-mask=600", "--unix-mask=666", "boot: ready in time"),
    (
        "--memory-limit=%d",
        "--no-such-option=%d",
        "boot: ready in time",
    ),
    (
        "\"within_ms\": 10000",
        "\"within_ms\": 1",
        "stop: as the plan says",
    ),
    (
        "    \"\"\"Nothing to do: memcached writes no file.\"\"\"",
        "    os.chmod(_call[\"data\"], 0o755)",
        "provision: a data directory, for its owner alone",
    ),
];

fn assert_found((from, to, rule): Mistake, has_engine: bool) {
    let world = World::new();
    let text = file("doze-driver-memcached");
    let broken = text.replacen(from, to, 1);
    assert_ne!(broken, text, "{from:?} is not in the driver");
    let driver = python(&world, &broken);
    let engine = world.dir().join("engine");
    fs::create_dir(&engine).expect("a fresh folder");
    if has_engine {
        symlink(MEMCACHED, engine.join("memcached")).expect("a fresh folder");
    }
    let tested = output(&mut test(&world, &driver));
    let printed = String::from_utf8_lossy(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1), "{to:?}:\n{printed}");
    let first = printed.lines().find_map(|line| line.strip_prefix("failed"));
    let first = first.expect("a rule is broken").trim_start();
    assert!(
        first.starts_with(rule),
        "{to:?} breaks {first:?}:\n{printed}"
    );
}

/// Puts each of them to the test, some at a time.
fn assert_all_found(mistakes: &[Mistake], has_engine: bool) {
    for some in mistakes.chunks(4) {
        thread::scope(|scope| {
            for mistake in some {
                scope.spawn(move || assert_found(*mistake, has_engine));
            }
        });
    }
}

#[test]
fn a_driver_that_speaks_wrongly_is_found_out() {
    assert_all_found(&MISTAKES_IN_TALK, false);
}

#[test]
fn a_driver_that_plans_wrongly_is_found_out() {
    assert_all_found(&MISTAKES_IN_PLANS, false);
}

#[test]
fn a_driver_whose_engine_does_not_do_as_planned_is_found_out() {
    let there = Path::new(MEMCACHED).is_file().then_some(());
    if needed("a memcached", there).is_some() {
        assert_all_found(&MISTAKES_WITH_ENGINE, true);
    }
}
