//! `FerretDB` behind its endpoints: a client of MongoDB, a private Postgres with `DocumentDB`, and what
//! stands between the two.
//!
//! That is the `ferretdb` of `DOZE_FERRET_BINDIR`. Without one it is a stand-in, which is none: it hands
//! the commands that the tests use to `DocumentDB`, and shows how doze runs two members that need each
//! other, and what it makes in the database.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::skip::unshown;
use doze_tests::{engines, in_every_mode, needed, process, tree, wait_until};
use rustix::process::{Pid, Signal, kill_process};

in_every_mode!(
    seeded_documents_are_there_for_a_client_and_after_a_sleep,
    a_collection_that_is_declared_later_appears,
    a_killed_member_takes_the_other_along_and_both_are_booted_again,
    the_database_is_stopped_when_what_uses_it_has_gone,
    a_client_shows_why_it_cannot_be_served,
);

/// Longer than the slowest boot on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

const STAND_IN: &str = include_str!("../../engines/ferret/tests/stand-in/ferretdb");

const SEED: &str = r#"{"_id": 1, "user": "ada", "at": {"$date": "2020-01-01T00:00:00Z"}}
{"_id": {"$oid": "507f1f77bcf86cd799439011"}, "user": "größe", "total": {"$numberDecimal": "1.50"}}
"#;

/// Runs one line of Python, with `db` as the database `shop`, and prints what it is worth.
const CLIENT: &str = "\
import pymongo, sys
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=60000)
db = client.shop
try:
    print(eval(sys.argv[2]))
except pymongo.errors.PyMongoError as error:
    sys.exit('%s %s %s' % (type(error).__name__, getattr(error, 'code', None), error))
";

/// A project with a ferret `docs`.
struct Docs {
    project: Project,
    port: u16,
}

impl Docs {
    /// One that is up, with these lines in the block of the instance; `None` if this machine lacks
    /// something.
    fn up(mode: Mode, idle_timeout: &str, lines: &str) -> Option<Self> {
        needed("pymongo for /usr/bin/python3", has_pymongo())?;
        let postgres = documentdb()?;
        let mut project = Project::new(mode, idle_timeout)?;
        let programs = match std::env::var_os("DOZE_FERRET_BINDIR") {
            Some(folder) => folder.into(),
            None => stand_in(&project, &postgres),
        };
        project.set("DOZE_FERRET_BINDIR", &programs);
        project.world.write("home/shop/carts.json", SEED);
        let port = project.world.port();
        let mut docs = Self { project, port };
        docs.project.declare(&docs.toml(idle_timeout, lines));
        docs.project.up();
        Some(docs)
    }

    fn toml(&self, idle_timeout: &str, lines: &str) -> String {
        format!(
            "name = \"shop\"\n\n[defaults]\nidle_timeout = \"{idle_timeout}\"\n\n[ferret.docs]\n\
             version = 2\nlisten = [\"127.0.0.1:{}\", \"unix\"]\n{lines}\n\
             [ferret.docs.database.shop.collection.carts]\nseed = \"carts.json\"\n\n\
             [ferret.docs.database.shop.collection.carts.index.by_user]\n\
             keys = [\"user\", \"-at\", \"_id\"]\n",
            self.port
        )
    }

    /// pymongo at this endpoint of the instance: the TCP one, or the unix one.
    fn client_at(&self, endpoint: usize, python: &str) -> Command {
        let plan = self.project.plan("docs");
        let url = match plan.endpoints.get(endpoint) {
            Some(doze_contract::Endpoint::Unix(path)) => {
                format!("mongodb://{}/", path.as_str().replace('/', "%2F"))
            }
            _ => plan.body.connection.url.expect("a URL"),
        };
        let mut command = self.project.world.command("/usr/bin/python3");
        command.args(["-c", CLIENT, &url, python]);
        command
    }

    /// What pymongo says.
    #[track_caller]
    fn asked(&self, python: &str) -> String {
        succeed(&mut self.client_at(0, python))
            .trim_end()
            .to_owned()
    }

    /// The process of a member.
    #[track_caller]
    fn member(&self, name: &str) -> Pid {
        let program = match name {
            "postgres" => "/postgres -D ",
            _ => "/ferretdb --postgresql-url ",
        };
        let mut found = self.project.processes();
        // Its own children repeat what it is called, and have it for a parent.
        found.retain(|process| process.command.contains(program));
        assert_eq!(found.len(), 1, "{}", process::list(&found));
        let found = found.first().expect("one");
        Pid::from_raw(found.pid).expect("a pid")
    }
}

fn has_pymongo() -> Option<()> {
    let asked = Command::new("/usr/bin/python3")
        .args(["-c", "import pymongo"])
        .output();
    asked.ok()?.status.success().then_some(())
}

/// The programs of a Postgres with `DocumentDB` that the user of a world can run. They know the place
/// that they were unpacked at, so no copy elsewhere would do.
fn documentdb() -> Option<PathBuf> {
    let found = engines::documentdb();
    if found.is_none() {
        unshown("there is no PostgreSQL with DocumentDB here");
    }
    let found = found?;
    if !tree::is_public(&found) {
        unshown(&format!(
            "the PostgreSQL with DocumentDB in {} is in a private folder",
            found.display()
        ));
        return None;
    }
    Some(found)
}

