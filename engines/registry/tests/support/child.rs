//! A fetch as a process of its own: this test program, run again. Only so can it be given other
//! certificates to trust, be killed, or be one of many.
//!
//! Must not know what becomes of it.

use std::{
    env, fs,
    io::Write as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::error::chain;
use doze_registry::{Artefact, Mirror, Store, mirror::MirrorError, stream::Pace};

use crate::world::{self, package};

/// One fetch.
#[derive(Clone)]
pub(crate) struct Job {
    /// Where the registry is.
    pub(crate) url: String,
    /// Whom to trust.
    pub(crate) authority: Utf8PathBuf,
    /// The directory of the store.
    pub(crate) store: Utf8PathBuf,
    /// The name of the package.
    pub(crate) name: &'static str,
    pub(crate) artefact: Artefact,
    /// The stretch of the pace in milliseconds; the least is 1000 bytes.
    pub(crate) stretch: u64,
    /// The file for the answer.
    pub(crate) answer: Utf8PathBuf,
}

impl Job {
    /// Starts it.
    pub(crate) fn start(&self) -> Child {
        let Artefact { size, sha256 } = self.artefact;
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "fetcher", "--ignored"])
            .env("SSL_CERT_FILE", &self.authority)
            .env_remove("SSL_CERT_DIR")
            .env("FETCH_URL", &self.url)
            .env("FETCH_STORE", &self.store)
            .env("FETCH_NAME", self.name)
            .env("FETCH_ARTEFACT", format!("{size} {sha256}"))
            .env("FETCH_STRETCH", self.stretch.to_string())
            .env("FETCH_ANSWER", &self.answer)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end. The path of the tree, or what the user is told.
    pub(crate) fn run(&self) -> Result<Utf8PathBuf, String> {
        assert!(self.start().wait().unwrap().success());
        self.answer()
    }

    /// What it has come to.
    pub(crate) fn answer(&self) -> Result<Utf8PathBuf, String> {
        let text = fs::read_to_string(&self.answer).unwrap();
        match text.split_once(' ').unwrap() {
            ("tree", path) => Ok(path.into()),
            (_, error) => Err(error.to_owned()),
        }
    }
}

/// What the process does.
pub(crate) fn work() {
    let Ok(url) = env::var("FETCH_URL") else {
        return;
    };
    let asked = |name: &str| env::var(name).unwrap();
    let text = asked("FETCH_ARTEFACT");
    let (size, sha256) = text.split_once(' ').unwrap();
    let artefact = Artefact {
        size: size.parse().unwrap(),
        sha256: sha256.parse().unwrap(),
    };
    let pace = Pace {
        least: 1000,
        stretch: Duration::from_millis(asked("FETCH_STRETCH").parse().unwrap()),
    };
    let answer = match Mirror::new(&url) {
        Ok(mirror) => fetch(&mirror.with_pace(pace), &artefact),
        Err(error) => refused(&error),
    };
    let mut file = fs::File::create(asked("FETCH_ANSWER")).unwrap();
    file.write_all(answer.as_bytes()).unwrap();
}

fn fetch(mirror: &Mirror, artefact: &Artefact) -> String {
    let store = env::var("FETCH_STORE").unwrap();
    let store = Store::new(Utf8Path::new(&store));
    let package = package(&env::var("FETCH_NAME").unwrap());
    match world::fetch(&store, mirror, &package, artefact) {
        Ok(tree) => format!("tree {tree}"),
        Err(error) => format!("error {}", chain(&error)),
    }
}

fn refused(error: &MirrorError) -> String {
    format!("error {}", chain(error))
}
