//! `doze import compose` with the structure of five public projects, and `doze import hcl`: what is not carried over is
//! said, and clients with the credentials of the file are served at its ports.
//!
//! The files are ours; of the projects they have the services, images, ports and odd corners.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use doze_tests::engines::{self, Engine};
use doze_tests::programs::workspace;
use doze_tests::project::{output, succeed};
use doze_tests::{Tree, World, needed};

/// A file to import with what is around it.
struct Moving {
    name: &'static str,
    world: World,
    postgres: Engine,
    valkey: Engine,
    /// The ports that nobody else uses.
    ports: (u16, u16),
}

impl Moving {
    fn new(name: &'static str) -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let valkey = needed("a Valkey", engines::valkey())?;
        let world = World::with_manager()?;
        let ports = (world.port(), world.port());
        Some(Self {
            name,
            world,
            postgres,
            valkey,
            ports,
        })
    }

    fn fixture(&self) -> PathBuf {
        workspace().join("tests/tests/import").join(self.name)
    }

    fn file(&self) -> &'static str {
        if self.name == "upstream" {
            "doze.hcl"
        } else {
            "compose.yaml"
        }
    }

    /// The command that imports it.
    fn import(&self) -> [&'static str; 3] {
        match self.file() {
            "doze.hcl" => ["import", "hcl", "doze.hcl"],
            file => ["import", "compose", file],
        }
    }

    /// Copies the fixture into a folder of the world, with texts of the compose file replaced.
    /// In the new ones `{pg}` and `{redis}` are the ports, `{pg-version}` and `{redis-version}` what
    /// this machine has.
    fn copy(&self, folder: &str, replace: &[(&str, &str)]) {
        for entry in fs::read_dir(self.fixture()).expect("the fixture is there") {
            let name = entry.expect("it can be listed").file_name();
            let name = name.to_str().expect("UTF-8");
            if name == "imported" {
                continue;
            }
            let mut text = fs::read_to_string(self.fixture().join(name)).expect("text");
            for (from, to) in replace.iter().filter(|_| name == self.file()) {
                let to = to
                    .replace("{pg}", &self.ports.0.to_string())
                    .replace("{redis}", &self.ports.1.to_string())
                    .replace("{pg-version}", &self.postgres.major().to_string())
                    .replace("{redis-version}", &self.valkey.major().to_string());
                assert!(text.contains(from), "{from} is not in {}", self.name);
                text = text.replace(from, &to);
            }
            self.world.write(format!("home/{folder}/{name}"), &text);
        }
    }

    /// What is written, and what is said about it, on a machine where every port is free and that
    /// has Postgres 17.4, Valkey 8.1.8 and MariaDB 11.4.9.
    #[track_caller]
    fn assert_golden(&self) {
        for (program, says) in [
            ("postgres", "postgres (PostgreSQL) 17.4"),
            ("initdb", "initdb (PostgreSQL) 17.4"),
            ("valkey-server", "Valkey server v=8.1.8 sha=0 malloc=libc"),
            (
                "mariadbd",
                "mariadbd  Ver 11.4.9-MariaDB for Linux on x86_64",
            ),
        ] {
            let script = format!("#!/bin/sh\necho '{says}'\n");
            let path = self.world.write(format!("engines/{program}"), &script);
            self.world
                .run(&["chmod", "755", path.to_str().expect("UTF-8")]);
        }
        self.copy("golden", &[]);
        self.world.programs();
        let mut doze = self.world.offline_command("doze");
        doze.args(self.import())
            .args(["--out", "-"])
            .current_dir(self.world.home().join("golden"))
            .env("DOZE_POSTGRES_BINDIR", self.world.dir().join("engines"))
            .env("DOZE_VALKEY_BINDIR", self.world.dir().join("engines"))
            .env("DOZE_MARIADB_BINDIR", self.world.dir().join("engines"));
        let output = output(&mut doze);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        self.world.write("said/doze.toml", &text);
        self.world.write("said/notes", &said);
        let golden = self.fixture().join("imported");
        Tree::read(&self.world.dir().join("said")).assert_golden(&golden);
    }

    fn doze(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command("doze");
        command
            .args(arguments)
            .current_dir(self.world.home().join(self.name))
            .env("DOZE_POSTGRES_BINDIR", self.world.bindir(&self.postgres))
            .env("DOZE_VALKEY_BINDIR", self.world.bindir(&self.valkey));
        command
    }

    /// Imports the file as far as it fits this machine, brings it up, and connects.
    #[track_caller]
    fn assert_served(&self, replace: &[(&str, &str)], postgres: &str, password: &[&str]) {
        self.copy(self.name, replace);
        succeed(&mut self.doze(&self.import()));
        let again = output(&mut self.doze(&self.import()));
        assert_eq!(again.status.code(), Some(2), "it is not overwritten");
        succeed(&mut self.doze(&["up"]));

        let (user, database) = postgres.split_once('@').expect("USER:PASSWORD@DATABASE");
        let url = format!("postgres://{user}@127.0.0.1:{}/{database}", self.ports.0);
        let mut psql = self.world.command(&self.postgres.client);
        let asked = "select current_user || ' ' || current_database()";
        let said = succeed(psql.args(["-XAtq", "-c", asked, &url]));
        let name = user.split(':').next().expect("a name");
        assert_eq!(said, format!("{name} {database}\n"));
        let mut psql = self.world.command(&self.postgres.client);
        succeed(psql.args(["-Xq", "-c", "create table kept ()", &url]));

        let mut cli = self.world.command(&self.valkey.client);
        let port = self.ports.1.to_string();
        let said = succeed(
            cli.args(["-h", "127.0.0.1", "-p", &port])
                .args(password)
                .arg("ping"),
        );
        assert_eq!(said, "PONG\n");
        if !password.is_empty() {
            let mut cli = self.world.command(&self.valkey.client);
            let said = succeed(cli.args(["-h", "127.0.0.1", "-p", &port, "ping"]));
            assert!(said.contains("NOAUTH"), "{said}");
        }
        succeed(&mut self.doze(&["down"]));
    }
}

