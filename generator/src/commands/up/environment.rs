//! What a user manager does not know of the user's shell, and a program of the user's own needs:
//! where programs are, and who may read what they write.

use std::env;

use doze_contract::plan::UMASK;

use crate::{
    commands::{Compiled, Context, env::double_quoted},
    compile::is_own,
    failure::Failure,
    fsx,
};

const HEAD: &str = "# Of the shell that said `doze up` last, for the processes.\n";

/// Keeps the umask and the `PATH` of this process for those of the project, if it has any.
pub(super) fn keep(context: &Context, compiled: &Compiled) -> Result<(), Failure> {
    if !compiled.plans.iter().any(is_own) {
        return Ok(());
    }
    let file = context.dirs.environment(&compiled.project.name);
    let path = env::var("PATH").map(|path| format!("PATH={}\n", double_quoted(&path)));
    let path = path.unwrap_or_default();
    let text = format!("{HEAD}{UMASK}={}\n{path}", umask(context));
    let keep = || {
        if fsx::read(&file)?.as_ref() == Some(&text) {
            return Ok(());
        }
        fsx::replace(&file, &text, 0o600)
    };
    keep().map_err(Failure::io(format!("write {file}")))
}

/// The umask that this command was called with, in octal.
pub(super) fn umask(context: &Context) -> String {
    format!("{:03o}", context.umask.as_raw_mode())
}
