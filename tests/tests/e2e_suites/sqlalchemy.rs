//! The suite that `SQLAlchemy` has for the authors of dialects, with its own requirements, and as its
//! README.unittests.rst sets up the servers.

use std::process::Command;

use doze_tests::project::Project;
use doze_tests::{engines, needed};

use crate::pytest::Pytest;
use crate::{Suite, project};

const TESTS: &str = "test/dialect/test_suite.py";

#[test]
fn the_dialect_suite_of_sqlalchemy_on_postgres_ends_as_it_does_without_doze() {
    let Some(project) = project() else { return };
    let Some(postgres) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let Some(pytest) = Pytest::of(&project.world, "sqlalchemy") else {
        return;
    };
    let port = project.app;
    let url = format!("postgresql+psycopg://app@127.0.0.1:{port}/app");
    Suite {
        name: "SQLAlchemy with psycopg",
        instance: "app",
        port,
        probe: &|project| {
            let mut probe = project.world.command(postgres.bindir.join("pg_isready"));
            probe.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            probe
        },
        run: &|project, name| pytest.run(&project.world, name, &[TESTS, "--dburi", &url]),
        passed: ("passed", 1500),
        differs: "",
    }
    .compare(
        project,
        &format!(
            "[postgres.app]\nversion = {}\nport = {port}\nowner = \"app\"\n\
             extensions = [\"hstore\", \"citext\"]\nsettings.max_prepared_transactions = 10\n\
             schema = {{ test_schema = {{}}, test_schema_2 = {{}} }}\n",
            postgres.major()
        ),
    );
}

#[test]
fn the_dialect_suite_of_sqlalchemy_on_mariadb_ends_as_it_does_without_doze() {
    let Some(project) = project() else { return };
    let Some(mariadb) = needed("a MariaDB", engines::mariadb()) else {
        return;
    };
    let Some(pytest) = Pytest::of(&project.world, "sqlalchemy") else {
        return;
    };
    let port = project.world.port();
    let url = format!("mariadb+pymysql://app:tiger@127.0.0.1:{port}/app?charset=utf8mb4");
    let mut numbers = mariadb.version.split('.');
    let series = [numbers.next(), numbers.next()].map(Option::unwrap_or_default);
    Suite {
        name: "SQLAlchemy with PyMySQL",
        instance: "app",
        port,
        probe: &|project| ping(project, &mariadb.client, port),
        run: &|project, name| pytest.run(&project.world, name, &[TESTS, "--dburi", &url]),
        passed: ("passed", 1000),
        differs: "",
    }
    .compare(
        project,
        &format!(
            "[mariadb.app]\nversion = \"{}\"\nport = {port}\ncollation = \"utf8mb4_unicode_ci\"\n\
             user.app.password = \"tiger\"\ndatabase.test_schema = {{}}\n",
            series.join(".")
        ),
    );
}

fn ping(project: &Project, client: &std::path::Path, port: u16) -> Command {
    let mut probe = project.world.command(client);
    probe
        .args([
            "--no-defaults",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--user=app",
        ])
        .args([&format!("--port={port}"), "--execute=SELECT 1"])
        .env("MYSQL_PWD", "tiger");
    probe
}
