//! What may stand in a block, and what it means.

use std::time::Duration;

use doze_contract::plan::{Readiness, Restart, RestartPolicy, Start};
use doze_tests::project::Mode;

use crate::{project, refused};

#[test]
fn a_command_alone_is_a_process() {
    let Some(project) = project(Mode::Systemd, "[process.web]\ncommand = \"true\"\n") else {
        return;
    };
    project.run(&["generate"]);
    let plan = project.plan("web");
    assert_eq!(plan.endpoints, []);
    assert_eq!(plan.body.upstream, None);
    let member = plan.body.members.first().expect("one");
    assert_eq!(member.argv, ["/bin/sh", "-c", "true"]);
    assert_eq!(
        member.cwd.as_std_path(),
        project.world.home().join("shop"),
        "the folder of the file"
    );
    let alive = Readiness::Alive {
        lasts: Duration::from_millis(750),
    };
    assert_eq!(member.ready, alive);
    assert_eq!(plan.idle_timeout, None, "it ends with the project");
}

#[test]
fn a_command_is_required() {
    let said = refused("[process.web]\nport = 8080\n");
    assert!(said.contains("`command` is missing"), "{said}");
    assert!(said.contains("doze.toml:1:10"), "{said}");
    let said = refused("[process.web]\ncommand = \"  \"\n");
    assert!(said.contains("`command` is blank"), "{said}");
}

#[test]
fn a_health_check_has_exactly_one_probe() {
    let block = |health: &str| format!("[process.web]\ncommand = \"true\"\nhealth = {health}\n");
    let said = refused(&block("{ interval = \"1s\" }"));
    assert!(said.contains("`health` has no probe"), "{said}");
    let said = refused(&block("{ tcp = 80, exec = \"true\" }"));
    assert!(said.contains("`health` has more than one probe"), "{said}");
    assert!(
        said.contains("leave one of http, tcp, exec, log_line"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_a_process_is_told_at_its_place() {
    for (lines, told) in [
        ("lazy = true", "`lazy` needs an address"),
        ("listen_fds = true", "`listen_fds` is for a lazy process"),
        (
            "port = 80\nlazy = true\nrestart = { policy = \"no\" }",
            "`restart` is for a process that runs while the project is up",
        ),
        (
            "health = { http = \"/up\" }",
            "`http` is a path, and there is no port for it",
        ),
        (
            "health = { log_line = \"(\" }",
            "`log_line` is no regular expression",
        ),
        ("version = 3", "process has no versions"),
        (
            "listen = \"unix\"",
            "`web` starts with the project, and nobody holds",
        ),
        (
            "restart = { backoff = \"soon\" }",
            "`backoff` is no duration",
        ),
    ] {
        let said = refused(&format!("[process.web]\ncommand = \"true\"\n{lines}\n"));
        assert!(said.contains(told), "{lines}: {said}");
    }
}

#[test]
fn without_a_word_on_it_one_that_fails_is_started_again_five_times_a_second_apart() {
    let blocks = "[process.web]\ncommand = \"true\"\n\
                  [process.no]\ncommand = \"true\"\nrestart = { policy = \"no\", max_retries = 9 }\n";
    let Some(project) = project(Mode::Systemd, blocks) else {
        return;
    };
    project.run(&["generate"]);
    let start = |policy, max_retries| {
        Start::WithProject(Restart {
            policy,
            backoff: Duration::from_secs(1),
            max_retries,
        })
    };
    assert_eq!(
        project.plan("web").body.start,
        start(RestartPolicy::OnFailure, 5)
    );
    assert_eq!(project.plan("no").body.start, start(RestartPolicy::No, 0));
}
