//! `doze up --register` and `doze down --unregister`: handing the units of a project over to the
//! generator, and taking them back.
//!
//! What is awake stays so: the generated files say what the written ones said, and are there before
//! these are removed.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{ProjectName, exit::Exit};
use doze_units::Prefix;

use super::{Compiled, Context, down, generator, up};
use crate::{
    config,
    dirs::Init,
    enabled,
    failure::Failure,
    fsx,
    manager::{self, Manager},
    output::{complain, print_lines},
    registered,
    supply::Reach,
    tree::{self, Area, Roots},
};

/// Where user generators are looked for, the place for one that this machine's user installs first.
const PLACE: &str = "/etc/systemd/user-generators";

/// `doze up --register`.
pub(super) fn up(context: &Context) -> Result<(), Failure> {
    systemd(context)?;
    let file = context.file()?;
    let source = &file.path;
    if registered::find(&context.dirs, source).is_some() {
        // What the generator is told of the environment may be out of date.
        let lock = up::lock(context, &file.name)?;
        write(context, &file.name, source)?;
        drop(lock);
        return up::run(context, &[], false, false);
    }
    up::run(context, &[], false, false)?;
    register(context)
}

/// `doze down`, with `--unregister` or without.
pub(super) fn down(context: &Context, unregister: bool, json: bool) -> Result<(), Failure> {
    down::run(context, json)?;
    let source = config::find(context.config.as_deref(), &context.dirs.here)?;
    if registered::find(&context.dirs, &source).is_none() {
        return Ok(());
    }
    if !unregister {
        complain(format_args!(
            "note: it is registered and comes up again with the next login; `doze down \
             --unregister` ends that\n"
        ));
        return Ok(());
    }
    let project = context.project_name()?;
    let _lock = up::lock(context, &project)?;
    take_back(context, &project, &source)?;
    if let Some(manager) = manager::connect(&context.dirs)? {
        manager.reload()?;
    }
    Ok(())
}

/// Refuses to write what the generator writes.
pub(super) fn refuse(context: &Context, compiled: &Compiled) -> Result<(), Failure> {
    if !context.roots(&compiled.project).generated {
        return Ok(());
    }
    Err(Failure::Plain {
        message: format!(
            "{} is registered, so doze-generator writes its units and plans",
            compiled.project.name
        ),
        hint: Some("systemctl --user daemon-reload".into()),
        exit: Exit::Failed,
    })
}

/// Registers a project that is up.
fn register(context: &Context) -> Result<(), Failure> {
    let compiled = context.compile(Reach::Pinned)?;
    let (project, source) = (&compiled.project.name, &compiled.project.source);
    let systemd = systemd(context)?;
    let _lock = up::lock(context, project)?;
    write(context, project, source)?;
    let hand_over = || {
        try_out(context, &compiled, systemd.as_ref())?;
        systemd.reload()?;
        settle(context, &compiled, systemd.as_ref(), true)
    };
    if let Err(failure) = hand_over() {
        take_back(context, project, source)?;
        systemd.reload()?;
        return Err(failure);
    }
    print_lines(&[format!(
        "{project} is registered: doze-generator makes its units at every login and daemon-reload"
    )])
    .map_err(Failure::io("print"))
}

/// Has the generator try beforehand, so that nothing is stopped for what it cannot make.
pub(super) fn try_out(
    context: &Context,
    compiled: &Compiled,
    systemd: &dyn Manager,
) -> Result<(), Failure> {
    let (project, source) = (&compiled.project.name, &compiled.project.source);
    let Some(file) = registered::find(&context.dirs, source) else {
        return Ok(());
    };
    let refuse = |message| Failure::Plain {
        message,
        hint: Some(
            "it has of the environment what it had at the last `doze up --register`; call that \
             again if it is to have that of now"
                .into(),
        ),
        exit: Exit::Failed,
    };
    let made = generator::try_out(&file).map_err(|reason| {
        refuse(format!(
            "doze-generator cannot make the units of {project}: {reason}"
        ))
    })?;
    let wanted = compiled
        .tree
        .0
        .iter()
        .filter(|((area, _), _)| *area != Area::Project);
    if !wanted.eq(made.0.iter()) {
        return Err(refuse(format!(
            "doze-generator would make other units and plans of {project} than this"
        )));
    }
    // Where nothing is made, it may be that the manager does not call it any more.
    let target = registered::units(&context.dirs).join(Prefix::of(project).target());
    if !target.is_file() {
        systemd.reload()?;
    }
    if !target.is_file() {
        return Err(not_made(project));
    }
    Ok(())
}

