//! Which files are a project, and which project they are.

use std::collections::BTreeSet;
use std::fs;

use doze_tests::project::{output, succeed};

use crate::folder::Folder;

const APP: &str = "[postgres.app]\nversion = 17\nport = 5432\n";
const CACHE: &str = "[valkey.cache]\nversion = 8\nport = 6379\n";

#[test]
fn siblings_belong_to_the_project() {
    let folder = Folder::of(APP);
    folder.write("cache.doze.toml", &format!("{CACHE}depends_on = \"app\"\n"));
    folder.write("notes.toml", "this is not read");
    folder.write(".hidden.doze.toml", "neither is this");
    assert_eq!(folder.compiled().names(), ["app", "cache"]);
}

#[test]
fn a_folder_of_siblings_alone_is_a_project_by_its_path() {
    let folder = Folder::empty();
    folder.write("parts/app.doze.toml", APP);
    folder.write("parts/cache.doze.toml", CACHE);
    let compiled = folder.compiled_by(&mut folder.doze(&["-c", "parts"]));
    assert_eq!(compiled.names(), ["app", "cache"]);
    assert_eq!(compiled.plan("app").project.as_str(), "parts");
}

#[test]
fn an_instance_in_two_files_is_an_error_with_both_places() {
    let folder = Folder::of(&format!("\n{APP}"));
    folder.write("more.doze.toml", APP);
    assert_eq!(
        folder.problems(),
        [
            "D010 more.doze.toml:1 there are two instances called `app` (doze.toml:2) \
          [an instance is declared in one place; a profile can change it]"
        ]
    );
}

#[test]
fn a_setting_of_the_project_in_two_files_is_an_error_with_both_places() {
    for setting in [
        "name = \"shop\"\n",
        "defaults.idle_timeout = \"1s\"\n",
        "variables.x.default = 1\n",
        "locals.x = 1\n",
        "outputs.x = \"1\"\n",
    ] {
        let folder = Folder::of(&format!("{setting}{APP}"));
        folder.write("more.doze.toml", setting);
        let found = folder.problems().concat();
        assert!(found.starts_with("D018 more.doze.toml:1 "), "{found}");
        assert!(found.contains("is set twice (doze.toml:1)"), "{found}");
    }
}

#[test]
fn however_its_path_is_written_it_is_the_same_project() {
    let folder = Folder::of(APP);
    folder.write("deeper/still/.keep", "");
    let identity = |options: &[&str], from: &str| {
        let mut command = folder.doze(options);
        let here = command.get_current_dir().expect("a folder").join(from);
        let compiled = folder.compiled_by(command.current_dir(here));
        let plan = compiled.plan("app");
        (
            plan.project.clone(),
            plan.paths.data.clone(),
            plan.revision.clone(),
        )
    };
    let file = format!("{}/doze.toml", folder.path());
    let all: BTreeSet<_> = [
        identity(&[], "."),
        identity(&[], "deeper/still"),
        identity(&["-c", "doze.toml"], "."),
        identity(&["-c", "."], "."),
        identity(&["-c", "../.."], "deeper/still"),
        identity(&["-c", "deeper/../doze.toml"], "."),
        identity(&["-c", folder.path()], "deeper"),
        identity(&["-c", &file], "/"),
    ]
    .into();
    assert_eq!(all.len(), 1, "{all:?}");
}

/// A project is its name, so what they would share is refused and not mixed.
#[test]
fn two_folders_of_one_name_are_refused_until_one_of_them_has_another() {
    let folder = Folder::of("this is no project\n");
    folder.write("a/shop/doze.toml", APP);
    folder.write("b/shop/doze.toml", CACHE);
    let doze = |path: &str| output(&mut folder.doze(&["-c", path, "generate"]));
    assert!(doze("a/shop").status.success());
    let refused = doze("b/shop");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    let first = format!("{}/a/shop/doze.toml", folder.path());
    assert!(
        said.contains("already used by") && said.contains(&first),
        "{said}"
    );
    assert!(said.contains("name = "), "it says what to do: {said}");
    folder.write("b/shop/doze.toml", &format!("name = \"other\"\n{CACHE}"));
    assert!(doze("b/shop").status.success());
    let gone = format!("{}/a/shop/doze.toml", folder.path());
    fs::remove_file(gone).expect("our file");
    folder.write("b/shop/doze.toml", CACHE);
    assert!(
        doze("b/shop").status.success(),
        "the first one is not there any more"
    );
}

const PROFILES: &str = "[profile.ci]\npostgres.app.port = 5532\ndefaults.idle_timeout = \"7s\"\n\
    [profile.ci.valkey.cache]\nversion = 8\nport = 6479\n\
    [profile.big.postgres.app]\nshared_buffers = \"64MB\"\n";

#[test]
fn a_profile_lies_over_the_project_to_its_endpoints() {
    let folder = Folder::of(&format!("{APP}{PROFILES}"));
    assert_eq!(folder.compiled().names(), ["app"]);
    let addresses = |command: &mut std::process::Command| {
        succeed(command.args(["generate", "--out", "out"]));
        let path = format!("{}/out/project/endpoints.json", folder.path());
        let text = fs::read_to_string(path).expect("endpoints");
        let endpoints: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let of = |name: &str| endpoints["instances"][name]["endpoints"][0].clone();
        (of("app"), of("cache"))
    };
    let ci = ("127.0.0.1:5532".into(), "127.0.0.1:6479".into());
    assert_eq!(addresses(&mut folder.doze(&["--profile", "ci"])), ci);
    assert_eq!(addresses(folder.doze(&[]).env("DOZE_PROFILE", "ci")), ci);
    // The command line goes before the environment.
    let mut command = folder.doze(&["--profile", "big"]);
    let big = folder.compiled_by(command.env("DOZE_PROFILE", "ci"));
    assert_eq!(big.endpoints("app"), ["127.0.0.1:5432"]);
    assert!(big.configures("app", "shared_buffers = '64MB'"));
    let ci = folder.compiled_by(&mut folder.doze(&["--profile", "ci"]));
    assert_eq!(ci.idle_seconds("app"), Some(7));
}

#[test]
fn a_profile_of_a_sibling_changes_the_file_beside_it() {
    let folder = Folder::of(APP);
    folder.write("ci.doze.toml", "[profile.ci]\npostgres.app.port = 5532\n");
    let compiled = folder.compiled_by(&mut folder.doze(&["--profile", "ci"]));
    assert_eq!(compiled.endpoints("app"), ["127.0.0.1:5532"]);
    assert_eq!(
        folder.problems_by(&mut folder.doze(&["--profile", "cy"])),
        ["D020 --profile:1 there is no profile `cy` [did you mean `ci`?]"]
    );
}

#[test]
fn a_driver_is_asked_only_for_an_engine_that_is_declared() {
    let folder = Folder::of(APP);
    let mut command = folder.doze(&[]);
    command.env("DOZE_VALKEY_DRIVER", "/nonexistent/driver");
    assert_eq!(folder.compiled_by(&mut command).names(), ["app"]);
    folder.write("doze.toml", CACHE);
    let mut command = folder.doze(&["generate", "--check"]);
    let wrong = output(command.env("DOZE_VALKEY_DRIVER", "/nonexistent/driver"));
    assert!(!wrong.status.success());
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("/nonexistent/driver"), "{said}");
}