#[test]
fn nothing_published_and_one_list_for_everything() {
    let Some(moving) = Moving::new("social") else {
        return;
    };
    moving.assert_golden();
    let here = [
        (
            "image: postgres:14-alpine",
            "image: postgres:{pg-version}\n    ports: [\"{pg}:5432\"]",
        ),
        (
            "image: redis:7-alpine",
            "image: valkey/valkey:{redis-version}\n    ports: [\"{redis}:6379\"]",
        ),
    ];
    moving.assert_served(&here, "postgres@postgres", &[]);
}

#[test]
fn everything_from_the_environment_file() {
    let Some(moving) = Moving::new("photos") else {
        return;
    };
    moving.assert_golden();
    let here = [
        (
            "photos/postgres:14-vectors0.4.3@",
            "photos/postgres:{pg-version}-vectors@",
        ),
        (
            "valkey/valkey:8-bookworm@",
            "valkey/valkey:{redis-version}-bookworm@",
        ),
        (
            "    shm_size: 128mb",
            "    ports: [{target: 5432, published: {pg}, host_ip: 127.0.0.1}]",
        ),
        (
            "      test: redis-cli ping || exit 1",
            "      test: x\n    ports: [\"127.0.0.1:{redis}:6379\"]",
        ),
    ];
    moving.assert_served(&here, "postgres:pass%20word@photos", &[]);
}

