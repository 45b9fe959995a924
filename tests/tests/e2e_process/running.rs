//! What a process is given, and when it runs.

use doze_tests::project::{Mode, Project};
use doze_tests::{in_every_mode, wait_until};

use crate::{BOUND, CLOCK, declare, lines, project, text, ticks};

in_every_mode!(
    a_process_runs_while_the_project_is_up,
    what_it_declares_goes_before_its_files_and_those_before_what_doze_says,
    its_address_is_told_to_it_and_to_others,
    a_process_keeps_what_it_refers_to_awake,
    one_that_ended_by_itself_stays_so_until_it_is_woken,
    hooks_run_around_its_life,
    one_that_does_its_work_and_ends_serves_those_that_wait_for_it,
    its_files_have_the_modes_that_they_have_in_the_users_shell,
);

fn a_process_runs_while_the_project_is_up(mode: Mode) {
    let command = "[process.web]\ncommand = \"echo >> starts; exec sleep 3601\"\n";
    let Some(mut project) = project(mode, command) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    assert_eq!(project.running("sleep").len(), 1);
    project.down();
    assert_eq!(project.processes(), []);
    assert_eq!(text(&project, "starts").lines().count(), 1);
}

fn what_it_declares_goes_before_its_files_and_those_before_what_doze_says(mode: Mode) {
    let blocks = r#"[process.web]
command = 'echo "$A $B $DOZE_CACHE_URL $REDIS_URL" > said; exec sleep 3600'
env = { A = "declared" }
env_file = ["first.env", "second.env"]
"#;
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    let write =
        |name: &str, text: &str| drop(project.world.write(format!("home/shop/{name}"), text));
    write("first.env", "A=first\nB=first\n");
    write("second.env", "export B='second'\nDOZE_CACHE_URL=theirs\n");
    project.up();
    let said = lines(&project, "said", 1);
    let url = format!("redis://127.0.0.1:{}/0", project.cache);
    assert_eq!(said, [format!("declared second theirs {url}")]);
}

fn its_address_is_told_to_it_and_to_others(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    let blocks = format!(
        "[process.web]\nport = {port}\n\
         command = 'echo $PORT > port; exec python3 -m http.server $PORT --bind 127.0.0.1'\n\
         [process.other]\ncommand = 'echo \"$WEB $DOZE_WEB_URL\" > other; exec sleep 3600'\n\
         env = {{ WEB = \"${{process.web.url}}\" }}\n"
    );
    declare(&project, &blocks);
    project.up();
    let url = format!("http://127.0.0.1:{port}");
    assert_eq!(lines(&project, "port", 1), [port.to_string()]);
    assert_eq!(lines(&project, "other", 1), [format!("{url} {url}")]);
    assert!(
        project.accepts(port),
        "the other one waited until it is ready"
    );
    assert_eq!(project.run(&["url", "web"]), format!("{url}\n"));
}

