//! What a power loss may leave of doze's own files: nothing, a half, all but the end, or the
//! bytes of somebody else.
//!
//! Whatever it is, a client is not left waiting, and `doze up` mends it or names the file, after
//! whose removal it does.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::stage::{BOUND, Stage};
use doze_tests::process;
use doze_tests::project::{Mode, Project, output};
use doze_tests::size::is_large;
use doze_tests::wait_until;
use rustix::process::Signal;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Empty,
    Half,
    AllButOneByte,
    Garbage,
}

const DAMAGES: [Damage; 4] = [
    Damage::Empty,
    Damage::Half,
    Damage::AllButOneByte,
    Damage::Garbage,
];

/// Every file that doze writes for the cache, and those of the whole project.
fn files(project: &Project) -> Vec<PathBuf> {
    let (home, units) = (project.home(), project.world.units());
    let mut files = vec![
        home.join("plans/cache.json"),
        home.join("plans/SOURCE"),
        home.join("data/cache/doze-provisioned"),
        home.join("locks/cache"),
        home.join("lock"),
        home.join("logs/cache.log"),
        project.world.runtime_dir().join("doze/shop/applied.json"),
    ];
    for unit in ["-cache.service", "-cache.socket", ".target", ".slice"] {
        files.push(units.join(format!("doze-shop{unit}")));
    }
    for name in ["endpoints.json", "endpoints.toml"] {
        files.push(project.world.home().join("shop/.doze").join(name));
    }
    files
}

#[test]
fn a_damaged_file_is_mended_or_named() {
    let Some(project) = Project::new(Mode::Systemd, "100ms") else {
        return;
    };
    project.run(&["up"]);
    project.cached(&["set", "k", "v"]);
    project.wait_asleep();

    let mut cells = 0;
    for (at, file) in files(&project).iter().enumerate() {
        for damage in DAMAGES.iter().skip(if is_large() { 0 } else { at % 4 }) {
            cell(&project, file, *damage);
            cells += 1;
            if !is_large() {
                break;
            }
        }
    }
    println!("{cells} damaged files");
}

fn cell(project: &Project, file: &Path, damage: Damage) {
    let name = file.strip_prefix(project.world.dir()).unwrap_or(file);
    let before = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
    spoil(file, &before, damage);
    if file.starts_with(project.world.units()) {
        // As at the next login.
        project.world.run(&["systemctl", "--user", "daemon-reload"]);
    }

    // Whatever it says: it ends.
    let early = output(&mut project.cli(&["get", "k"]));
    let early = if early.status.success() && early.stdout == b"v\n" {
        "served"
    } else {
        "turned away"
    };
    let up = output(&mut project.doze(&["up"]));
    let said = String::from_utf8_lossy(&up.stderr).into_owned();
    let mended = if up.status.success() {
        "mended"
    } else {
        assert!(
            said.contains(&*file.to_string_lossy()),
            "{damage:?} {} is not named: {said}",
            name.display()
        );
        fs::remove_file(file).expect("it is there");
        project.run(&["up"]);
        "named"
    };
    println!("{}, {damage:?}: {early}, then {mended}", name.display());

    let answer = output(&mut project.cli(&["get", "k"]));
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "v\n",
        "{damage:?} {}",
        name.display(),
    );
    project.wait_asleep();
    assert_eq!(project.run(&["up"]), "", "{damage:?} {}", name.display());
    let is_kept = ["logs", "locks", "lock"]
        .iter()
        .any(|part| name.components().any(|c| c.as_os_str() == *part));
    if !is_kept {
        assert_eq!(
            String::from_utf8_lossy(&fs::read(file).expect("it is there again")),
            String::from_utf8_lossy(&before),
            "{}",
            name.display()
        );
    }
}

/// In place, as a disk does it: the owner and the mode stay.
fn spoil(file: &Path, before: &[u8], damage: Damage) {
    let length = match damage {
        Damage::Empty | Damage::Garbage => 0,
        Damage::Half => before.len() / 2,
        Damage::AllButOneByte => before.len().saturating_sub(1),
    };
    let mut open = File::options()
        .write(true)
        .truncate(true)
        .open(file)
        .expect("it is there");
    open.write_all(before.get(..length).unwrap_or_default())
        .expect("room");
    if matches!(damage, Damage::Garbage) {
        open.write_all(b"\xff\xfe\0garbage\0\x80 = [\n{\"")
            .expect("room");
    }
}

/// What a provisioning that was cut off has left is thrown away, and what doze did not make is
/// left alone, whatever it is.
#[test]
fn data_that_is_not_whole_is_never_used() {
    let Some(project) = Project::new(Mode::Systemd, "100ms") else {
        return;
    };
    project.run(&["up"]);
    let aside = project.home().join("data/.app.new/pgdata");
    project.world.write(aside.join("PG_VERSION"), "15\n");
    project.world.write(aside.join("base/1/112"), "half a page");
    assert_eq!(project.sql("select 1"), "1");
    project.wait_asleep();
    assert!(!aside.try_exists().expect("our directory"));

    let data = project.home().join("data/cache");
    let precious = project.world.write(data.join("dump.rdb"), "not ours");
    let refused = output(&mut project.doze(&["wake", "cache"]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        said.contains(&*data.to_string_lossy()) && said.contains("was not made by doze"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(&precious).expect("it is there"),
        "not ours"
    );
    fs::remove_file(&precious).expect("it is there");
    wait_until("the next try", BOUND, || {
        let wake = output(&mut project.doze(&["wake", "cache"]));
        if wake.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&wake.stderr).into_owned())
        }
    });
    assert_eq!(project.cached(&["ping"]), "PONG");
}

/// After a power loss another process of the user may have the number that the server had: the
/// lock of the instance tells that no server runs, so its pid file keeps nobody from the data.
#[test]
fn a_pid_that_somebody_else_has_now_keeps_nobody_from_the_data() {
    let Some(mut stage) = Stage::new(Mode::Systemd, "app") else {
        return;
    };
    stage.write();
    let engine = stage.engine().expect("it serves");
    let cluster = stage.plan().paths.data.join("pgdata");
    let pid_file = cluster.as_std_path().join("postmaster.pid");
    let before = fs::read_to_string(&pid_file).expect("the server runs");
    // As the power loss does: all at once, and nothing is tidied up.
    let activator = stage.activator().expect("it serves");
    stage.signal(&activator, Signal::STOP);
    stage.signal(&engine, Signal::KILL);
    stage.signal(&activator, Signal::KILL);
    let stop = ["systemctl", "--user", "stop", "doze-shop-app.service"];
    stage.project.world.run(&stop);

    let mut other = stage.project.world.command("sleep");
    let mut other = other.arg("1000").spawn().expect("sleep starts");
    let sleeper = stage.found("another process of the user", || {
        stage.find(|process| process.command == "sleep 1000")
    });
    let text = before.replacen(&engine.pid.to_string(), &sleeper.pid.to_string(), 1);
    stage.project.world.write(&pid_file, &text);
    let tries = stage.write();
    stage.check();
    process::signal(sleeper.pid, stage.project.world.dir(), Signal::KILL);
    other.wait().expect("our child");
    assert_eq!(tries, 1);
}