#[test]
fn settings_on_the_command_line_and_a_password() {
    let Some(moving) = Moving::new("assistant") else {
        return;
    };
    moving.assert_golden();
    let here = [
        ("postgres:15-alpine", "postgres:{pg-version}-alpine"),
        ("redis:6-alpine", "valkey/valkey:{redis-version}-alpine"),
        ("${EXPOSE_POSTGRES_PORT:-5432}:5432", "{pg}:5432"),
        ("${EXPOSE_REDIS_PORT:-6379}:6379", "{redis}:6379"),
    ];
    let password = ["-a", "assist123456", "--no-auth-warning"];
    moving.assert_served(&here, "postgres:assist123456@assistant", &password);
}

#[test]
fn servers_that_are_out_of_support() {
    let Some(moving) = Moving::new("shop") else {
        return;
    };
    moving.assert_golden();
    let here = [("9103:5432", "{pg}:5432"), ("9104:6379", "{redis}:6379")];
    moving.assert_served(&here, "shop:shop@shop", &[]);
}

#[test]
fn anchors_and_an_image_by_another_name() {
    let Some(moving) = Moving::new("dashboards") else {
        return;
    };
    moving.assert_golden();
    let here = [
        (
            "image: redis:7-alpine",
            "image: redis\n    ports: [\"{redis}:6379\"]",
        ),
        ("15432:5432", "{pg}:5432"),
    ];
    moving.assert_served(&here, "postgres@postgres", &[]);
}

/// Another server stands in for it, with the users of the file; its data are another matter.
#[test]
fn a_mysql_is_a_mariadb_for_its_clients() {
    let Some(mariadb) = needed("a MariaDB", engines::mariadb()) else {
        return;
    };
    let Some(world) = World::with_manager() else {
        return;
    };
    let port = world.port().to_string();
    let text = format!(
        "services:\n  db:\n    image: mysql:8.4\n    ports: [\"{port}:3306\"]\n    environment:\n      \
         MYSQL_DATABASE: shop\n      MYSQL_USER: app\n      MYSQL_PASSWORD: \"it's 100% $${{me}}\"\n      \
         MYSQL_ROOT_PASSWORD: top\n    command: --max-connections=70 --innodb-buffer-pool-size 32M\n"
    );
    world.write("home/shop/compose.yaml", &text);
    let doze = |arguments: &[&str]| {
        let mut doze = world.command("doze");
        doze.args(arguments)
            .current_dir(world.home().join("shop"))
            .env("DOZE_MARIADB_BINDIR", world.bindir(&mariadb));
        succeed(&mut doze)
    };
    doze(&["import", "compose", "compose.yaml"]);
    doze(&["up"]);
    let asks = |user: &str, password: &str, sql: &str| {
        let mut client = world.command(&mariadb.client);
        client
            .args([
                "--no-defaults",
                "-N",
                "-h127.0.0.1",
                "-P",
                &port,
                "-u",
                user,
            ])
            .args(["shop", "-e", sql])
            .env("MYSQL_PWD", password);
        succeed(&mut client)
    };
    let said = "select database(), @@max_connections, @@innodb_buffer_pool_size";
    assert_eq!(asks("app", "it's 100% ${me}", said), "shop\t70\t33554432\n");
    asks("root", "top", "create database other; create user u");
    doze(&["down"]);
}

#[test]
fn a_file_of_upstream() {
    let Some(moving) = Moving::new("upstream") else {
        return;
    };
    moving.assert_golden();
    let here = [
        ("version         = 16", "version         = {pg-version}"),
        ("port            = 5432", "port            = {pg}"),
        ("version          = 8", "version          = {redis-version}"),
        ("port             = 6379", "port             = {redis}"),
        // A `$${` is read as `${` by the language of expressions only.
        ("it's $${a} ", "it's $a "),
        (
            "run-api",
            "exec python3 -m http.server --bind 127.0.0.1 $PORT",
        ),
        ("/healthz", "/"),
        (
            "port       = 8080",
            &format!("port       = {}", moving.world.port()),
        ),
    ];
    let password = ["-a", "it's $a \"secret\"", "--no-auth-warning"];
    moving.assert_served(&here, "shop@shop", &password);
}