fn a_process_keeps_what_it_refers_to_awake(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.web]\ncommand = 'echo >> starts; exec sleep 3600'\n\
         env = {{ URL = \"${{valkey.cache.url}}\" }}\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    // Longer than its idle timeout.
    ticks(&project, 10);
    assert_ne!(project.state("cache"), "asleep");
    project.run(&["sleep", "web"]);
    wait_until("the cache to sleep", BOUND, || {
        match project.state("cache").as_str() {
            "asleep" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}

fn one_that_ended_by_itself_stays_so_until_it_is_woken(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.web]\nhealth.exec = 'true'\n\
         command = 'echo >> starts; test -e again || exec sleep 0.3; exec sleep 3600'\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    gone(&project, "sleep 0.3");
    ticks(&project, 10);
    if mode.has_manager() {
        project.run(&["up"]);
    }
    assert_eq!(text(&project, "starts").lines().count(), 1);
    project.world.write("home/shop/again", "");
    project.run(&["wake", "web"]);
    lines(&project, "starts", 2);
    project.run(&["sleep", "web"]);
    ticks(&project, 10);
    assert_eq!(text(&project, "starts").lines().count(), 2);
}

fn hooks_run_around_its_life(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'echo run >> life; exec sleep 3600'\n\
         hooks = { pre_start = 'echo before >> life', post_start = ['echo after >> life'], \
         pre_stop = 'echo last >> life' }\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "life", 3);
    project.down();
    let life = text(&project, "life");
    assert_eq!(life, "before\nrun\nafter\nlast\n");
}

fn one_that_does_its_work_and_ends_serves_those_that_wait_for_it(mode: Mode) {
    let blocks = format!(
        "{CLOCK}[process.migrate]\ncommand = 'echo >> migrated'\n\
         [process.web]\ncommand = 'cp migrated seen; exec sleep 3600'\n\
         depends_on = ['migrate']\n"
    );
    let Some(mut project) = project(mode, &blocks) else {
        return;
    };
    project.up();
    lines(&project, "seen", 1);
    // Both start with the project, and the second one may have come too late for the first start.
    let began = text(&project, "migrated").lines().count();
    assert!(began <= 2, "{began}");
    ticks(&project, 20);
    assert_eq!(text(&project, "migrated").lines().count(), began);
    wait_until("its activator to leave", BOUND, || {
        match project.state("migrate").as_str() {
            "ended" | "asleep" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    assert_ne!(project.state("web"), "asleep");
}

fn its_files_have_the_modes_that_they_have_in_the_users_shell(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'umask > mask; exec sleep 3600'\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    let ours = project.world.run(&["sh", "-c", "umask"]);
    assert_eq!(lines(&project, "mask", 1), [ours.trim()]);
}

#[test]
fn a_changed_plan_starts_it_again_and_an_unchanged_one_is_silent() {
    let block =
        |n: u32| format!("[process.web]\ncommand = 'echo {n} >> starts; exec sleep 3600'\n");
    let Some(project) = project(Mode::Systemd, &block(1)) else {
        return;
    };
    let said = project.run(&["up"]);
    assert!(said.contains("web (process): runs\n"), "{said}");
    assert_eq!(project.run(&["up"]), "");
    declare(&project, &block(2));
    let said = project.run(&["up"]);
    assert!(said.contains("web: stops for its new settings\n"), "{said}");
    assert!(said.contains("web (process): runs\n"), "{said}");
    assert_eq!(text(&project, "starts"), "1\n2\n");
    assert_eq!(project.run(&["up"]), "");
}

#[test]
fn a_name_starts_that_process_alone() {
    let blocks = "[process.one]\ncommand = 'echo >> one; exec sleep 3600'\n\
         [process.two]\ncommand = 'echo >> two; exec sleep 3600'\n";
    let Some(project) = project(Mode::Systemd, blocks) else {
        return;
    };
    project.run(&["up", "two"]);
    lines(&project, "two", 1);
    assert_eq!(text(&project, "one"), "");
    project.run(&["up"]);
    lines(&project, "one", 1);
    assert_eq!(text(&project, "two").lines().count(), 1);
}

#[test]
fn a_port_that_somebody_has_is_told_and_its_own_is_not() {
    let Some(project) = project(Mode::Systemd, "") else {
        return;
    };
    let port = project.world.port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let block = |n: u32| {
        format!(
            "[process.web]\nport = {port}\nenv = {{ N = {n} }}\n\
             command = 'exec python3 -m http.server $PORT --bind 127.0.0.1'\n"
        )
    };
    declare(&project, &block(1));
    let refused = doze_tests::project::output(&mut project.doze(&["up"]));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains(&format!("127.0.0.1:{port} is taken")),
        "{said}"
    );
    drop(taken);
    project.run(&["up"]);
    assert!(project.accepts(port));
    declare(&project, &block(2));
    project.run(&["up"]);
    assert!(project.accepts(port));
}

#[test]
fn it_has_the_path_of_the_shell_that_said_up() {
    let Some(project) = project(
        Mode::Systemd,
        "[process.web]\ncommand = 'echo \"$PATH\" > path; exec sleep 3600'\n",
    ) else {
        return;
    };
    let programs = project.world.programs();
    let path = format!("{}:/odd $HOME \"q\" \\:/usr/bin:/bin", programs.display());
    let said = doze_tests::project::succeed(project.doze(&["up"]).env("PATH", &path));
    assert!(said.contains("web (process): runs"), "{said}");
    assert_eq!(lines(&project, "path", 1), [path]);
    let file = std::fs::metadata(project.home().join("environment")).expect("it is kept");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777;
    assert_eq!(mode, 0o600);
}

/// Waits until no process of this command is left.
#[track_caller]
fn gone(project: &Project, command: &str) {
    wait_until(&format!("the end of {command}"), BOUND, || {
        let mut left = project.running("sleep");
        left.retain(|process| process.command.ends_with(command));
        if left.is_empty() {
            return Ok(());
        }
        Err(format!("{left:?}"))
    });
}
