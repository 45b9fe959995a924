//! Whole files, as they are read with drivers that have a few keys.

use std::collections::BTreeMap;

use doze_contract::{
    EngineName, Version,
    protocol::{Check, Description, Problem},
};
use serde_json::json;

use super::import;
use crate::{
    drivers::DriverError,
    import::{Imported, Surroundings},
};

/// Files and drivers of a test, and nothing else.
#[derive(Debug, Default)]
pub(in crate::import) struct Alone {
    files: BTreeMap<String, String>,
}

impl Alone {
    pub(in crate::import) fn with_files(files: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let files = files.iter().map(owned).collect();
        Self { files }
    }
}

impl Surroundings for Alone {
    fn describe(&self, engine: &EngineName) -> Result<Option<Description>, DriverError> {
        let (majors, port, properties) = match engine.as_str() {
            "postgres" => (
                json!(["14", "15", "16"]),
                5432,
                json!({
                    "owner": { "type": "string" }, "max_connections": { "type": "integer" },
                    "fsync": { "type": "boolean" }, "shared_buffers": { "type": "string" },
                    "settings": { "type": "object" }, "role": { "type": "object" },
                    "extensions": { "type": "array" },
                }),
            ),
            "valkey" => (
                json!(["7", "8"]),
                6379,
                json!({
                    "password": { "type": "string" }, "maxmemory": { "type": "string" },
                    "appendonly": { "type": "boolean" }, "settings": { "type": "object" },
                }),
            ),
            "kvrocks" => (
                json!(["2"]),
                6666,
                json!({
                    "password": { "type": "string" }, "workers": { "type": "integer" },
                    "settings": { "type": "object" },
                }),
            ),
            // What they take is asked of nobody.
            "ferret" => (json!(["2"]), 27017, json!({})),
            "mariadb" => (
                json!(["11.4", "11.8"]),
                3306,
                json!({ "grant": { "type": "array" } }),
            ),
            "temporal" => (json!(["1"]), 7233, json!({})),
            _ => return Ok(None),
        };
        let about = json!({
            "engine": engine, "driver": "1", "majors": majors, "example": "x",
            "schema": { "type": "object", "properties": properties },
            "default_port": port, "socket_name": "x", "refuses_root": false,
            "toolchain": { "servers": [], "needs": [], "folders": [], "packages": [] },
        });
        Ok(Some(serde_json::from_value(about).unwrap()))
    }

    fn installed(&self, about: &Description) -> Vec<Version> {
        about.majors.iter().take(2).rev().cloned().collect()
    }

    fn check(&self, _: &EngineName, check: Check) -> Result<Vec<Problem>, DriverError> {
        let settings = check.block.get("settings");
        let bad = settings.and_then(|settings| settings.get("bind"));
        let problem = bad.map(|_| Problem {
            at: vec!["settings".into(), "bind".into()],
            key: true,
            message: "is set by doze".into(),
            hint: None,
        });
        Ok(problem.into_iter().collect())
    }