/// Sees to it that a registered project runs by what the generator has made of it: that this is
/// there, that it is found, and that nothing hides it.
pub(super) fn settle(
    context: &Context,
    compiled: &Compiled,
    systemd: &dyn Manager,
    reloaded: bool,
) -> Result<(), Failure> {
    let project = &compiled.project.name;
    let units = registered::units(&context.dirs);
    let made = Roots {
        plans: registered::plans(&units, project),
        units,
        ..context.roots(&compiled.project)
    };
    let steps = tree::converge(&compiled.tree, &compiled.installed(&made)?);
    if steps.iter().any(|step| step.place().0 != Area::Project) {
        return Err(not_made(project));
    }
    // A unit that is no longer declared but was running at a reload has lost its file.
    systemd.stop(&systemd.strays(project)?)?;
    let cannot = || Failure::io(format!("hand over the units in {}", context.dirs.units));
    let cleared = clear(context, project).map_err(cannot())?;
    if !cleared.is_empty() {
        systemd.reload()?;
    }
    if (reloaded || !cleared.is_empty())
        && let Err(failure) = is_found(compiled, &made.units, systemd)
    {
        for (path, text) in &cleared {
            fsx::replace(path, text, 0o644).map_err(cannot())?;
        }
        systemd.reload()?;
        return Err(failure);
    }
    enabled::disable(&context.dirs, project).map_err(cannot())?;
    registered::link_plans(&context.dirs, project).map_err(Failure::io("link the plans"))
}

/// Whether it is the generated units that the manager has read.
fn is_found(compiled: &Compiled, folder: &Utf8Path, systemd: &dyn Manager) -> Result<(), Failure> {
    let prefix = Prefix::of(&compiled.project.name);
    let sockets = compiled.plans.iter();
    let sockets = sockets.map(|plan| prefix.socket(&plan.instance));
    let units: Vec<String> = sockets.chain([prefix.target()]).collect();
    for (unit, path) in systemd.fragments(&units)? {
        if !Utf8Path::new(&path).starts_with(folder) {
            return Err(Failure::Plain {
                message: format!("systemd reads {unit} from {path} and not from doze-generator"),
                hint: Some(format!("remove or rename {path}, then try again")),
                exit: Exit::Failed,
            });
        }
    }
    Ok(())
}

/// Removes the units that an earlier `doze up` wrote itself, which hide what is generated; they are
/// returned.
fn clear(context: &Context, project: &ProjectName) -> io::Result<Vec<(Utf8PathBuf, String)>> {
    let prefix = Prefix::of(project);
    let Some(entries) = fsx::missing_is_none(context.dirs.units.read_dir_utf8())? else {
        return Ok(Vec::new());
    };
    let mut cleared = Vec::new();
    for entry in entries {
        let path = entry?.into_path();
        if path.file_name().is_some_and(|name| prefix.owns(name)) {
            cleared.push((path.clone(), fs::read_to_string(&path)?));
            fs::remove_file(path)?;
        }
    }
    Ok(cleared)
}

fn not_made(project: &ProjectName) -> Failure {
    Failure::Plain {
        message: format!("doze-generator has not made the units of {project}"),
        hint: Some(format!(
            "install it, as root: mkdir -p {PLACE} && ln -sf \"$(command -v doze)\" \
             {PLACE}/doze-generator"
        )),
        exit: Exit::Failed,
    }
}

/// The only manager that has generators.
fn systemd(context: &Context) -> Result<Box<dyn Manager>, Failure> {
    let manager = manager::connect(&context.dirs)?;
    let systemd = manager.filter(|manager| manager.init() == Init::Systemd);
    systemd.ok_or_else(no_manager)
}

fn no_manager() -> Failure {
    Failure::Plain {
        message: "there is no systemd user manager here that could call doze-generator".into(),
        hint: Some("`doze up` alone needs none".into()),
        exit: Exit::NoManager,
    }
}

fn write(context: &Context, project: &ProjectName, source: &Utf8Path) -> Result<(), Failure> {
    registered::write(&context.dirs, project, source, &context.inputs)
        .map_err(Failure::io("register the project"))
}

/// Ends the registration, if there is one; the manager has to be reloaded then.
pub(super) fn take_back(
    context: &Context,
    project: &ProjectName,
    source: &Utf8Path,
) -> Result<bool, Failure> {
    let cannot = || Failure::io("take the registration back");
    let file = registered::find(&context.dirs, source);
    if let Some(file) = &file {
        registered::remove(file).map_err(cannot())?;
    }
    registered::unlink_plans(&context.dirs, project).map_err(cannot())?;
    Ok(file.is_some())
}
