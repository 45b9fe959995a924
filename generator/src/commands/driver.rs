//! `doze driver test`: every rule of the driver protocol, put to somebody's driver.
//!
//! Must not know any rule: those are the SDK's.

use camino::Utf8Path;
use doze_contract::{
    error::chain,
    exit::Exit,
    protocol::{Description, Toolchain},
};
use doze_driver::conformance::{Finding, Outcome, Session, Subject, rules};
use serde_json::{Map, Value, json};

use super::Context;
use crate::{
    failure::Failure,
    output::print,
    toolchain::{self, Toolchains},
};

pub(super) fn test(
    context: &Context,
    path: &Utf8Path,
    folder: Option<&Utf8Path>,
    json: bool,
) -> Result<(), Failure> {
    let program = context.dirs.here.join(path);
    if !program.is_file() {
        return Err(Failure::Plain {
            message: format!("{program} is no file"),
            hint: Some("name the driver program itself".into()),
            exit: Exit::Config,
        });
    }
    let about = Session::start(&[], &program).and_then(|mut session| session.describe());
    let toolchain = match (about, folder) {
        (Ok(about), Some(folder)) => Ok(named(&about, &context.dirs.here.join(folder))?),
        (Ok(about), None) => installed(&about),
        (Err(error), _) => Err(chain(&error)),
    };
    let subject = Subject {
        program,
        toolchain,
        block: Map::new(),
        secrets: Vec::new(),
        practice: None,
    };
    let mut findings = Vec::new();
    let mut printed = Ok(());
    let tested = rules::test(&subject, &mut |finding| {
        if !json && printed.is_ok() {
            printed = print(format_args!("{finding}\n"));
        }
        findings.push(finding);
    });
    printed.map_err(Failure::io("print"))?;
    tested.map_err(|error| Failure::plain(chain(&error)))?;
    if json {
        let all: Vec<_> = findings.iter().map(as_json).collect();
        let report = json!({ "driver": subject.program, "rules": all });
        print(format_args!("{report:#}\n")).map_err(Failure::io("print"))?;
    }
    let broken = |finding: &Finding| matches!(finding.outcome, Outcome::Broken(_));
    if findings.iter().any(broken) {
        return Err(Failure::Told(Exit::Failed));
    }
    Ok(())
}

/// The engine in the folder that the user names.
fn named(about: &Description, folder: &Utf8Path) -> Result<Toolchain, Failure> {
    toolchain::toolchain(folder, &about.toolchain).ok_or_else(|| Failure::Plain {
        message: format!("{folder} has no {} that tells its version", about.engine),
        hint: Some(format!(
            "the driver looks for {}",
            about.toolchain.servers.join(" or ")
        )),
        exit: Exit::Config,
    })
}

/// The engine that doze would use, or why there is none.
fn installed(about: &Description) -> Result<Toolchain, String> {
    let found = Toolchains::default().of(&about.engine, &about.toolchain);
    let newest = toolchain::newest_known(about, &found).map(|(toolchain, _)| toolchain.clone());
    newest.ok_or_else(|| {
        format!(
            "no {} here of a version that the driver knows; {} or say --toolchain",
            about.engine,
            toolchain::install(&about.toolchain),
        )
    })
}

fn as_json(finding: &Finding) -> Value {
    let (outcome, why) = match &finding.outcome {
        Outcome::Kept => ("ok", None),
        Outcome::Broken(why) => ("failed", Some(why)),
        Outcome::NotRun(why) | Outcome::Missing(why) => ("not run", Some(why)),
        Outcome::Unfit(why) => ("none", Some(why)),
    };
    json!({ "rule": finding.rule, "outcome": outcome, "why": why })
}