    fn file(&self, path: &str) -> Option<String> {
        self.files.get(path).cloned()
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn is_free(&self, port: u16) -> bool {
        port != 6379
    }
}

fn read(text: &str) -> Imported {
    import(text, "compose.yaml", &Alone::default()).unwrap()
}

/// The lines of the file that are no comments.
fn bare(imported: &Imported) -> String {
    let lines = imported.toml.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

fn noted(imported: &Imported) -> Vec<String> {
    let note = |note: &crate::import::Note| {
        let line = note.line.unwrap_or_default();
        format!("{line} {}: {}", note.at, note.why)
    };
    imported.notes.iter().map(note).collect()
}

#[test]
fn a_postgres_is_called_like_its_database_and_owned_by_its_user() {
    let imported = read(
        "services:\n  db:\n    image: postgres:16-alpine\n    ports: [\"15432:5432\"]\n    \
         environment:\n      POSTGRES_USER: \"it's ${X:-$${me}}\"\n      POSTGRES_PASSWORD: 's%$$x'\n      \
         POSTGRES_DB: shop\n    command: postgres -c fsync=off -c work_mem=4MB -c max_connections=9\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [postgres.shop]
    version = 16
    port = 15432
    fsync = false
    max_connections = 9
    owner = "it's $${me}"
    [postgres.shop.role."it's $${me}"]
    password = "s%$x"
    [postgres.shop.settings]
    work_mem = "4MB"
    "#);
    toml::from_str::<toml::Table>(&imported.toml).unwrap();
}

#[test]
fn a_profile_that_a_service_names_twice_is_written_once() {
    let imported = read(
        "services:\n  cache:\n    image: valkey/valkey:8\n    ports: [\"6380:6379\"]\n    \
         profiles: [ci, ci]\n",
    );
    insta::assert_snapshot!(bare(&imported), @"
    [valkey.cache]
    version = 8
    port = 6380
    enabled = false
    [profile.ci.valkey.cache]
    enabled = true
    ");
}

#[test]
fn the_options_of_redis_are_keys_or_are_named() {
    let imported = read(
        "services:\n  cache:\n    image: redis:8\n    command: redis-server /etc/r.conf --appendonly yes \
         --maxmemory 256mb --requirepass x --hz 20 --bind 0.0.0.0 --client-output-buffer-limit normal 0 0 0\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [valkey.cache]
    version = 8
    port = 6380
    appendonly = true
    maxmemory = "256mb"
    password = "x"
    [valkey.cache.settings]
    hz = "20"
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    2 services.cache.settings.bind: `bind` is set by doze
    4 services.cache.command: the settings in `/etc/r.conf` belong into the instance's keys
    4 services.cache.command: `--client-output-buffer-limit` takes several words, or none, as no key here does
    ");
}

#[test]
fn a_mysql_is_a_mariadb_with_its_users() {
    let imported = read(
        "services:\n  db:\n    image: mysql:8.4\n    ports: [\"3307:3306\"]\n    environment:\n      \
         MYSQL_DATABASE: shop\n      MYSQL_USER: app\n      MYSQL_PASSWORD: \"it's $${me}\"\n      \
         MYSQL_ROOT_PASSWORD: top\n      TZ: Europe/Berlin\n    command: --character-set-server=utf8mb4 \
         --collation-server utf8mb4_0900_ai_ci --max-connections=200 --sql-mode ANSI --skip-log-bin \
         --default-authentication-plugin=mysql_native_password\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [mariadb.shop]
    version = "11.8"
    port = 3307
    character_set = "utf8mb4"
    max_connections = 200
    owner = "app"
    [[mariadb.shop.grant]]
    database = "*"
    privileges = ["ALL"]
    user = "root"
    with_grant_option = true
    [mariadb.shop.settings]
    sql_mode = "ANSI"
    [mariadb.shop.user.app]
    password = "it's $${me}"
    [mariadb.shop.user.root]
    password = "top"
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    3 services.db.image: MariaDB speaks the protocol of MySQL, and is another server
    3 services.db.image: the image says no version that counts; it is 11.8 here
    4 services.db.ports: only this machine reaches it now; `listen` and `open_to` can say more
    10 services.db.environment.TZ: the server's time is UTC; the setting `default_time_zone` takes another offset
    11 services.db.command: `utf8mb4_0900_ai_ci` is a collation of MySQL; it is as MariaDB has it now
    11 services.db.command: `--skip-log-bin` is no setting with a value
    11 services.db.command: `default_authentication_plugin` is for users of MySQL; a user here has a password
    11 services.db.command: the settings are those of MySQL; MariaDB does not start with one that it does not know
    ");
    toml::from_str::<toml::Table>(&imported.toml).unwrap();
}

#[test]
fn a_root_that_is_alone_owns_the_database() {
    let imported = read(
        "services:\n  db:\n    image: mariadb:11.4\n    environment: [MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1]\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [mariadb.db]
    version = "11.4"
    port = 3306
    owner = "root"
    [[mariadb.db.grant]]
    database = "*"
    privileges = ["ALL"]
    user = "root"
    with_grant_option = true
    [mariadb.db.user.root]
    "#);
    assert_eq!(noted(&imported), [""; 0]);
}

#[test]
fn a_mongo_is_a_ferret_with_its_user() {
    let imported = read(
        "services:\n  mongo:\n    image: mongo:7\n    command: mongod --replSet rs0 --bind_ip_all\n    \
         environment:\n      MONGO_INITDB_ROOT_USERNAME: app\n      MONGO_INITDB_ROOT_PASSWORD: s3cret\n      \
         MONGO_INITDB_DATABASE: shop\n  eval:\n    image: ferretdb/ferretdb:2\n    environment: \
         [FERRETDB_LOG_LEVEL=debug]\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [ferret.mongo]
    version = 2
    port = 27017
    [ferret.mongo.user.app]
    password = "s3cret"
    [ferret.eval]
    version = 2
    port = 27018
    [ferret.eval.settings]
    log-level = "debug"
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    3 services.mongo.image: FerretDB speaks the protocol of MongoDB, and is another server
    3 services.mongo.image: the image says no version that counts; it is 2 here
    4 services.mongo.command: there are no replica sets here; take `replicaSet` out of the URLs
    4 services.mongo.command: `--bind_ip_all` of mongod has no key here
    8 services.mongo.environment.MONGO_INITDB_DATABASE: a database begins with its first document, or a declared collection
    ");
}

#[test]
fn a_temporal_needs_none_of_its_databases() {
    let imported = read(
        "services:\n  temporal:\n    image: temporalio/auto-setup:1.29\n    depends_on: [db]\n    ports: \
         [\"127.0.0.1:7233:7233\"]\n    environment:\n      - DB=postgres12\n      - POSTGRES_SEEDS=db\n      \
         - DEFAULT_NAMESPACE=orders\n      - DEFAULT_NAMESPACE_RETENTION=7\n      - \
         DYNAMIC_CONFIG_FILE_PATH=x.yaml\n  dev:\n    image: temporalio/temporal\n    command: server \
         start-dev --ip 0.0.0.0 --namespace tests --dynamic-config-value limit.maxIDLength=500 --log-level info\n    \
         ports: [\"127.0.0.1:8081:8233\"]\n  page:\n    image: temporalio/ui:2\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [temporal.temporal]
    version = 1
    port = 7233
    [temporal.temporal.namespace.orders]
    retention = "7d"
    [temporal.dev]
    version = 1
    port = 7234
    log_level = "info"
    ui_port = 8081
    [temporal.dev.dynamic_config]
    "limit.maxIDLength" = 500
    [temporal.dev.namespace.tests]
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    3 services.temporal.image: it is Temporal's development server here, with a version of its own
    3 services.temporal.image: the image says no version that counts; it is 1 here
    4 services.temporal.depends_on: it needs no `db`: it keeps everything in a file of its own here
    7 services.temporal.environment.DB: it keeps everything in a file of its own here
    8 services.temporal.environment.POSTGRES_SEEDS: it keeps everything in a file of its own here
    11 services.temporal.environment.DYNAMIC_CONFIG_FILE_PATH: what that file says belongs into `dynamic_config`
    13 services.dev.image: it is Temporal's development server here, with a version of its own
    13 services.dev.image: the image says no version that counts; it is 1 here
    16 services.page: this page is the `ui_port` of a temporal instance here
    ");
}

#[test]
fn the_options_of_kvrocks_are_keys_as_well() {
    let imported = read(
        "services:\n  kv:\n    image: apache/kvrocks:2\n    command: kvrocks -c /etc/k.conf --workers 4 \
         --requirepass x --slowlog-max-len 9\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [kvrocks.kv]
    version = 2
    port = 6666
    password = "x"
    workers = 4
    [kvrocks.kv.settings]
    slowlog-max-len = "9"
    "#);
}

#[test]
fn every_key_that_stands_for_nothing_is_listed_with_its_line() {
    let imported = read(
        "x-log: &log\n  driver: none\nservices:\n  db:\n    image: postgres\n    logging: *log\n    \
         healthcheck: {test: x}\n    no_such_key: 1\n    deploy: {replicas: 2, resources: {limits: \
         {memory: 1G, cpus: '0.5'}, reservations: {memory: 1M}}}\n    environment: [A=b, PGDATA=/x]\n    \
         volumes:\n      - data:/var/lib/postgresql/data\n      - ./i.sql:/docker-entrypoint-initdb.d/i.sql\n\
         volumes: {data: }\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [postgres.postgres]
    version = 15
    port = 5432
    limits = { cpu = "50%", memory = "1GB" }
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    1 x-log: it is of use only where the file refers to it
    5 services.db.image: the image says no version that counts; it is 15 here
    6 services.db.logging: `doze logs` has what the engine says
    7 services.db.healthcheck: the driver knows when its engine is ready
    8 services.db.no_such_key: it is about a container, and there is none
    9 services.db.deploy.resources.reservations: there is one engine, on this machine
    9 services.db.deploy.replicas: there is one engine, on this machine
    10 services.db.environment.PGDATA: doze decides where the data is
    10 services.db.environment.A: there is no key for it here
    12 services.db.volumes: `data:/var/lib/postgresql/data`: doze keeps the data; what is in there has to be dumped and restored
    13 services.db.volumes: `./i.sql:/docker-entrypoint-initdb.d/i.sql`: nothing is run in a new database; run it yourself, by `doze url`
    14 volumes: doze keeps the data of each instance; what is in them has to be restored
    ");
}

#[test]
fn what_containers_called_each_other_is_told() {
    let imported = read(
        "services:\n  web:\n    build: .\n    ports: [80:80]\n    depends_on: [db]\n    environment:\n      \
         DATABASE_URL: postgres://u:secret@db:5432/app\n      CACHE: redis://cache/0\n  db:\n    image: \
         postgres:15\n    environment: {POSTGRES_DB: app}\n  cache:\n    image: redis:7\n    depends_on:\n      \
         db: {condition: service_started}\n      web: {condition: service_healthy}\n    profiles: [full]\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [postgres.app]
    version = 15
    port = 5432
    [valkey.cache]
    version = 7
    port = 6380
    depends_on = { app = "started" }
    enabled = false
    [profile.full.valkey.cache]
    enabled = true
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    2 services.web: it is built from the project: run its command by `doze run -- COMMAND` (its keys: depends_on, environment, ports)
    7 services.web.environment.DATABASE_URL: `db:5432` is 127.0.0.1:5432 now
    8 services.web.environment.CACHE: `cache` is 127.0.0.1:6380 now
    16 services.cache.depends_on: `web` is no instance here
    ");
    assert!(!imported.toml.contains("secret"));
}

#[test]
fn a_service_extends_another_and_files_beside_it_are_read() {
    let around = Alone::with_files(&[
        (".env", "TAG=16\n"),
        ("db.env", "POSTGRES_USER=shop\nOTHER=1\n"),
        (
            "base.yaml",
            "services:\n  pg:\n    image: postgres:$TAG\n    restart: always\n",
        ),
    ]);
    let text = "services:\n  db:\n    extends: {file: base.yaml, service: pg}\n    env_file: db.env\n    \
                ports: [\"127.0.0.1:1234:5432\"]\n";
    let imported = import(text, "compose.yaml", &around).unwrap();
    insta::assert_snapshot!(bare(&imported), @r#"
    [postgres.shop]
    version = 16
    port = 1234
    owner = "shop"
    "#);
    insta::assert_snapshot!(noted(&imported).join("\n"), @"
    4 services.db.env_file `db.env`: `shop` owns the database here, and is no superuser
    4 services.db.env_file `db.env`: there is no key for OTHER here
    4 services.db.restart: the address is always there, and the next client boots an engine that died
    ");
}

#[test]
fn an_engine_without_a_driver_becomes_a_comment() {
    let imported = read("services:\n  my:\n    image: minio/minio\n    ports: [9000:9000]\n");
    assert_eq!(bare(&imported), "");
    assert!(imported.toml.contains("# [s3.my]\n"), "{}", imported.toml);
}

#[test]
fn services_that_extend_each_other_are_an_error() {
    let bomb: Vec<String> = (1..2000)
        .map(|n| format!("  s{n}: {{extends: base}}\n"))
        .collect();
    let bomb = bomb.concat();
    let big = format!("  base: {{labels: [{}]}}\n", "a,".repeat(20_000));
    for text in [
        "services:\n  a: {extends: b}\n  b: {extends: a}\n".to_owned(),
        "services:\n  a: {extends: a}\n".to_owned(),
        format!("services:\n{big}{bomb}"),
        "services: []\n".to_owned(),
        String::new(),
    ] {
        assert!(import(&text, "x", &Alone::default()).is_err());
    }
}

/// A file that is cut off, or has a character of another kind in it, is an error or is read.
#[test]
fn nothing_that_stands_in_a_file_is_a_panic() {
    let text = "name: ${N:-x}\nx-a: &a {restart: always}\nservices:\n  db:\n    <<: *a\n    image: \
                r.example:5/postgres:16@sha256:0\n    ports: [\"127.0.0.1:1-2:5432/tcp\", {target: 5432}]\n    \
                command: postgres -c 'a=b'\n    environment: [POSTGRES_USER=ü, B]\n    depends_on: \
                {c: {condition: service_started}}\n    cpus: 0.5\n    extends: {service: c}\n  c:\n    \
                image: redis\n    command: [sh, -c, redis-server --save $$X]\n";
    let around = Alone::default();
    for (at, _) in text.char_indices() {
        let (start, end) = text.split_at(at);
        drop(import(start, "x", &around));
        for other in ["", ":", "{", "[", "'", "\"", "$", "- ", "\n", "ü", "\u{0}"] {
            let rest: String = end.chars().skip(1).collect();
            drop(import(&format!("{start}{other}{rest}"), "x", &around));
        }
    }
}
