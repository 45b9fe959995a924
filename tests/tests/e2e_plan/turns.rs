//! Two commands on one project take turns, and the second one says for whom it waits.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::{assert_settled, project};

#[test]
fn the_second_run_waits_and_names_the_first_and_a_plan_waits_for_nobody() {
    let Some(project) = project() else { return };
    let lock = File::open(project.home().join("lock")).expect("it is never removed");
    for arguments in [
        &["up"][..],
        &["apply", "--yes"],
        &["reset", "cache", "--yes"],
        &["destroy", "--yes"],
    ] {
        if arguments.first() == Some(&"reset") {
            project.cached(&["set", "k", "v"]);
        }
        lock.lock().expect("nobody has it");
        assert_settled(&project);
        let mut second = project
            .doze(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("doze starts");
        let stderr = second.stderr.take().expect("a pipe");
        let mut said = BufReader::new(stderr).lines().map_while(Result::ok);
        let me = format!("(pid {})", std::process::id());
        let waits = |line: &String| line.starts_with("waiting for ") && line.ends_with(&me);
        assert!(said.any(|line| waits(&line)), "{arguments:?}");
        lock.unlock().expect("we have it");
        said.for_each(drop);
        let status = second.wait().expect("our child");
        assert!(status.success(), "{arguments:?}: {status}");
    }
}
