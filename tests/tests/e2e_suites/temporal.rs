//! The quick start of Temporal's Python SDK: the worker and the client that the package itself
//! brings along, in its description, and the history that they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Project, output};
use doze_tests::wait::wait_until;
use doze_tests::{engines, needed, process};
use rustix::process::Signal;
use serde_json::Value;

use crate::results::Results;
use crate::{Suite, project};

const PYTHON: &str = "/usr/bin/python3";

const FILES: [&str; 4] = [
    "activities.py",
    "workflows.py",
    "run_worker.py",
    "run_workflow.py",
];

#[test]
fn the_quick_start_of_temporals_sdk_ends_as_it_does_without_doze() {
    let Some(mut project) = project() else { return };
    let Some(temporal) = needed("Temporal", engines::temporal()) else {
        return;
    };
    let bindir = project.world.bindir(&temporal);
    project.set("DOZE_TEMPORAL_BINDIR", &bindir);
    let packages = bindir.parent().expect("it is in a folder").to_path_buf();
    let Some(description) = needed("temporalio beside Temporal", description(&packages)) else {
        return;
    };
    let port = project.world.port();
    for name in FILES {
        let text = example(&description, name).replace("localhost:7233", &address(port));
        project.world.write(format!("home/{name}"), &text);
    }
    let cli = |project: &Project, words: &[&str]| {
        let mut cli = project.world.command(bindir.join("temporal"));
        cli.args(words).args(["--address", &address(port)]);
        cli
    };
    Suite {
        name: "temporalio's quick start",
        instance: "workflows",
        port,
        probe: &|project| {
            cli(
                project,
                &["operator", "namespace", "describe", "-n", "default"],
            )
        },
        run: &|project, _| {
            let mut worker = python(project, &packages, "run_worker.py");
            let mut worker = worker.spawn().expect("it starts");
            let ran = output(&mut python(project, &packages, "run_workflow.py"));
            // Python may crash at its end, when the client has said its result and still has a
            // thread (https://github.com/temporalio/sdk-python/issues/300), without doze as well.
            let said = if ran.stdout.is_empty() {
                ran.stderr
            } else {
                ran.stdout
            };
            let said = String::from_utf8_lossy(&said);
            let show = ["workflow", "show", "-w", "my-workflow-id", "-o", "json"];
            let shown = output(&mut cli(project, &show));
            wait_until("the worker to end", Duration::from_secs(30), || {
                let left = project.running("python3");
                for process in &left {
                    process::signal(process.pid, project.world.dir(), Signal::KILL);
                }
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(process::list(&left))
                }
            });
            worker.wait().expect("our child");
            let mut results = vec![("run_workflow.py".to_owned(), said.trim_end().to_owned())];
            results.extend(events(&shown.stdout));
            Results::of(results)
        },
        passed: ("Result: Hello, my name!", 1),
        differs: "",
    }
    .compare(
        project,
        &format!("[temporal.workflows]\nversion = 1\nport = {port}\n"),
    );
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What the package says of itself, once it is there.
fn description(packages: &Path) -> Option<String> {
    let is = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("temporalio-") && name.ends_with(".dist-info")
    };
    let entries = fs::read_dir(packages).ok()?.filter_map(Result::ok);
    let folder = entries.map(|entry| entry.path()).find(is)?;
    fs::read_to_string(folder.join("METADATA")).ok()
}

/// The file that the reader is told to create.
fn example<'a>(description: &'a str, name: &str) -> &'a str {
    let found = description
        .split_once(&format!("`{name}`:"))
        .and_then(|(_, rest)| rest.split_once("```python\n"))
        .and_then(|(_, rest)| rest.split_once("```"));
    found.expect("the quick start has it").0
}

fn python(project: &Project, packages: &Path, script: &str) -> Command {
    let mut python = project.world.command(PYTHON);
    let cache = project.world.dir().join("tmp/pycache");
    python
        .arg(script)
        .env("PYTHONPATH", packages)
        .env("PYTHONPYCACHEPREFIX", cache)
        .env("PYTHONUNBUFFERED", "1");
    python
}

/// What the history of the workflow is made of.
fn events(json: &[u8]) -> Vec<(String, String)> {
    let history: Value = serde_json::from_slice(json).unwrap_or_default();
    let events = history.pointer("/events").and_then(Value::as_array);
    let mut all = Vec::new();
    for event in events.into_iter().flatten() {
        let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
        all.push((
            format!("event {}", text("eventId")),
            text("eventType").to_owned(),
        ));
    }
    all
}
