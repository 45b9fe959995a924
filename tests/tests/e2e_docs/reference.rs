//! What the reference lists, against what the programs and their sources have: both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;

use doze_tests::World;
use doze_tests::programs::workspace;
use serde_json::{Map, Value};

use crate::examples::{units, with_input};
use crate::markdown::{Page, code, pages, rows};

/// What a driver answers to these requests.
pub(crate) fn ask_driver(engine: &str, requests: &[&str]) -> Vec<String> {
    let world = World::new();
    let driver = world.command(format!("doze-driver-{engine}"));
    let said = with_input(driver, &(requests.join("\n") + "\n"));
    said.lines().map(str::to_owned).collect()
}

/// The first cells of all rows.
fn first_cells(lines: &[&str]) -> Vec<String> {
    rows(lines)
        .into_iter()
        .filter_map(|row| row.into_iter().next())
        .collect()
}

/// The names between the backquotes of the first cells.
fn names(lines: &[&str]) -> BTreeSet<String> {
    first_cells(lines)
        .iter()
        .flat_map(|cell| code(cell))
        .collect()
}

#[track_caller]
fn assert_same<T: Ord + Debug>(page: &str, listed: &BTreeSet<T>, there: &BTreeSet<T>) {
    assert!(!there.is_empty(), "{page}: nothing is there");
    let missing: Vec<_> = there.difference(listed).collect();
    let invented: Vec<_> = listed.difference(there).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{page} does not list {missing:#?}, and nothing is known of {invented:#?}"
    );
}

/// A source file of the workspace.
fn source(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The numbers of an enum's variants, as its source has them.
fn numbers(path: &str, declaration: &str) -> BTreeSet<u32> {
    let text = source(path);
    let (_, body) = text.split_once(declaration).expect("the enum is there");
    let body = body.split_once("\n}").expect("the enum ends").0;
    let number = |line: &str| {
        line.trim()
            .strip_suffix(',')?
            .rsplit_once(" = ")?
            .1
            .parse()
            .ok()
    };
    body.lines().filter_map(number).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        for link in page.links() {
            if link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.path.parent().expect("a page is in a folder");
            let target = match path {
                "" => workspace().join(&page.path),
                path => workspace().join(folder).join(path),
            };
            let place = page.path.display();
            assert!(target.is_file(), "{place}: {link} leads nowhere");
            if !anchor.is_empty() {
                let anchors = Page::read(&target).anchors();
                assert!(
                    anchors.contains(anchor),
                    "{place}: {link} is none of {anchors:?}"
                );
            }
        }
    }
    assert!(seen >= 20, "only {seen} links found");
}

#[test]
fn every_page_can_be_reached_from_the_map() {
    let map: BTreeSet<String> = Page::read("docs/README.md").links().into_iter().collect();
    let all = pages().into_iter().filter_map(|page| {
        let path = page.path.strip_prefix("docs").ok()?.to_str()?.to_owned();
        (path != "README.md").then_some(path)
    });
    assert_same("docs/README.md", &map, &all.collect());
}

#[test]
fn config_md_lists_every_key_of_doze() {
    let text = source("generator/src/config/block.rs");
    let (_, keys) = text
        .split_once("const META_KEYS: ")
        .expect("the keys are there");
    let keys = keys.split_once(';').expect("the array ends").1;
    let keys = keys.split_once(';').expect("the list ends").0;
    let keys = keys.split('"').skip(1).step_by(2).map(str::to_owned);
    let page = Page::read("docs/reference/config.md");
    assert_same(
        "config.md",
        &names(&page.section("An instance")),
        &keys.collect(),
    );
}

#[test]
fn expressions_md_lists_every_function() {
    let text = source("generator/src/expression/functions.rs");
    let (_, table) = text
        .rsplit_once("functions! {")
        .expect("the table is there");
    let function = |line: &str| {
        let (name, rest) = line.trim().strip_suffix("\",")?.split_once("(\"")?;
        let (parameters, doc) = rest.split_once("\") \"")?;
        Some((format!("`{name}({parameters})`"), doc.to_owned()))
    };
    let there = table.lines().filter_map(function).collect();
    let page = Page::read("docs/reference/expressions.md");
    let listed = rows(&page.section("Functions"))
        .into_iter()
        .filter_map(|row| {
            let mut cells = row.into_iter();
            Some((cells.next()?, cells.next()?))
        });
    assert_same("expressions.md", &listed.collect(), &there);
}

