//! Whole files.

use super::import;
use crate::import::{Imported, compose::tests::Alone};

fn read(text: &str) -> Imported {
    import(text, "doze.hcl", &Alone::default()).unwrap()
}

/// The lines of the file that are no comments.
fn bare(imported: &Imported) -> String {
    let lines = imported.toml.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

fn noted(imported: &Imported) -> String {
    let note = |note: &crate::import::Note| {
        let line = note.line.unwrap_or_default();
        format!("{line} {}: {}", note.at, note.why)
    };
    imported
        .notes
        .iter()
        .map(note)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn blocks_are_tables_and_expressions_are_texts() {
    let imported = read(
        r#"
variable "tier" {
  type        = list(string)
  default     = ["a", "b"]
  description = "50% of $${it}"
}
variable "secret" {
  type      = string
  sensitive = true
}
locals {
  base = "app-${var.tier[0]}"
  n    = 1 + 2
}
output "url" { value = postgres.app.url }
name = "shop"
defaults {
  idle_timeout = "0s"
}
postgres "app" {
  version  = 16
  port     = 5432 + count.index
  count    = 2
  owner    = upper(var.tier[0])
  settings {
    work_mem = "4MB"
    jit      = false
  }
  role "reader" { password = var.secret }
}
use valkey "cache" {
  version    = "8"
  listen     = "127.0.0.1:6390"
  enabled    = var.tier == "x" ? true : false
  depends_on = { "postgres.app" = "lazy" }
  password   = <<-EOT
    two
    lines ${var.secret}
  EOT
}
"#,
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    name = "shop"
    [variables.tier]
    type = "list"
    default = ["a", "b"]
    description = "50% of $${it}"
    [variables.secret]
    type = "string"
    sensitive = true
    [outputs.url]
    value = "${postgres.app.url}"
    [defaults]
    idle_timeout = "never"
    [postgres.app]
    version = 16
    port = "${5432 + count.index}"
    count = 2
    owner = "${upper(var.tier[0])}"
    [postgres.app.role.reader]
    password = "${var.secret}"
    [postgres.app.settings]
    jit = false
    work_mem = "4MB"
    [valkey.cache]
    version = "8"
    listen = "127.0.0.1:6390"
    enabled = '${var.tier == "x" ? true : false}'
    depends_on = { app = "lazy" }
    password = """
    two
    lines ${var.secret}
    """
    [locals]
    base = "app-${var.tier[0]}"
    n = "${1 + 2}"
    "#);
    insta::assert_snapshot!(noted(&imported), @"
    3 variable.tier.type: `list(string)` is `list` here
    ");
    toml::from_str::<toml::Table>(&imported.toml).unwrap();
}

#[test]
fn a_single_block_may_be_the_only_one_of_a_list() {
    let grant = "  grant {\n    user = \"app\"\n    privileges = [\"ALL\"]\n  }\n";
    for (grants, count) in [(grant.to_owned(), 1), (grant.repeat(2), 2)] {
        let imported = read(&format!(
            "mariadb \"db\" {{\n  version = \"11.4\"\n  port = 3306\n{grants}}}\n"
        ));
        let written = "[[mariadb.db.grant]]\nprivileges = [\"ALL\"]\nuser = \"app\"";
        assert_eq!(
            imported.toml.matches(written).count(),
            count,
            "{}",
            imported.toml
        );
    }
}

#[test]
fn what_does_not_exist_here_is_listed_with_its_line() {
    let imported = read(
        r#"
listen = "127.0.0.1:6432"
strange = 1
defaults {
  domains = true
}
tls { required = true }
variable "x" {
  validation { condition = true }
}
postgres "app" {
  version  = 16
  port     = 5432
  comment  = "x"
  owner    = uuid()
  fsync    = null
  shared_buffers = "%{ if true }1MB%{ endif }"
  settings { bind = 1 }
  depends_on = { api = "started", "process.api" = "healthy" }
  schema "s" { owner = "x" }
}
process "api" {
  command = "run ${postgres.app.url}"
}
valkey "cache" {
  version  = 8
  port     = 6379
  password = process.api.url
}
odd {}
"#,
    );
    insta::assert_snapshot!(bare(&imported), @"
    [defaults]
    [variables.x]
    [postgres.app]
    version = 16
    port = 5432
    [valkey.cache]
    version = 8
    port = 6379
    ");
    insta::assert_snapshot!(noted(&imported), @"
    2 listen: every instance has its own address
    3 strange: it is no key that is known
    5 defaults.domains: addresses are on this machine, and have no names
    7 tls: an instance has its own keys for that, if its driver has them
    9 variable.x.validation: it has no such block here
    11 postgres.app.comment: the driver of postgres has no such key
    11 postgres.app.schema: the driver of postgres has no such key
    11 postgres.app.settings.bind: `bind` is set by doze
    15 postgres.app.owner: there is no function `uuid`
    16 postgres.app.fsync: TOML has no null; leave the key out
    17 postgres.app.shared_buffers: there are no `%{…}` in texts; use `${… ? … : …}`
    19 postgres.app.depends_on: `api` is no instance here
    19 postgres.app.depends_on: `api` is no instance here
    22 process.api: there is no driver for process on this machine
    28 valkey.cache.password: `process.api`: there is no driver for process
    30 odd: it is no block that is known
    ");
    assert!(
        imported
            .toml
            .contains("# [process.api]\n# command = \"run ${postgres.app.url}\"\n")
    );
}

#[test]
fn what_stands_there_twice_is_written_once() {
    let imported = read(
        r#"
defaults { idle_timeout = "1m" }
defaults { idle_timeout = "2m" }
variable "a" { default = 1 }
variable "a" { default = 2 }
output "o" { value = var.a }
output "o" { value = 2 }
valkey "cache" { version = 8 }
valkey "cache" { version = 7 }
postgres "cache" { version = 16 }
"#,
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [defaults]
    idle_timeout = "1m"
    [variables.a]
    default = 1
    [outputs.o]
    value = "${var.a}"
    [valkey.cache]
    version = 8
    "#);
    insta::assert_snapshot!(noted(&imported), @"
    3 defaults: it is there twice; the first one counts
    5 variable.a: it is there twice; the first one counts
    7 output.o: it is there twice; the first one counts
    9 valkey.cache: there is another instance called `cache`
    10 postgres.cache: there is another instance called `cache`
    ");
}

#[test]
fn a_text_in_depends_on_is_no_expression() {
    let imported = read(
        "valkey \"a\" {\n  depends_on = { \"$${x}\" = \"healthy\" }\n}\n\
         valkey \"b\" {\n  depends_on = { a = \"$${\" }\n}\n",
    );
    insta::assert_snapshot!(bare(&imported), @r#"
    [valkey.a]
    depends_on = ["$${x}"]
    [valkey.b]
    depends_on = { a = "$${" }
    "#);
}

#[test]
fn what_is_no_hcl_is_an_error_with_its_line() {
    for text in [
        "a {\n".to_owned(),
        "\"".to_owned(),
        format!("a = {}", "[".repeat(10_000)),
        format!("a = {}1", "-".repeat(10_000)),
        "a {\n".repeat(10_000),
    ] {
        let start: String = text.chars().take(20).collect();
        assert!(import(&text, "x", &Alone::default()).is_err(), "{start}");
    }
}

/// A file that is cut off, or has a character of another kind in it, is an error or is read.
#[test]
fn nothing_that_stands_in_a_file_is_a_panic() {
    let text = "name = \"x\"\nvariable \"v\" { type = list(string) }\nlocals { a = <<-E\n ü${var.v}\nE\n}\n\
                use postgres \"db\" {\n version = 16\n depends_on = { valkey.c = \"lazy\" }\n role \"r\" { \
                a = [1, { b = f(-1) }] }\n}\n";
    let around = Alone::default();
    for (at, _) in text.char_indices() {
        let (start, end) = text.split_at(at);
        drop(import(start, "x", &around));
        for other in ["", "{", "[", "\"", "${", "%{", "=", "\n", "ü", "\u{0}"] {
            let rest: String = end.chars().skip(1).collect();
            drop(import(&format!("{start}{other}{rest}"), "x", &around));
        }
    }
}
