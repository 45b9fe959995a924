//! `doze logs [NAMES…]`: what instances and their activators said.
//!
//! Owns which lines are shown, and how. The files are the activators'.

mod tail;

use std::io::{self, Write};

use doze_contract::{InstanceName, ProjectName};

use self::tail::Tail;
use super::Context;
use crate::{failure::Failure, output::Paint};

/// Which lines of the logs are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) follow: bool,
    /// Only what was said since each was started the last time.
    pub(super) since_boot: bool,
    /// Only so many of the last lines of each.
    pub(super) lines: Option<usize>,
}

pub(super) fn run(context: &Context, names: &[String], wanted: Wanted) -> Result<(), Failure> {
    let (project, instances) = context.instances(names)?;
    let prefixes = prefixes(&instances, Paint::stdout());
    let tail = |(instance, prefix): (&InstanceName, String)| {
        Tail::new(context.dirs.instance(&project, instance).log, prefix)
    };
    let mut tails: Vec<_> = instances.iter().zip(prefixes).map(tail).collect();
    let folder = logs(context, &project);
    let mut print = || {
        // Watched before anything is read, so that nothing is missed in between.
        let watch = wanted.follow.then(|| tail::watch(&folder)).transpose()?;
        let mut stdout = io::stdout().lock();
        for tail in &mut tails {
            tail.begin(wanted, &mut stdout)?;
        }
        stdout.flush()?;
        watch.map_or(Ok(()), |watch| tail::follow(watch, &mut tails, &mut stdout))
    };
    print().map_err(Failure::io("print the logs"))
}

/// The folder that holds the logs of a project.
fn logs(context: &Context, project: &ProjectName) -> camino::Utf8PathBuf {
    context.dirs.project(project).join("logs")
}

/// What stands before each line of an instance, if there are several.
fn prefixes(instances: &[InstanceName], paint: Paint) -> Vec<String> {
    const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];
    let width = |name: &InstanceName| name.as_str().chars().count();
    let widest = instances.iter().map(width).max().unwrap_or(0);
    let prefix = |(name, colour): (&InstanceName, &&str)| {
        let blanks = " ".repeat(widest - width(name));
        paint.style(colour, format_args!("{name}{blanks} |")) + " "
    };
    if instances.len() < 2 {
        return vec![String::new(); instances.len()];
    }
    instances
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(prefix)
        .collect()
}
