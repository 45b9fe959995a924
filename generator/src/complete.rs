//! What a shell is told while somebody types a command line: the names of the project that is
//! meant there. It starts no driver and asks no registry, and whatever is wrong goes unsaid.
//!
//! The protocol between a shell and `doze` is `clap_complete`'s; both sides are from the same
//! program, for the script asks for the candidates by running it.

use std::env;

use camino::Utf8PathBuf;
use clap::{Command, CommandFactory, ValueHint};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, env::Shells};

use crate::{
    cli::{self, Cli},
    config::{self, Inputs, Outline},
    dirs::Dirs,
    drivers::Drivers,
};

/// The environment variable by which a shell asks, and says which shell it is.
pub(crate) const VARIABLE: &str = "DOZE_COMPLETE";

type Candidates = fn() -> Vec<CompletionCandidate>;

/// What stands for an argument in the help, with what can stand in its place.
const CANDIDATES: [(&str, Candidates); 5] = [
    ("NAME", instances),
    ("NAMES", instances),
    ("OUTPUT", outputs),
    ("PROFILE", profiles),
    ("ENGINE", engines),
];

/// Likewise, where it is a file or a folder.
const PATHS: [(&str, ValueHint); 6] = [
    ("FILE", ValueHint::AnyPath),
    ("PATH", ValueHint::AnyPath),
    ("ARCHIVES", ValueHint::AnyPath),
    ("CMD", ValueHint::AnyPath),
    ("DIR", ValueHint::DirPath),
    ("FOLDER", ValueHint::DirPath),
];

/// What the script of bash lacks: other shells quote what they complete, as names with blanks need
/// it. A word that begins with a quote goes on as it began.
const BASH: [(&str, &str); 2] = [
    (
        r#"words[COMP_CWORD]="$2""#,
        r#"words[COMP_CWORD]="${2//\\/}""#,
    ),
    (
        "        compopt -o nospace\n    fi\n}\n",
        r#"        compopt -o nospace
    fi
    if [[ "${COMP_WORDS[COMP_CWORD]}" != [\"\']* ]]; then
        local index
        for index in "${!COMPREPLY[@]}"; do
            printf -v "COMPREPLY[index]" %q "${COMPREPLY[index]}"
            COMPREPLY[index]=${COMPREPLY[index]/#\\~/\~}
        done
    fi
}
"#,
    ),
];

/// Answers a shell, if it is one that asks.
pub(crate) fn answer() -> bool {
    let here = env::current_dir().ok();
    CompleteEnv::with_factory(|| with_candidates(cli::command()))
        .var(VARIABLE)
        .try_complete(env::args_os(), here.as_deref())
        // A shell shows what goes wrong amid the line that is being typed.
        .unwrap_or(true)
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: &str) -> Option<String> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    shells
        .completer(shell)?
        .write_registration(VARIABLE, "doze", "doze", "doze", &mut script)
        .ok()?;
    let mut script = String::from_utf8(script).ok()?;
    if shell == "bash" {
        for (lacks, has) in BASH {
            script = script.replace(lacks, has);
        }
    }
    Some(script)
}

fn with_candidates(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let stands = arg.get_value_names().and_then(<[_]>::first);
            let stands = stands.map_or(arg.get_id().as_str(), |name| name.as_str());
            let candidates = meant(&CANDIDATES, stands);
            let path = meant(&PATHS, stands);
            match (candidates, path) {
                (Some(candidates), _) => arg.add(ArgValueCandidates::new(candidates)),
                (None, Some(path)) => arg.value_hint(path),
                (None, None) => arg,
            }
        })
        .mut_subcommands(with_candidates)
}

fn meant<T: Copy>(table: &[(&str, T)], stands: &str) -> Option<T> {
    let mut rows = table.iter();
    let row = rows.find(|(word, _)| word.eq_ignore_ascii_case(stands))?;
    Some(row.1)
}

fn instances() -> Vec<CompletionCandidate> {
    let instances = outline().instances.into_iter();
    instances
        .map(|(name, engine)| CompletionCandidate::new(name).help(Some(engine.into())))
        .collect()
}

fn outputs() -> Vec<CompletionCandidate> {
    plain(outline().outputs)
}

fn profiles() -> Vec<CompletionCandidate> {
    plain(outline().profiles)
}

fn engines() -> Vec<CompletionCandidate> {
    let drivers = Dirs::from_environment()
        .ok()
        .and_then(|dirs| Drivers::find(&dirs.programs).ok());
    let engines = drivers.iter().flat_map(Drivers::engines);
    plain(engines.map(ToString::to_string))
}

fn plain(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The project that the line as it is typed so far means.
fn outline() -> Outline {
    let words = env::args_os().skip_while(|word| word != "--").skip(1);
    let command = Cli::command().ignore_errors(true);
    let (Ok(matches), Ok(dirs)) = (
        command.try_get_matches_from(words),
        Dirs::from_environment(),
    ) else {
        return Outline::default();
    };
    let variables = matches.get_many::<(String, String)>("variables");
    let inputs = Inputs {
        profile: matches.get_one::<String>("profile").cloned(),
        variables: variables.into_iter().flatten().cloned().collect(),
        isolated: false,
    };
    let given = matches.get_one::<Utf8PathBuf>("config");
    config::find(given.map(Utf8PathBuf::as_path), &dirs.here)
        .map(|path| Outline::read(&path, &inputs))
        .unwrap_or_default()
}