#[test]
fn the_page_of_an_engine_lists_the_keys_that_its_driver_describes() {
    let pages = pages()
        .into_iter()
        .filter(|page| page.path.starts_with("docs/engines"));
    let mut seen = BTreeSet::new();
    for page in pages {
        let engine = page.path.file_stem().and_then(|name| name.to_str());
        let engine = engine.expect("a page has a name").to_owned();
        let said = ask_driver(&engine, &[r#"{"protocol":1,"call":"describe"}"#]);
        let said: Value = serde_json::from_str(&said.concat()).expect("an answer is JSON");
        let properties = said.pointer("/answer/describe/schema/properties");
        let properties = properties.and_then(Value::as_object).expect("the keys");
        assert_keys(&page, "Keys", properties);
        for (key, schema) in properties {
            let inner = schema.pointer("/additionalProperties/properties");
            if let Some(inner) = inner.and_then(Value::as_object) {
                assert_keys(&page, key, inner);
            }
        }
        seen.insert(engine);
    }
    let programs = doze_tests::programs::NAMES.into_iter();
    let drivers = programs.filter_map(|name| Some(name.strip_prefix("doze-driver-")?.to_owned()));
    assert_same("docs/engines", &seen, &drivers.collect());
}

/// A section has a table of these keys with their defaults.
#[track_caller]
fn assert_keys(page: &Page, heading: &str, properties: &Map<String, Value>) {
    let default = |schema: &Value| {
        let value = schema.get("default").map(Value::to_string);
        value.map(|value| format!("`{value}`")).unwrap_or_default()
    };
    let there: BTreeMap<_, _> = properties
        .iter()
        .map(|(key, schema)| (format!("`{key}`"), default(schema)))
        .collect();
    let listed = rows(&page.section(heading)).into_iter().map(|row| {
        let mut cells = row.into_iter();
        (
            cells.next().unwrap_or_default(),
            cells.nth(1).unwrap_or_default(),
        )
    });
    assert_eq!(
        listed.collect::<BTreeMap<_, _>>(),
        there,
        "{}: {heading}",
        page.path.display()
    );
}

#[test]
fn diagnostics_md_lists_every_code() {
    let codes = numbers("generator/src/diagnostic.rs", "pub enum Code {");
    let there = codes.iter().map(|number| format!("D{number:03}")).collect();
    let page = Page::read("docs/reference/diagnostics.md");
    let listed = page
        .rows()
        .into_iter()
        .filter_map(|row| row.into_iter().next());
    assert_same("diagnostics.md", &listed.collect(), &there);
}

#[test]
fn exit_codes_md_lists_every_status() {
    let page = Page::read("docs/reference/exit-codes.md");
    for (heading, declaration) in [
        ("doze", "pub enum Exit {"),
        ("doze-activator", "pub enum ActivatorExit {"),
    ] {
        let there = numbers("engines/contract/src/exit.rs", declaration);
        let listed = first_cells(&page.section(heading));
        let listed = listed.iter().map(|cell| cell.parse().expect("a number"));
        assert_same(heading, &listed.collect(), &there);
    }
}

#[test]
fn registry_md_lists_every_attack() {
    let page = Page::read("docs/reference/registry.md");
    let catalogue = workspace().join("engines/registry/tests/attacks/catalogue");
    let entries = fs::read_dir(catalogue).expect("it is there");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let there = entries.map(|entry| name(entry.expect("it can be listed")));
    assert_same(
        "registry.md",
        &names(&page.section("Attacks")),
        &there.collect(),
    );
}

#[test]
fn units_md_explains_every_line_of_the_units() {
    let mut there = BTreeSet::new();
    for text in units() {
        let settings = text.lines().filter(|line| !line.starts_with('#'));
        let keys = settings.filter_map(|line| Some(line.split_once('=')?.0));
        there.extend(keys.map(|key| format!("{key}=")));
    }
    let page = Page::read("docs/reference/units.md");
    let mut listed = BTreeSet::new();
    for heading in [
        "Target and slice",
        "Socket",
        "Service",
        "Hardening",
        "Limits",
    ] {
        listed.extend(names(&page.section(heading)));
    }
    assert_same("units.md", &listed, &there);
}

#[test]
fn every_benchmark_is_listed() {
    let page = Page::read("docs/reference/benchmarks.md");
    let listed = names(&page.section("What is measured"));
    let files = fs::read_dir(workspace().join("tests/benches")).expect("it is there");
    let there = files
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.is_file())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_same("docs/reference/benchmarks.md", &listed, &there);
}
