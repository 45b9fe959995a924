//! Text that treads on every toe: in every key of a project that takes any, through expressions,
//! plans and units to the real engines, and back to their clients.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a surprise fails the test, and says what it was"
)]

mod host;
mod texts;

use doze_tests::engines;
use doze_tests::in_every_mode;
use doze_tests::needed;
use doze_tests::project::{Mode, output};
use doze_tests::size::pick;
use doze_tests::world::World;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::host::{Host, Outcome, Said, abridged, demand, json, printed};
use crate::texts::Texts;

in_every_mode!(
    the_worst_of_all_comes_back_as_it_was_written,
    whatever_is_written_comes_back
);

fn the_worst_of_all_comes_back_as_it_was_written(mode: Mode) {
    let said = match mode {
        Mode::Systemd | Mode::Launchd => Said::Literally,
        Mode::Foreground => Said::ByVariables,
    };
    if let Err(flaw) = comes_back(mode, said, &Texts::worst()) {
        panic!("{flaw}");
    }
}

fn whatever_is_written_comes_back(mode: Mode) {
    let config = Config {
        // The readers of launchd are fewer than those of systemd, and the engines are the same.
        cases: pick(2, if mode == Mode::Launchd { 10 } else { 40 }),
        // A case takes seconds. What failed is named anyway.
        max_shrink_time: pick(10_000, 300_000),
        failure_persistence: None,
        ..Config::default()
    };
    // Others than in the other modes.
    let seed = [mode as u8; 32];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = (
        select(&[Said::ByVariables, Said::Literally][..]),
        Texts::any(),
    );
    let outcome = runner.run(&cases, |(said, texts)| {
        comes_back(mode, said, &texts).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(flaw, case)) => {
            panic!("{}", abridged(&format!("{flaw}\nof {case:#?}")))
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn comes_back(mode: Mode, said: Said, texts: &Texts) -> Outcome {
    let postgres = needed("a Postgres", engines::postgres());
    let valkey = needed("a Valkey", engines::valkey());
    let (Some(postgres), Some(valkey)) = (postgres, valkey) else {
        return Ok(());
    };
    let world = match mode {
        Mode::Systemd | Mode::Foreground => World::with_manager(),
        Mode::Launchd => World::with_launchd(),
    };
    let Some(world) = world else {
        return Ok(());
    };
    let mut host = Host::new(&world, (&postgres, &valkey), texts, said);
    host.up(mode)?;
    told_by_doze(&host)?;
    variables(&host)?;
    in_postgres(&host)?;
    in_valkey(&host)?;
    // A second time there is nothing to do.
    if mode.has_manager() {
        demand(
            "the plan",
            "",
            &printed(&mut host.doze(&["plan", "--check"]))?,
        )?;
        demand("a second `doze up`", "", &printed(&mut host.doze(&["up"]))?)?;
    }
    printed(&mut host.doze(&["reset", "--yes", "--", &texts.valkey]))?;
    host.destroy()
}

fn told_by_doze(host: &Host<'_>) -> Outcome {
    let it = host.texts;
    demand(
        "an output",
        &it.said,
        &printed(&mut host.doze(&["output", "--", &it.output]))?,
    )?;
    let outputs = json(&mut host.doze(&["output", "--json"]))?;
    let described = json!({ "value": it.said, "sensitive": false, "description": it.said });
    demand(
        "an output with a description",
        &described,
        &outputs["described"],
    )?;

    let status = json(&mut host.doze(&["status", "--json"]))?;
    demand("the project", &json!(it.project), &status["project"])?;
    let names = status["instances"].as_array().into_iter().flatten();
    let mut names: Vec<_> = names
        .map(|row| row["name"].as_str().unwrap_or_default())
        .collect();
    names.sort_unstable();
    let mut declared = [it.postgres.as_str(), it.valkey.as_str()];
    declared.sort_unstable();
    demand("the instances", &declared[..], &names)?;

    let written = host.written("endpoints.json")?;
    let written: Value = serde_json::from_str(&written).map_err(|error| error.to_string())?;
    let same = host.written("endpoints.toml")?;
    let same: Value = toml::from_str(&same).map_err(|error| error.to_string())?;
    demand(
        "endpoints.toml beside endpoints.json",
        &written["instances"],
        &same["instances"],
    )?;
    let socket = json!(format!("unix:{}", host.postgres_socket()));
    let endpoints = &written["instances"][&it.postgres]["endpoints"];
    demand("a unix endpoint", &socket, &endpoints[1])
}

/// The same two URLs, whoever hands them out, and of characters that nobody treats in a way of
/// his own.
fn variables(host: &Host<'_>) -> Outcome {
    let it = host.texts;
    let mut urls = Vec::new();
    for (variable, name) in [("DATABASE_URL", &it.postgres), ("REDIS_URL", &it.valkey)] {
        let url = printed(&mut host.doze(&["url", "--", name]))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%:/?#[]@!&'()*+,;=".contains(c);
        if let Some(odd) = url.chars().find(|c| !plain(*c)) {
            return Err(format!("{url} has {odd:?} in it"));
        }
        let run = printed(&mut host.doze(&["run", "--", "printenv", variable]))?;
        demand("`doze run`", &url, &run)?;
        urls.push(url);
    }
    let both = urls.join("\n");
    let shown = "printf '%s\\n%s\\n' \"$DATABASE_URL\" \"$REDIS_URL\"";
    for (form, script) in [
        ("env", format!("eval \"$1\"; {shown}")),
        ("dotenv", format!("eval \"$1\"; {shown}")),
    ] {
        let mut doze = host.doze(&["env"]);
        if form == "dotenv" {
            doze.arg("--dotenv");
        }
        let told = printed(&mut doze)?;
        for shell in ["sh", "bash"] {
            let mut command = host.world.command(shell);
            let came = printed(command.args(["-c", &script, shell, &told]))?;
            demand(form, &both, &came)?;
        }
    }
    let all = json(&mut host.doze(&["env", "--json"]))?;
    demand(
        "`doze env --json`",
        &json!([urls[0], urls[1]]),
        &json!([all["DATABASE_URL"], all["REDIS_URL"]]),
    )?;
    // Those by their names have no others to say, whatever becomes of a name in capital letters.
    let named = all.as_object().into_iter().flatten();
    let named = named.filter(|(name, _)| name.starts_with("DOZE_"));
    let mut named: Vec<_> = named.map(|(_, url)| url.to_string()).collect();
    let mut expected: Vec<_> = urls.iter().map(|url| json!(url).to_string()).collect();
    named.sort();
    expected.sort();
    demand("`DOZE_<NAME>_URL`", &json!(expected), &json!(named))
}

fn in_postgres(host: &Host<'_>) -> Outcome {
    let it = host.texts;
    let url = printed(&mut host.doze(&["url", "--", &it.postgres]))?;
    let sql = "select json_build_object(
        'user', current_user, 'database', current_database(),
        'setting', current_setting('my.text'),
        'roles', (select json_agg(rolname) from pg_roles where rolname not like 'pg\\_%' and rolname <> 'postgres'),
        'databases', (select json_object_agg(datname, pg_get_userbyid(datdba))
            from pg_database where not datistemplate and datname <> 'postgres'),
        'schemas', (select json_object_agg(nspname, pg_get_userbyid(nspowner))
            from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'))";
    let mut there = json(&mut host.psql(&["-c", sql, &url]))?;
    sort(&mut there["roles"]);
    let mut declared = json!({
        "user": it.owner, "database": it.postgres, "setting": it.setting,
        "roles": [it.owner, it.role, it.group],
        "databases": { &*it.postgres: it.owner, &*it.database: it.role },
        "schemas": { &*it.schema: it.role },
    });
    sort(&mut declared["roles"]);
    for (what, declared) in declared.as_object().into_iter().flatten() {
        demand(what, declared, &there[what])?;
    }

    // The other role, by its password, at the unix endpoint and to its own database.
    let sql = "select json_build_object('user', current_user, 'setting',
        current_setting('my.role'), 'member', pg_has_role(:'group', 'member'))";
    let login = |password: &str| {
        let mut psql = host.psql(&["-v", &format!("group={}", it.group), "-f", "-"]);
        psql.env("PGUSER", &it.role)
            .env("PGPASSWORD", password)
            .env("PGDATABASE", &it.database)
            .env("PGHOST", host.sockets())
            .env("PGPORT", "5433");
        host::fed(&mut psql, sql)
    };
    let there: Value =
        serde_json::from_str(&login(&it.role_password)?).map_err(|e| e.to_string())?;
    let declared = json!({ "user": it.role, "setting": it.role_setting, "member": true });
    demand("the other role", &declared, &there)?;
    let refused = login(&format!("{}x", it.role_password))
        .err()
        .unwrap_or_default();
    demand(
        "a wrong password is refused",
        &true,
        &refused.contains("password authentication failed"),
    )
}

fn sort(values: &mut Value) {
    if let Some(values) = values.as_array_mut() {
        values.sort_by_key(ToString::to_string);
    }
}

fn in_valkey(host: &Host<'_>) -> Outcome {
    let it = host.texts;
    let url = printed(&mut host.doze(&["url", "--", &it.valkey]))?;
    let get = ["CONFIG", "GET", "masterauth"];
    let there = printed(host.cli(&["-u", &url]).args(get))?;
    let there = there.strip_prefix("masterauth\n").unwrap_or(&there);
    demand(
        "the password for the primary",
        it.primary_password.as_str(),
        there,
    )?;
    let socket = host.valkey_socket();
    let ping = |password: &str| {
        let mut cli = host.cli(&["-s", &socket, "PING"]);
        printed(cli.env("REDISCLI_AUTH", password))
    };
    demand("PING by the password", "PONG", &ping(&it.password)?)?;
    let refused = ping(&format!("{}x", it.password)).unwrap_or_else(|error| error);
    demand(
        "a wrong password is refused",
        &true,
        &refused.contains("NOAUTH"),
    )
}

/// What only the core reads, and what drivers read: every key but the versions and the ports is wrong.
const REFUSED: [(&str, &[u64]); 2] = [
    (
        r#"name = "shop"
[postgres."x/y"]
version = MAJOR
port = 5432
[postgres."x\u0000y"]
version = MAJOR
port = 5433
[valkey."x\uFFFE"]
version = VALKEY
port = 6379
[valkey.a]
version = VALKEY
listen = "unix:/tmp/a\nb"
[valkey.b]
version = VALKEY
listen = "unix:/tmp/a\u0000"
[valkey.c]
version = VALKEY
listen = "localhost;id:5432"
[valkey.d]
version = VALKEY
listen = "unix:/tmp/\uFFFE"
"#,
        &[2, 5, 8, 13, 16, 19, 22],
    ),
    (
        r#"name = "shop"
[variables.two_lines]
default = "a\nb"
[postgres.x]
version = MAJOR
port = 5432
owner = "${var.two_lines}"
settings."my.text" = "${var.two_lines}"
settings."my text" = "a"
extensions = ["a\nb"]
[postgres.x.role."a\tb"]
password = ""
[postgres.x.role.n]
password = "a\u0000b"
settings."x.y" = "\u007f"
[postgres.x.database."${x}\n"]
[postgres.x.schema."\u0085"]
[valkey.y]
version = VALKEY
port = 6380
password = "\u0000"
settings."a\nb" = "x"
settings.masterauth = "\u0000"
maxmemory = "1; flushall"
save = "900 1\nrequirepass x"
maxmemory_policy = "x\ny"
"#,
        &[7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 21, 22, 23, 24, 25, 26],
    ),
];

#[test]
fn what_a_key_cannot_hold_is_refused_at_its_place() {
    let postgres = needed("a Postgres", engines::postgres());
    let valkey = needed("a Valkey", engines::valkey());
    let (Some(postgres), Some(valkey)) = (postgres, valkey) else {
        return;
    };
    let world = World::new();
    for (toml, lines) in REFUSED {
        let toml = toml.replace("MAJOR", &postgres.major().to_string());
        let toml = toml.replace("VALKEY", &valkey.major().to_string());
        world.write("home/doze.toml", &toml);
        let mut doze = world.command("doze");
        doze.args(["generate", "--check", "--format", "json"])
            .env("DOZE_POSTGRES_BINDIR", world.bindir(&postgres))
            .env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
        let refused = output(&mut doze);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        let found: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let found = found["diagnostics"].as_array().into_iter().flatten();
        let mut found: Vec<_> = found
            .filter_map(|it| it["at"]["start"]["line"].as_u64())
            .collect();
        found.sort_unstable();
        assert_eq!(found, lines, "{said}");
    }
}
