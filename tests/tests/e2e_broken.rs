//! An instance that cannot boot: crowds of clients each get an end, no unit ever has to be reset,
//! and the next try after the cause is gone succeeds.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a surprise fails the test, and says what it was; the counts are the result"
)]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use doze_contract::Endpoint;
use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project};
use doze_tests::random::Random;
use doze_tests::size::pick;
use doze_tests::{engines, needed, wait_until, without_launchd};

without_launchd!(
    a_broken_postgres_ends_every_client_and_recovers,
    a_broken_valkey_ends_every_client_and_recovers,
);

/// Within which a client has to hear something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Within which an instance has to be tried again.
const RECOVERY: Duration = Duration::from_secs(10);

/// Clients at a time.
fn threads() -> usize {
    pick(8, 200)
}

/// Why an instance cannot boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The engine does not take a setting.
    Setting,
    /// The engine is not installed any more.
    Toolchain,
    /// The user may not read the data directory.
    Unreadable,
    /// The engine does not know its data any more.
    Corrupt,
}

fn a_broken_postgres_ends_every_client_and_recovers(mode: Mode) {
    breaks(mode, "app");
}

fn a_broken_valkey_ends_every_client_and_recovers(mode: Mode) {
    breaks(mode, "cache");
}

fn breaks(mode: Mode, instance: &'static str) {
    let Some(mut stage) = Stage::new(mode, instance) else {
        return;
    };
    for cause in [
        Cause::Setting,
        Cause::Toolchain,
        Cause::Unreadable,
        Cause::Corrupt,
    ] {
        stage.project.wait_asleep();
        stage.apply(cause);
        let failed = || stage.project.logged(instance, "boot failed: ");
        let (before, begun) = (failed(), Instant::now());
        let ends = stage.crowd();
        let (tries, took) = (failed() - before, begun.elapsed());
        println!("{mode:?}, {instance}, {cause:?}: {ends:?} in {took:.1?}, {tries} tries to boot");
        assert_eq!(ends.served, 0, "{cause:?}");
        assert_eq!(ends.forgotten, 0, "{cause:?}");
        assert_eq!(ends.cut, 0, "{cause:?}: everybody has to be told");
        assert_eq!(ends.refused, 0, "{cause:?}: somebody has to listen");
        assert!(tries > 0, "{cause:?}: nobody tried");
        let most = took.as_secs_f64() * 1.25 + 2.0;
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let tried = tries as f64;
        assert!(tried <= most, "{cause:?}: {tries} tries in {took:?}");
        stage.socket_is_up();

        stage.mend(cause);
        let tries = stage.wait_until_served();
        println!("{mode:?}, {instance}, {cause:?}: mended, served at try {tries}");
        assert_eq!(tries, 1, "{cause:?}");
    }
}

/// What became of a crowd.
#[derive(Debug, Default)]
struct Ends {
    /// Told the reason and where to find more.
    told: usize,
    /// Cut off without a word.
    cut: usize,
    /// Nobody listened.
    refused: usize,
    /// Answered as if nothing was the matter.
    served: usize,
    /// Not told anything in a long time.
    forgotten: usize,
}

struct Stage {
    project: Project,
    mode: Mode,
    instance: &'static str,
    tools: PathBuf,
    /// What was corrupted, and what it said before.
    sound: Option<(PathBuf, Vec<u8>)>,
}

impl Stage {
    fn new(mode: Mode, instance: &'static str) -> Option<Self> {
        let engines = [
            needed("a Postgres", engines::postgres())?,
            needed("a Valkey", engines::valkey())?,
        ];
        let mut project = Project::new(mode, "100ms")?;
        // Programs that can be taken away.
        let tools = project.world.dir().join("tools");
        fs::create_dir(&tools).expect("a fresh directory");
        for engine in &engines {
            let folder = project.world.bindir(engine);
            for program in fs::read_dir(folder).expect("it is there") {
                let program = program.expect("it can be listed");
                symlink(program.path(), tools.join(program.file_name())).expect("a fresh name");
            }
        }
        project.use_programs(&tools);
        project.up();
        project.sql("create table t (n int); insert into t values (42)");
        project.cached(&["set", "k", "v"]);
        Some(Self {
            project,
            mode,
            instance,
            tools,
            sound: None,
        })
    }

    fn apply(&mut self, cause: Cause) {
        let data = self.project.plan(self.instance).paths.data;
        match cause {
            Cause::Setting => {
                let toml = self.project.toml("100ms");
                let toml = match self.instance {
                    "app" => toml.replace(
                        "owner = \"app\"\n",
                        "owner = \"app\"\nsettings = { work_mem = \"nonsense\" }\n",
                    ),
                    _ => toml + "settings = { no-such-directive = \"1\" }\n",
                };
                self.declare(&toml);
            }
            Cause::Toolchain => fs::rename(&self.tools, self.away()).expect("our directory"),
            Cause::Unreadable => set_mode(data.as_std_path(), 0o000),
            Cause::Corrupt => {
                let file = match self.instance {
                    "app" => data.join("pgdata/global/pg_control"),
                    _ => data.join("dump.rdb"),
                };
                let sound = fs::read(&file).expect("the engine has written it");
                self.project.world.write(&file, "not what it was");
                self.sound = Some((file.into_std_path_buf(), sound));
            }
        }
    }

