//! What becomes of a process that ended by itself.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use doze_tests::project::{Mode, output};
use doze_tests::{in_every_mode, process, wait_until};
use rustix::process::Signal;

use crate::{BOUND, CLOCK, lines, project, text, ticks};

in_every_mode!(
    a_policy_says_after_which_ends_it_is_started_again,
    a_short_job_that_ends_well_has_not_failed,
    one_that_fails_again_and_again_is_given_up,
    a_stop_of_the_project_ends_the_wait_for_the_next_try,
    one_that_fails_on_the_way_down_wakes_nothing_again,
    a_wake_takes_the_place_of_the_next_try,
    a_sleep_ends_the_wait_for_the_next_try,
    a_hold_or_a_restart_brings_back_one_that_was_given_up,
);

fn a_policy_says_after_which_ends_it_is_started_again(mode: Mode) {
    let process = |name: &str, policy: &str, status: u32| {
        format!(
            "[process.{name}]\nhealth.exec = 'test -s {name}'\n\
             command = 'echo >> {name}; sleep 0.3; exit {status}'\n\
             restart = {{ policy = '{policy}', backoff = '100ms', max_retries = 1 }}\n"
        )
    };
    let all = [
        ("no-good", "no", 0, 1),
        ("no-bad", "no", 3, 1),
        ("failure-good", "on_failure", 0, 1),
        ("failure-bad", "on_failure", 3, 2),
        ("always-good", "always", 0, 2),
        ("always-bad", "always", 3, 2),
    ];
    let blocks: String = all
        .map(|(name, policy, status, _)| process(name, policy, status))
        .concat();
    let Some(mut project) = project(mode, &(blocks + CLOCK)) else {
        return;
    };
    project.up();
    for (name, _, _, starts) in all {
        lines(&project, name, starts);
    }
    // Time for more than one start more.
    ticks(&project, 15);
    for (name, _, _, starts) in all {
        assert_eq!(text(&project, name).lines().count(), starts, "{name}");
    }
}

fn a_short_job_that_ends_well_has_not_failed(mode: Mode) {
    let blocks = "[process.job]\ncommand = 'echo >> starts'\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    project.wait_asleep();
    let log = project.log("job");
    assert!(log.contains("job ended by itself"), "{log}");
    assert!(!log.contains("boot failed"), "{log}");
    if mode.has_manager() {
        assert_eq!(project.state("job"), "ended");
    }
}

#[test]
fn an_up_runs_a_short_job_once() {
    // The job is done while the others have not been asked for yet.
    let other = |n| format!("[process.other{n}]\ncommand = 'exec sleep 3600'\n");
    let others: String = (0..10).map(other).collect();
    let blocks = format!("[process.job]\ncommand = 'echo >> starts'\n{others}{CLOCK}");
    let Some(project) = project(Mode::Systemd, &blocks) else {
        return;
    };
    project.run(&["up"]);
    lines(&project, "starts", 1);
    // Time for one start more.
    ticks(&project, 5);
    assert_eq!(text(&project, "starts").lines().count(), 1);
}

fn one_that_fails_again_and_again_is_given_up(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.web]\ncommand = 'echo >> starts; test -e well || exit 1; exec sleep 3600'\n\
         restart = {{ backoff = '100ms', max_retries = 2 }}\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 3);
    ticks(&project, 10);
    assert_eq!(text(&project, "starts").lines().count(), 3);
    assert_eq!(project.cached(&["ping"]), "PONG", "others are not touched");
    project.world.write("home/shop/well", "");
    project.run(&["wake", "web"]);
    lines(&project, "starts", 4);
}

