//! What a user manager does not know of the user's shell, and a program of the user's own needs:
//! where programs are.

use std::env;

use crate::{
    commands::{Compiled, Context},
    compile::is_own,
    failure::Failure,
    fsx,
};

const HEAD: &str = "# The PATH of the shell that said `doze up` last, for the processes.\n";

/// Keeps the `PATH` of this process for those of the project, if it has any.
pub(super) fn keep(context: &Context, compiled: &Compiled) -> Result<(), Failure> {
    let path = env::var("PATH").ok();
    let Some(path) = path.filter(|_| compiled.plans.iter().any(is_own)) else {
        return Ok(());
    };
    let file = context.dirs.environment(&compiled.project.name);
    let text = format!("{HEAD}PATH={}\n", quoted(&path));
    let keep = || {
        if fsx::read(&file)?.as_ref() == Some(&text) {
            return Ok(());
        }
        fsx::replace(&file, &text, 0o600)
    };
    keep().map_err(Failure::io(format!("write {file}")))
}

/// As `EnvironmentFile=` reads it (systemd.exec(5)).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        assert_eq!(quoted(r#"/a b:/"c"$x\`"#), r#""/a b:/\"c\"\$x\\\`""#);
    }
}
