//! `doze plan`: what `doze apply` would do, found out without waking anybody or writing anything.

use camino::Utf8PathBuf;
use doze_contract::{ProjectName, exit::Exit};

use super::{
    Compiled, Context,
    observed::{Holder, Observed},
    status, structure, up,
};
use crate::{
    changes::{Changes, Data, DataAction, FileAction, FileChange},
    data,
    failure::Failure,
    output::{Paint, complain, print, print_lines},
    supply::{Reach, Supply},
};

pub(super) fn run(context: &Context, check: bool, json: bool, prune: bool) -> Result<(), Failure> {
    let (compiled, mut supply) = context.draft(Reach::Pinned)?;
    up::refuse_taken_name(context, &compiled.project.name, &compiled.project.source)?;
    let holder = Holder::find(context, &compiled.project.name)?;
    let observed = Observed::read(context, &compiled, holder.manager())?.sparing(&compiled);
    let changes = propose(context, &compiled, &mut supply, &observed, prune)?;
    if json {
        let text = serde_json::to_string_pretty(&changes).unwrap_or_default();
        print(format_args!("{text}\n")).map_err(Failure::io("print the plan"))?;
    } else {
        show(&changes)?;
    }
    if matches!(holder, Holder::Listener) && !observed.steps.is_empty() {
        complain(format_args!(
            "note: {} is up in the foreground of another terminal; stop it there first\n",
            changes.project
        ));
    }
    if check && changes.differs() {
        return Err(Failure::Told(Exit::Drift));
    }
    Ok(())
}

/// All that would change; `prune` removes the data that no declared instance owns, and what is no
/// longer declared inside the engines.
pub(super) fn propose(
    context: &Context,
    compiled: &Compiled,
    supply: &mut Supply,
    observed: &Observed,
    prune: bool,
) -> Result<Changes, Failure> {
    let decision = observed.decide(compiled, &[]);
    let decided = decision.map(|decided| (decided.units(), decided.restarts(&observed.awake)));
    let (units, restarts) = decided.unwrap_or_default();
    let mut files = lock_file(supply);
    files.extend(observed.files());
    let structure::Found { structure, kept } = structure::pending(compiled, observed, prune)?;
    Ok(Changes {
        project: compiled.project.name.clone(),
        files,
        units,
        restarts,
        structure,
        kept,
        data: orphaned(context, &compiled.project.name, prune)?,
    })
}

/// Shows the changes, and what is worth knowing besides.
pub(super) fn show(changes: &Changes) -> Result<(), Failure> {
    print_lines(&changes.lines(Paint::stdout())).map_err(Failure::io("print the plan"))?;
    for note in changes.notes() {
        complain(format_args!("{note}"));
    }
    Ok(())
}

fn lock_file(supply: &mut Supply) -> Vec<FileChange> {
    if !supply.is_outdated() {
        return Vec::new();
    }
    let path = supply.lock().to_owned();
    let action = if path.is_file() {
        FileAction::Change
    } else {
        FileAction::Add
    };
    vec![FileChange { action, path }]
}

/// The data that no declared instance owns.
fn orphaned(context: &Context, project: &ProjectName, prune: bool) -> Result<Vec<Data>, Failure> {
    let action = if prune {
        DataAction::Remove
    } else {
        DataAction::Keep
    };
    let file = context.file()?;
    debug_assert_eq!(file.name, *project, "one file, one name");
    let data = |path: String| {
        let path = Utf8PathBuf::from(path);
        let bytes = data::size(&path).map_err(Failure::io(format!("measure {path}")))?;
        Ok(Data {
            action,
            path,
            bytes,
        })
    };
    status::orphaned(context, &file)?
        .into_iter()
        .map(data)
        .collect()
}
