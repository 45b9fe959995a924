//! What pages show of `doze.toml` and of the driver protocol, put to the programs themselves.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use doze_tests::World;
use doze_tests::project::{output, succeed};

use crate::markdown::{Block, Page, pages};
use crate::wildcard::line_fits;

/// A `doze generate --out` for programs that only say a version: a page is right or wrong
/// whatever this machine has installed.
fn generate(world: &World, toml: &str) -> Command {
    for (program, says) in [
        ("postgres", "postgres (PostgreSQL) 17.4"),
        ("initdb", "initdb (PostgreSQL) 17.4"),
        (
            "mariadbd",
            "mariadbd  Ver 11.4.9-MariaDB for Linux on x86_64",
        ),
        ("valkey-server", "Valkey server v=8.1.8 sha=0 malloc=libc"),
        ("kvrocks", "kvrocks version: 2.15.0"),
        ("ferretdb", "version: v2.7.0"),
        (
            "temporal",
            "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)",
        ),
    ] {
        let script = format!("#!/bin/sh\necho '{says}'\n");
        let path = world.write(format!("engines/{program}"), &script);
        world.run(&["chmod", "755", path.to_str().expect("UTF-8")]);
    }
    world.write("home/page/doze.toml", toml);
    let mut command = world.command("doze");
    command
        .args(["generate", "--out", "../out"])
        .current_dir(world.home().join("page"))
        .env("DOZE_MARIADB_BINDIR", world.dir().join("engines"))
        .env("DOZE_POSTGRES_BINDIR", world.dir().join("engines"))
        .env("DOZE_VALKEY_BINDIR", world.dir().join("engines"))
        .env("DOZE_KVROCKS_BINDIR", world.dir().join("engines"))
        .env("DOZE_FERRET_BINDIR", world.dir().join("engines"))
        .env("DOZE_TEMPORAL_BINDIR", world.dir().join("engines"));
    command
}

/// The units of a project that has every kind of instance.
pub(crate) fn units() -> Vec<String> {
    let world = World::new();
    let toml = "[postgres.a]\nversion = 17\nport = 5432\n\
         limits = { memory = \"512MB\", cpu = \"50%\", tasks = 100 }\n[postgres.b]\nversion = 17\nlisten = \"unix\"\n\
         [process.c]\ncommand = \"true\"\n";
    succeed(&mut generate(&world, toml));
    let folder = world.home().join("out/systemd/user");
    let entries = fs::read_dir(folder).expect("the units are there");
    let paths = entries.map(|entry| entry.expect("they can be listed").path());
    paths
        .map(|path| fs::read_to_string(path).expect("a unit is text"))
        .collect()
}

#[test]
fn every_doze_toml_is_right_or_as_wrong_as_it_says() {
    let world = World::new();
    let mut seen = 0;
    for page in pages() {
        // A file that a page has its reader write is tried with that page.
        let is_example = |block: &&Block| block.is("toml") && block.file().is_none();
        for block in page.blocks().iter().filter(is_example) {
            seen += 1;
            let output = output(&mut generate(&world, &block.lines.join("\n")));
            let said = String::from_utf8_lossy(&output.stderr);
            let told: Vec<&str> = said
                .lines()
                .filter_map(|line| Some(line.strip_prefix("error[")?.split_once(']')?.0))
                .collect();
            let announced: Vec<&str> = match block.info.get(1).map(String::as_str) {
                Some("wrong") => block.info.iter().skip(2).map(String::as_str).collect(),
                _ => Vec::new(),
            };
            assert_eq!(told, announced, "{}\n{said}", block.place);
            assert_eq!(
                output.status.success(),
                announced.is_empty(),
                "{}\n{said}",
                block.place
            );
        }
    }
    assert!(seen >= 8, "only {seen} examples found");
}

#[test]
fn the_exchange_with_a_driver_goes_as_it_is_told() {
    let page = Page::read("docs/reference/driver-protocol.md");
    let blocks = page.blocks();
    let exchange = blocks.iter().find(|block| block.is("exchange"));
    let exchange = exchange.expect("there is an exchange");
    let told = |mark: &str| -> Vec<&str> {
        let lines = exchange.lines.iter();
        lines.filter_map(|line| line.strip_prefix(mark)).collect()
    };
    let (questions, answers) = (told("> "), told("< "));
    assert_eq!(questions.len() + answers.len(), exchange.lines.len());

    let said = crate::reference::ask_driver("valkey", &questions);
    assert_eq!(said.len(), answers.len(), "{said:#?}");
    for (shown, said) in answers.iter().zip(&said) {
        assert!(line_fits(shown, said), "shown:\n{shown}\nsaid:\n{said}");
    }
}

/// Runs a program of the world with this input.
pub(crate) fn with_input(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("our child");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}