    fn mend(&mut self, cause: Cause) {
        match cause {
            Cause::Setting => self.declare(&self.project.toml("100ms")),
            Cause::Toolchain => fs::rename(self.away(), &self.tools).expect("our directory"),
            Cause::Unreadable => {
                let data = self.project.plan(self.instance).paths.data;
                set_mode(data.as_std_path(), 0o700);
            }
            Cause::Corrupt => {
                let (file, sound) = self.sound.take().expect("it was corrupted");
                // The owner and the mode stay.
                let mut file = fs::File::create(file).expect("it is there");
                std::io::Write::write_all(&mut file, &sound).expect("room");
            }
        }
    }

    fn away(&self) -> PathBuf {
        self.tools.with_extension("away")
    }

    /// Declares something else and brings it up.
    fn declare(&mut self, toml: &str) {
        if self.mode == Mode::Foreground {
            self.project.down();
        }
        self.project.declare(toml);
        match self.mode {
            Mode::Systemd | Mode::Launchd => drop(self.project.run(&["up"])),
            Mode::Foreground => self.project.up(),
        }
    }

    fn crowd(&self) -> Ends {
        let plan = self.project.plan(self.instance);
        let endpoint = plan.endpoints.first().expect("an endpoint");
        let exchange = Exchange::of(&plan);
        let hint = format!("doze logs {}", self.instance);
        let share = pick(16, 1_000) / threads();
        let come = |number: usize| {
            let mut random = Random::new(number as u64);
            let mut ends = Ends::default();
            for _ in 0..share {
                pause(random.within(Duration::from_millis(pick(300, 250))));
                let end = end(endpoint, &exchange, &hint);
                *(match end {
                    End::Told => &mut ends.told,
                    End::Cut => &mut ends.cut,
                    End::Refused => &mut ends.refused,
                    End::Served => &mut ends.served,
                    End::Forgotten => &mut ends.forgotten,
                }) += 1;
            }
            ends
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads())
                .map(|number| scope.spawn(move || come(number)))
                .collect();
            let mut all = Ends::default();
            for thread in threads {
                let ends = thread.join().expect("a client does not panic");
                all.told += ends.told;
                all.cut += ends.cut;
                all.refused += ends.refused;
                all.served += ends.served;
                all.forgotten += ends.forgotten;
            }
            all
        })
    }

    /// What listens was never given up by the init system.
    fn socket_is_up(&self) {
        if self.mode == Mode::Systemd {
            let unit = format!("doze-shop-{}.socket", self.instance);
            let state = self
                .project
                .world
                .run(&["systemctl", "--user", "is-active", &unit]);
            assert_eq!(state.trim_end(), "active");
        }
    }

    /// How many tries it takes to be served, with all that was there before.
    fn wait_until_served(&self) -> usize {
        let mut tries = 0;
        wait_until("the instance to recover", RECOVERY, || {
            tries += 1;
            let mut ask = match self.instance {
                "app" => self.project.psql("select n from t"),
                _ => self.project.cli(&["get", "k"]),
            };
            let output = ask.output().expect("a client starts");
            let said = String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned();
            if output.status.success() && ["42", "v"].contains(&said.as_str()) {
                Ok(())
            } else {
                Err(said + &String::from_utf8_lossy(&output.stderr))
            }
        });
        tries
    }
}

enum End {
    Told,
    Cut,
    Refused,
    Served,
    Forgotten,
}

/// How one client fares.
fn end(endpoint: &Endpoint, exchange: &Exchange, hint: &str) -> End {
    let Ok(mut client) = Client::connect(endpoint, PATIENCE) else {
        return End::Refused;
    };
    if exchange.say(&mut client).is_err() {
        return End::Cut;
    }
    let mut said = Vec::new();
    let mut part = [0; 4096];
    loop {
        match client.read(&mut part) {
            Ok(count @ 1..) => said.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return End::Forgotten,
            Ok(0) | Err(_) => break,
        }
        if exchange.hear(&mut said.as_slice()).is_ok_and(|ready| ready) {
            return End::Served;
        }
    }
    if String::from_utf8_lossy(&said).contains(hint) {
        End::Told
    } else {
        End::Cut
    }
}

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our directory");
}

/// The time between two clients is not a wait: nothing is expected to happen in it.
#[expect(clippy::disallowed_methods, reason = "clients come at random moments")]
fn pause(gap: Duration) {
    thread::sleep(gap);
}
