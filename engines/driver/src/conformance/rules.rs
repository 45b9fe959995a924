//! The rules that every driver has to keep, asked of its program. It must not know any engine.

use std::{
    error::Error,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use camino::Utf8Path;
use doze_contract::{
    Endpoint, InstanceName, Plan,
    plan::Readiness,
    protocol::{Check, Checked, Description, PROTOCOL, Response, Toolchain},
};
use serde_json::{Map, Value, json};

use super::{Refusing, Session, World};
use crate::Refusal;

/// Asks the driver `program` everything and gives the rules it breaks.
///
/// `block` is a right block that uses as many keys as possible, and `secrets` are the texts in it
/// that nobody else may see. The data directory is provisioned with the programs of `toolchain`.
pub fn broken(
    program: &str,
    toolchain: &Toolchain,
    block: &Map<String, Value>,
    secrets: &[&str],
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut rules = Rules::default();
    let world = World::new(program, toolchain)?;
    // They take their time, so the rest goes on meanwhile.
    let refusals = refusals(Utf8Path::new(program))?;
    manners(&mut rules, Utf8Path::new(program))?;
    let mut session = world.session()?;
    description(&mut rules, &session.describe()?);
    blocks(&mut rules, &world, &mut session)?;
    let plan = world.plan("app", block)?;
    rules.demand(
        plan == world.plan("app", block)?,
        "the same block gives the same plan",
    );
    paths(&mut rules, &plan);
    seclusion(&mut rules, &plan, secrets);
    provision(&mut rules, &world, &plan)?;
    for refused in refusals {
        rules.demand(
            refused.driver.end()?.success(),
            &format!(
                "a driver leaves with status 0 when the client that it refuses {}",
                refused.client
            ),
        );
    }
    Ok(rules.broken)
}

#[derive(Default)]
struct Rules {
    broken: Vec<String>,
}

impl Rules {
    fn demand(&mut self, kept: bool, rule: &str) {
        if !kept {
            self.broken.push(rule.to_owned());
        }
    }
}

/// How a driver behaves as a program.
fn manners(rules: &mut Rules, program: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let mut session = Session::start(&[], program)?;
    for garbage in [
        &b"no json"[..],
        b"",
        b"{}",
        b"\xff\xfe",
        b"{\"protocol\":1,\"call\":\"dance\"}",
    ] {
        rules.demand(
            matches!(session.raw(garbage)?, Response::Error(_)),
            &format!("`{}` is answered with an error", garbage.escape_ascii()),
        );
    }
    let foreign = format!(r#"{{"protocol":{},"call":"describe"}}"#, PROTOCOL + 1);
    rules.demand(
        matches!(session.raw(foreign.as_bytes())?, Response::Error(_)),
        "another protocol is answered with an error",
    );
    rules.demand(
        session.describe()? == session.describe()?,
        "a driver describes itself the same way each time, also after garbage",
    );
    rules.demand(
        session.end()?.success(),
        "the end of input ends a driver with status 0",
    );
    Ok(())
}

/// A client that makes it hard to be refused, and its driver.
struct Refused {
    client: &'static str,
    /// Its side of the connection, if it stays.
    _stream: Option<UnixStream>,
    driver: Refusing,
}

/// One of each kind. None may keep a driver.
fn refusals(program: &Utf8Path) -> Result<Vec<Refused>, Box<dyn Error>> {
    let refusal = Refusal {
        reason: "no space\nleft".to_owned(),
        hint: "doze logs app".to_owned(),
    };
    let start = |client, says: &[u8], stays: bool| -> Result<_, Box<dyn Error>> {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.write_all(says)?;
        Ok(Refused {
            client,
            _stream: stays.then_some(ours),
            driver: Refusing::start(program, theirs, &refusal)?,
        })
    };
    Ok(vec![
        start("says nothing", b"", true)?,
        start("leaves at once", b"", false)?,
        start("says garbage", b"\xff\0\r\n", true)?,
        start("says garbage and leaves", b"\xff\0\r\n", false)?,
    ])
}

fn description(rules: &mut Rules, description: &Description) {
    rules.demand(
        description.majors.is_sorted_by(|a, b| a < b) && !description.majors.is_empty(),
        "majors are there, oldest first",
    );
    rules.demand(description.default_port != 0, "the default port is a port");
    let name = &description.socket_name;
    rules.demand(
        !name.is_empty() && !name.contains('/'),
        "the socket name is the name of a file",
    );
    rules.demand(
        !description.toolchain.servers.is_empty(),
        "there is a name for the server program",
    );
    for folder in &description.toolchain.folders {
        rules.demand(
            folder.starts_with('/') && folder.matches('*').count() <= 1,
            &format!("`{folder}` is absolute and has at most one `*`"),
        );
    }
    rules.demand(
        description.schema.get("additionalProperties") == Some(&json!(false)),
        "the schema refuses other keys",
    );
    for (name, property) in properties(description) {
        rules.demand(
            property
                .get("description")
                .and_then(Value::as_str)
                .is_some_and(|doc| !doc.is_empty()),
            &format!("the schema tells what `{name}` does"),
        );
    }
}

fn properties(description: &Description) -> Vec<(String, Value)> {
    let properties = description
        .schema
        .get("properties")
        .and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What `check` says of blocks that follow from the schema alone.
fn blocks(rules: &mut Rules, world: &World, session: &mut Session) -> Result<(), Box<dyn Error>> {
    let mut check = |block: Map<String, Value>| check(world, session, block);
    for (name, property) in properties(world.description()) {
        if let Some(default) = property.get("default") {
            let block = Map::from_iter([(name.clone(), default.clone())]);
            let checked = check(block)?;
            rules.demand(
                checked.problems.is_empty(),
                &format!("the default of `{name}` is a right value"),
            );
            rules.demand(
                check(Map::new())?.block.get(&name) == Some(default),
                &format!("`{name}` gets the default that the schema tells"),
            );
        }
        let checked = check(Map::from_iter([(name.clone(), json!([]))]))?;
        let told = |p: &doze_contract::protocol::Problem| p.at == [name.as_str()] && !p.key;
        rules.demand(
            checked.problems.iter().any(told),
            &format!("an array for `{name}` is a problem of its value"),
        );
    }
    let unknown = ["no such key", "%s", ""].map(|name| (name.to_owned(), json!(1)));
    let checked = check(Map::from_iter(unknown.clone()))?;
    for (name, _) in unknown {
        rules.demand(
            checked
                .problems
                .iter()
                .any(|p| p.at == [name.as_str()] && p.key),
            &format!("the unknown key `{name}` is told with its path"),
        );
    }
    if let Value::Object(block) = check(Map::new())?.block {
        let again = check(block.clone())?;
        rules.demand(
            again.problems.is_empty() && again.block == Value::Object(block),
            "a normalised block is right and stays as it is",
        );
    } else {
        rules.demand(false, "a normalised block is an object");
    }
    Ok(())
}

fn check(
    world: &World,
    session: &mut Session,
    block: Map<String, Value>,
) -> Result<Checked, Box<dyn Error>> {
    let call = Check {
        instance: InstanceName::new("app")?,
        version: world.version().clone(),
        block,
    };
    Ok(session.check(call)?)
}

/// An instance owns its `run` folder and its data directory, and nothing else.
fn paths(rules: &mut Rules, plan: &Plan) {
    let run = &plan.paths.run;
    let own = |path: &Utf8Path| path.starts_with(run) || path.starts_with(&plan.paths.data);
    for file in &plan.body.files {
        rules.demand(
            file.path.parent() == Some(run),
            &format!("{} is a file in the run folder", file.path),
        );
    }
    if let Endpoint::Unix(path) = &plan.body.upstream {
        rules.demand(path.starts_with(run), "the upstream is in the run folder");
    }
    rules.demand(!plan.body.members.is_empty(), "there is something to spawn");
    for member in &plan.body.members {
        let program = member.argv.first();
        rules.demand(
            program.is_some_and(|program| program.starts_with('/')),
            &format!("the program of `{}` is an absolute path", member.name),
        );
        rules.demand(own(&member.cwd), "a member works in its own folders");
        rules.demand(
            !member.ready_within.is_zero(),
            "a member has time to get ready",
        );
        rules.demand(!member.stop.within.is_zero(), "a member has time to stop");
        if let Readiness::FileLine { path, line, .. } = &member.ready {
            rules.demand(
                own(path) && *line > 0,
                "a member tells readiness in its own folders",
            );
        }
    }
}

/// Command lines and environments can be read by every user of the machine.
fn seclusion(rules: &mut Rules, plan: &Plan, secrets: &[&str]) {
    for member in &plan.body.members {
        let variables = member.env.iter().flat_map(|(name, value)| [name, value]);
        for word in member.argv.iter().chain(variables) {
            rules.demand(
                secrets.iter().all(|secret| !word.contains(secret)),
                &format!("no secret stands on the command line of `{}`", member.name),
            );
        }
    }
}

fn provision(rules: &mut Rules, world: &World, plan: &Plan) -> Result<(), Box<dyn Error>> {
    world.provision(plan)?;
    let mode = plan.paths.data.metadata()?.permissions().mode() & 0o777;
    rules.demand(mode == 0o700, "the data directory is for its owner only");
    rules.demand(
        world.provision(plan).is_ok(),
        "provisioning what is provisioned does no harm",
    );
    Ok(())
}
