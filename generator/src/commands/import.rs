//! `doze import`: a `doze.toml` from what another tool declares.

use std::{cell::OnceCell, env, fs, io::Read as _, net::TcpListener};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    EngineName, Version,
    exit::Exit,
    protocol::{Check, Description, Problem},
};

use super::Context;
use crate::{
    cli::{ImportCommand, ImportTarget},
    config::FILE_NAME,
    drivers::{DriverError, Drivers},
    failure::Failure,
    fsx,
    import::{ImportError, Imported, Surroundings, compose, hcl},
    output::{complain, harmless, print},
    toolchain::Toolchains,
};

/// The longest file that is read; nobody writes more by hand.
const LONGEST: u64 = 1 << 20;

pub(super) fn run(context: &Context, command: &ImportCommand) -> Result<(), Failure> {
    let (target, read): (_, Reader) = match command {
        ImportCommand::Compose { target } => (target, compose::import),
        ImportCommand::Hcl { target } => (target, hcl::import),
    };
    let path = context.dirs.here.join(&target.file);
    let out = out(context, target);
    if let Some(out) = &out
        && out.exists()
        && !target.force
    {
        return Err(Failure::Plain {
            message: format!("{out} is there already"),
            hint: Some("`--force` replaces it, `--out -` only prints".into()),
            exit: Exit::Config,
        });
    }
    let text = text(&path).map_err(Failure::io(format!("read {path}")))?;
    let machine = Machine {
        folder: path.parent().unwrap_or(&path).to_owned(),
        drivers: context.drivers()?,
        toolchains: OnceCell::new(),
    };
    let source = path.file_name().unwrap_or_default();
    let imported = read(&text, source, &machine).map_err(|error| refusal(&target.file, error))?;
    tell(&target.file, &imported);
    let Some(out) = out else {
        return print(format_args!("{}", imported.toml)).map_err(Failure::io("print"));
    };
    // It may hold a password.
    fsx::replace(&out, &imported.toml, 0o600).map_err(Failure::io(format!("write {out}")))?;
    print(format_args!("wrote {out}; `doze up` brings it up\n")).map_err(Failure::io("print"))
}

type Reader = fn(&str, &str, &dyn Surroundings) -> Result<Imported, ImportError>;

/// The file to write; nothing for standard output.
fn out(context: &Context, target: &ImportTarget) -> Option<Utf8PathBuf> {
    let asked = target.out.as_ref().or(context.config.as_ref());
    if target.out.as_deref().is_some_and(|out| out == "-") {
        return None;
    }
    let path = asked.map_or(context.dirs.here.clone(), |path| {
        context.dirs.here.join(path)
    });
    Some(if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path
    })
}

fn text(path: &Utf8Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than is read of it, so that a longer file is seen to be one.
    fs::File::open(path)?
        .take(LONGEST + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn refusal(file: &Utf8Path, error: ImportError) -> Failure {
    match error {
        ImportError::Driver(error) => error.into(),
        ImportError::Syntax { line, message } => {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            Failure::usage(format!("{file}{line}: {message}"))
        }
    }
}

fn tell(file: &Utf8Path, imported: &Imported) {
    for note in &imported.notes {
        let line = note.line.map(|line| format!(":{line}")).unwrap_or_default();
        let told = format!("{file}{line}: {}: {}", note.at, note.why);
        complain(format_args!("{}\n", harmless(&told).replace('\n', " ")));
    }
    if !imported.notes.is_empty() {
        let number = imported.notes.len();
        let what = "not carried over, or not as it was; the file says it, too";
        complain(format_args!("{number} of these: {what}\n"));
    }
}

/// This machine, seen from the folder of the file.
struct Machine {
    folder: Utf8PathBuf,
    drivers: Drivers,
    toolchains: OnceCell<Toolchains>,
}

impl Surroundings for Machine {
    fn describe(&self, engine: &EngineName) -> Result<Option<Description>, DriverError> {
        self.drivers.describe(engine)
    }

    fn installed(&self, about: &Description) -> Vec<Version> {
        let toolchains = self.toolchains.get_or_init(Toolchains::default);
        let found = toolchains.of(&about.engine, &about.toolchain);
        let majors = found
            .iter()
            .filter_map(|found| about.major_of(&found.version));
        majors.cloned().collect()
    }

    fn check(&self, engine: &EngineName, check: Check) -> Result<Vec<Problem>, DriverError> {
        Ok(self.drivers.check(engine, check)?.problems)
    }

    fn file(&self, path: &str) -> Option<String> {
        text(&self.folder.join(path)).ok()
    }

    fn variable(&self, name: &str) -> Option<String> {
        // Names with `=` or NUL are none.
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        is_name.then(|| env::var(name).ok())?
    }

    fn is_free(&self, port: u16) -> bool {
        TcpListener::bind(("127.0.0.1", port)).is_ok()
    }
}
