//! Completions, by the shells themselves.

use std::path::Path;
use std::process::Command;

use doze_tests::project::succeed;
use doze_tests::{World, needed};

const PROJECT: &str = r#"
[variables.tenants]
type = "list"
default = ["acme"]

[outputs]
where = "${postgres.app.url}"

[postgres.app]
version = 17
port = 5432

[valkey.cache]
version = 8
port = 6379

[valkey.tenant]
version = 8
for_each = "${var.tenants}"
listen = "unix"

[profile.ci.postgres.app]
port = 5433
"#;

/// A world with a project in its home, and the shell if this machine has it.
fn world(shell: &str, toml: &str) -> Option<World> {
    let path = Path::new("/usr/bin").join(shell);
    needed(shell, path.is_file().then_some(()))?;
    let world = World::new();
    world.write("home/doze.toml", toml);
    Some(world)
}

/// A shell that finds `doze`, and runs this.
fn shell(world: &World, shell: &str, script: &str) -> Command {
    let mut command = world.command("timeout");
    command
        .args(["60", shell, "-c", script])
        .current_dir(world.home())
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", world.programs().display()),
        );
    command
}

/// What bash completes the last of these words to.
fn bash(world: &World, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(doze completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_doze doze "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = shell(world, "bash", script);
    let said = succeed(bash.arg("bash").args(words));
    let names = said
        .lines()
        .filter(|line| !line.starts_with("--") && !line.is_empty());
    names.map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_what_the_project_has() {
    let Some(world) = world("bash", PROJECT) else {
        return;
    };
    let all = ["app", "cache", "tenant_acme"];
    assert_eq!(bash(&world, &["doze", "wa"]), ["wake", "wait"]);
    for command in ["up", "wake", "sleep", "logs", "url", "hold", "reset"] {
        assert_eq!(bash(&world, &["doze", command, ""]), all, "{command}");
    }
    assert_eq!(bash(&world, &["doze", "wake", "ca"]), ["cache"]);
    assert_eq!(bash(&world, &["doze", "up", "app", "t"]), ["tenant_acme"]);
    assert_eq!(bash(&world, &["doze", "output", ""]), ["where"]);
    assert_eq!(bash(&world, &["doze", "--profile", ""]), ["ci"]);
    assert_eq!(
        bash(&world, &["doze", "info", ""]),
        [
            "ferret", "kvrocks", "mariadb", "postgres", "process", "temporal", "valkey"
        ]
    );
    assert_eq!(bash(&world, &["doze", "completions", "z"]), ["zsh"]);
}

#[test]
fn bash_quotes_what_a_line_would_not_take_as_one_name() {
    let toml = "[valkey.'a b']\nlisten = 'unix'\n[valkey.'a$c']\nlisten = 'unix'\n";
    let Some(world) = world("bash", toml) else {
        return;
    };
    assert_eq!(bash(&world, &["doze", "wake", "a"]), [r"a\ b", r"a\$c"]);
    assert_eq!(bash(&world, &["doze", "wake", r"a\ "]), [r"a\ b"]);
    assert_eq!(bash(&world, &["doze", "up", "a b", r"a\$"]), [r"a\$c"]);
    // A home stays one.
    world.write("home/of mine/doze.toml", toml);
    assert_eq!(bash(&world, &["doze", "-c", "~/of"]), [r"~/of\ mine/"]);
}

#[test]
fn the_project_is_the_one_that_the_line_means() {
    let Some(world) = world("bash", PROJECT) else {
        return;
    };
    world.write(
        "home/other/doze.toml",
        "[postgres.reports]\nversion = 17\nport = 1\n",
    );
    assert_eq!(bash(&world, &["doze", "-c", "oth"]), ["other/"]);
    let line = ["doze", "-c", "other", "wake", ""];
    assert_eq!(bash(&world, &line), ["reports"]);
    let line = ["doze", "--var", "tenants=[\"b\"]", "wake", "te"];
    assert_eq!(bash(&world, &line), ["tenant_b"]);
}

#[test]
fn a_file_that_is_wrong_or_absent_is_no_reason_to_say_so() {
    let Some(world) = world("bash", "[postgres.app]\nversion = \n[valkey.cache]\n") else {
        return;
    };
    let said = |world: &World| {
        let script = "source <(doze completions bash); COMP_WORDS=(doze wake '') COMP_CWORD=2 \
                      COMP_TYPE=9; _clap_complete_doze doze '' wake; echo \"${COMPREPLY[*]}\"";
        let output = shell(world, "bash", script).output().expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        // This bash does not complete, which one of its commands remarks.
        let errors: Vec<_> = errors
            .lines()
            .filter(|line| !line.contains("compopt"))
            .collect();
        assert_eq!(errors, [""; 0]);
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(
        said(&world).starts_with("app cache --json"),
        "{:?}",
        said(&world)
    );
    world.write("home/doze.toml", "\u{0}[[[");
    assert!(said(&world).starts_with("--json"));
    world.run(&["rm", "doze.toml"]);
    assert!(said(&world).starts_with("--json"));
}

#[test]
fn fish_completes_names_with_their_engines() {
    let Some(world) = world("fish", PROJECT) else {
        return;
    };
    let script = "doze completions fish | source; complete -C 'doze wake '";
    let said = succeed(&mut shell(&world, "fish", script));
    let names: Vec<_> = said.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(
        names,
        ["app\tpostgres", "cache\tvalkey", "tenant_acme\tvalkey"]
    );
}

#[test]
fn zsh_completes_names_with_their_engines() {
    let Some(world) = world("zsh", PROJECT) else {
        return;
    };
    // Keys typed into a zsh on a terminal of its own; its list of choices comes back.
    let script = r"
        zmodload zsh/zpty
        zpty typed zsh -f -i
        zpty -w typed 'autoload -U compinit && compinit -u -D && PS1=@ready@'
        zpty -r -m typed seen '*@ready@*@ready@*'
        zpty -w typed 'source <(doze completions zsh); setopt no_auto_menu; echo sour''ced'
        zpty -r -m typed seen '*sourced*'
        zpty -n -w typed $'doze wake \t\t'
        zpty -r -m typed seen '*app*postgres*tenant_acme*valkey*'
        zpty -d typed
        print -r -- $seen
    ";
    let said = succeed(&mut shell(&world, "zsh", script));
    assert!(said.contains("cache"), "{said}");
}