/// A folder with the stand-in beside the programs of a Postgres.
fn stand_in(project: &Project, postgres: &Path) -> PathBuf {
    let program = project.world.write("ferret/ferretdb", STAND_IN);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("our file");
    let folder = program.parent().expect("it is in a folder");
    for name in ["initdb", "postgres"] {
        symlink(postgres.join(name), folder.join(name)).expect("a fresh name");
    }
    folder.to_owned()
}

const USERS: &str = "[it['user'] for it in db.carts.find()]";

fn seeded_documents_are_there_for_a_client_and_after_a_sleep(mode: Mode) {
    let Some(docs) = Docs::up(mode, "300ms", "") else {
        return;
    };
    assert_eq!(
        process::list(&docs.project.processes()),
        "",
        "asleep after up"
    );
    assert_eq!(docs.asked(USERS), "['ada', 'größe']");
    docs.project.wait_asleep();
    assert_eq!(
        docs.asked("[(str(it['_id']), it.get('total'), it.get('at')) for it in db.carts.find()]"),
        "[('1', None, datetime.datetime(2020, 1, 1, 0, 0)), \
         ('507f1f77bcf86cd799439011', Decimal128('1.50'), None)]"
    );
    assert_eq!(
        docs.asked("[list(it['key'].items()) for it in db.carts.list_indexes()]"),
        "[[('_id', 1)], [('user', 1), ('at', -1), ('_id', 1)]]"
    );
    docs.asked("db.carts.insert_many([{'user': 'eve'}, {'user': 'mallory'}])");
    docs.project.wait_asleep();
    // FerretDB itself, or what stands for it, is at the end of a unix endpoint.
    for endpoint in [0, 1] {
        let users = succeed(&mut docs.client_at(endpoint, USERS));
        assert_eq!(users, "['ada', 'größe', 'eve', 'mallory']\n");
        docs.project.wait_asleep();
    }
    let log = docs.project.log("docs");
    let planted = "documentdb_api.insert('shop'";
    assert_eq!(log.matches(planted).count(), 1, "{log}");
    assert!(!log.contains("killing") && !log.contains("failed"), "{log}");
}

fn a_collection_that_is_declared_later_appears(mode: Mode) {
    let Some(mut docs) = Docs::up(mode, "300ms", "") else {
        return;
    };
    docs.asked("db.carts.insert_one({'user': 'eve'})");
    let later = "[ferret.docs.database.shop.collection.later]\nseed = \"carts.json\"\n";
    let toml = docs.toml("300ms", "") + later;
    docs.project.edit(&toml);
    assert_eq!(docs.asked("db.command('count', 'later')['n']"), "2");
    assert_eq!(docs.asked("db.command('count', 'carts')['n']"), "3");
    docs.project.wait_asleep();
}

fn a_killed_member_takes_the_other_along_and_both_are_booted_again(mode: Mode) {
    let Some(docs) = Docs::up(mode, "1h", "") else {
        return;
    };
    assert_eq!(docs.asked(USERS), "['ada', 'größe']");
    for name in ["ferretdb", "postgres"] {
        let before = ["ferretdb", "postgres"].map(|name| docs.member(name));
        kill_process(docs.member(name), Signal::KILL).expect("it runs");
        // Who comes before its death is known is lost with it.
        let users = wait_until("the documents", BOUND, || {
            let output = output(&mut docs.client_at(0, USERS));
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim_end().to_owned();
            if output.status.success() {
                Ok(said)
            } else {
                Err(said)
            }
        });
        assert_eq!(users, "['ada', 'größe']", "after the end of {name}");
        let now = ["ferretdb", "postgres"].map(|name| docs.member(name));
        let gone = before.iter().all(|pid| !now.contains(pid));
        assert!(gone, "{before:?} before the end of {name}, {now:?} after");
        let log = docs.project.log("docs");
        assert!(log.contains(&format!("{name} ended unasked")), "{log}");
    }
    docs.project.run(&["sleep", "docs"]);
    docs.project.wait_asleep();
}

fn the_database_is_stopped_when_what_uses_it_has_gone(mode: Mode) {
    let Some(docs) = Docs::up(mode, "1h", "") else {
        return;
    };
    docs.project.run(&["wake", "docs"]);
    docs.project.run(&["sleep", "docs"]);
    docs.project.wait_asleep();
    let log = docs.project.log("docs");
    let at = |what: &str| log.find(what);
    let stopping = at("received fast shutdown request");
    assert!(stopping.is_some(), "{log}");
    assert!(at("database system is shut down") > stopping, "{log}");
    if std::env::var_os("DOZE_FERRET_BINDIR").is_none() {
        let leaving = at("ferretdb: leaving, the database is there");
        assert!(leaving.is_some() && leaving < stopping, "{log}");
    }
}

fn a_client_shows_why_it_cannot_be_served(mode: Mode) {
    let Some(mut docs) = Docs::up(mode, "300ms", "settings = { log-level = \"shout\" }") else {
        return;
    };
    for endpoint in [0, 1] {
        let refused = output(&mut docs.client_at(endpoint, USERS));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "it was served");
        assert!(said.starts_with("OperationFailure 96 doze: "), "{said}");
        assert!(
            said.contains("ferretdb ended before it was ready"),
            "{said}"
        );
        assert!(said.contains("doze logs docs shows more"), "{said}");
    }
    let sound = docs.toml("300ms", "");
    docs.project.edit(&sound);
    assert_eq!(docs.asked(USERS), "['ada', 'größe']");
    docs.project.wait_asleep();
}