#[test]
fn up_brings_back_one_that_was_given_up() {
    let blocks = "[process.web]\ncommand = 'echo >> starts; test -e well || exit 1; exec sleep 3600'\n\
         restart = { backoff = '100ms', max_retries = 1 }\n";
    let Some(project) = project(Mode::Systemd, blocks) else {
        return;
    };
    let failed = output(&mut project.doze(&["up"]));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&failed.stdout),
        String::from_utf8_lossy(&failed.stderr)
    );
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(
        said.contains("doze-shop-web.service did not start"),
        "{said}"
    );
    assert!(said.contains("help: doze logs web\n"), "{said}");
    lines(&project, "starts", 2);
    wait_until("systemd to give it up", BOUND, || {
        let mut show = project.world.command("systemctl");
        let show = output(show.args(["--user", "is-active", "doze-shop-web.socket"]));
        match String::from_utf8_lossy(&show.stdout).trim() {
            "failed" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    assert_eq!(project.cached(&["ping"]), "PONG", "others are not touched");
    assert_eq!(project.state("web"), "failed");
    let seen = output(&mut project.doze(&["doctor"]));
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.contains("`doze logs web` tells why\n"), "{seen}");
    assert!(!seen.contains("its next client"), "{seen}");
    project.world.write("home/shop/well", "");
    let said = project.run(&["up"]);
    assert!(said.contains("web (process): runs\n"), "{said}");
    assert_eq!(text(&project, "starts").lines().count(), 3);
    assert_eq!(project.run(&["up"]), "");
}

fn a_stop_of_the_project_ends_the_wait_for_the_next_try(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'echo >> starts; exit 1'\nrestart.backoff = '1h'\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    let asked = Instant::now();
    project.down();
    assert!(asked.elapsed() < BOUND);
    assert_eq!(project.processes(), []);
    assert_eq!(text(&project, "starts").lines().count(), 1);
}

/// Upstream §11.5: a dependent that crashed in a shutdown was started again, and booted what it needs.
fn one_that_fails_on_the_way_down_wakes_nothing_again(mode: Mode) {
    let blocks = "[process.web]\ndepends_on = ['cache']\n\
         restart = { policy = 'always', backoff = '10ms', max_retries = 100 }\n\
         command = 'echo >> starts; trap \"exit 1\" TERM; while :; do sleep 0.1; done'\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    project.down();
    assert_eq!(project.processes(), []);
    assert_eq!(text(&project, "starts").lines().count(), 1);
    let log = project.log("cache");
    assert_eq!(log.matches("stopping cache").count(), 1, "{log}");
}

fn a_wake_takes_the_place_of_the_next_try(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'echo >> starts; test -e well || exit 1; exec sleep 3600'\n\
         restart.backoff = '1h'\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    if mode == Mode::Launchd {
        // launchd knows no such pause, so its activator waits itself, and has let go of all else.
        wait_until("the try to be over", BOUND, || {
            match project.logged("web", "leaving with exit status 1") {
                1 => Ok(()),
                times => Err(format!("it has left {times} times")),
            }
        });
    } else {
        project.wait_asleep();
    }
    project.world.write("home/shop/well", "");
    project.run(&["wake", "web"]);
    assert_eq!(text(&project, "starts").lines().count(), 2);
}

fn a_sleep_ends_the_wait_for_the_next_try(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.web]\ncommand = 'echo >> starts; exit 1'\nrestart.backoff = '1s'\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    project.run(&["sleep", "web"]);
    let before = text(&project, "starts").lines().count();
    ticks(&project, 20);
    assert_eq!(text(&project, "starts").lines().count(), before);
}

fn a_hold_or_a_restart_brings_back_one_that_was_given_up(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.web]\ncommand = 'echo >> starts; test -e well || exit 1; exec sleep 3600'\n\
         restart.max_retries = 0\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    ticks(&project, 15);
    assert_eq!(text(&project, "starts").lines().count(), 1);
    let failed = output(&mut project.doze(&["restart", "web"]));
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(text(&project, "starts").lines().count(), 2);
    project.world.write("home/shop/well", "");
    project.run(&["hold", "web", "--", "true"]);
    assert_eq!(text(&project, "starts").lines().count(), 3);
    project.run(&["restart", "web"]);
    assert_eq!(text(&project, "starts").lines().count(), 4);
}

/// systemd closes the sockets of what it gives up.
#[test]
fn a_hold_goes_on_with_one_that_is_given_up_meanwhile() {
    let blocks = "[process.web]\n\
         command = 'echo $$ >> starts; test -e well || exit 1; exec sleep 3600'\n\
         restart = { backoff = '100ms', max_retries = 1 }\n";
    let Some(mut project) = project(Mode::Systemd, blocks) else {
        return;
    };
    let well = project.world.write("home/shop/well", "");
    project.up();
    let started = lines(&project, "starts", 1);
    let mut holding = project
        .doze(&["hold", "web", "--", "sh", "-c", "echo here; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("doze starts");
    let mut said = String::new();
    let stdout = holding.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut said).expect("a line");
    assert_eq!(said, "here\n");

    fs::remove_file(&well).expect("it was there");
    let pid = started.first().and_then(|pid| pid.parse().ok());
    let killed = process::signal(pid.expect("a pid"), project.world.dir(), Signal::KILL);
    assert!(killed, "it ran");
    let mut is_failed = project.world.command("systemctl");
    is_failed.args(["--user", "is-failed", "doze-shop-web.socket"]);
    wait_until("it to be given up", BOUND, || {
        let is_failed = output(&mut is_failed);
        let said = String::from_utf8_lossy(&is_failed.stdout).into_owned();
        is_failed.status.success().then_some(()).ok_or(said)
    });
    project.world.write("home/shop/well", "");
    wait_until("it to run again", BOUND, || match project.state("web") {
        state if state == "running" => Ok(()),
        state => Err(state),
    });
    drop(holding.stdin.take());
    assert!(holding.wait().expect("our child").success());
}
