//! The regression tests of `PostgreSQL`, all of its parallel schedule, as `make installcheck` runs
//! them.

use doze_tests::project::output;
use doze_tests::{engines, needed};

use crate::pytest::fetched;
use crate::results::Results;
use crate::{Suite, project};

#[test]
fn the_regression_tests_of_postgres_end_as_they_do_without_doze() {
    let Some(project) = project() else { return };
    let Some(postgres) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let Some(tests) = fetched(&project.world, &format!("regress-{}", postgres.version)) else {
        return;
    };
    let port = project.app;
    let probe = |project: &doze_tests::project::Project| {
        let mut probe = project.world.command(postgres.bindir.join("pg_isready"));
        probe.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        probe
    };
    let run = |project: &doze_tests::project::Project, name: &str| {
        let folder = project.world.home().join(name);
        project
            .world
            .run(&["mkdir", folder.to_str().expect("UTF-8")]);
        let option = |name: &str, value: &std::path::Path| format!("--{name}={}", value.display());
        let mut regress = project.world.command(tests.join("pg_regress"));
        regress
            .arg(option("inputdir", &tests))
            .arg(option("schedule", &tests.join("parallel_schedule")))
            .arg(option("dlpath", &tests))
            .arg(option("bindir", &postgres.bindir))
            .arg(option("outputdir", &folder))
            .args([
                "--max-concurrent-tests=20",
                "--host=127.0.0.1",
                "--user=postgres",
            ])
            .arg(format!("--port={port}"))
            .current_dir(&folder);
        let output = output(&mut regress);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        project.world.write(folder.join("said"), &said);
        Results::of_pg_regress(&said)
    };
    Suite {
        name: &format!("PostgreSQL {}", postgres.version),
        instance: "app",
        port,
        probe: &probe,
        run: &run,
        passed: ("ok", 200),
        differs: "",
    }
    // Without an owner the clients are the superuser that made the cluster, as the tests expect.
    .compare(
        project,
        &format!(
            "[postgres.app]\nversion = {}\nport = {port}\n",
            postgres.major()
        ),
    );
}
