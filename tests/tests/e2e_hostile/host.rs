//! A project with hostile text in every key: how it is written, brought up, and read back.
//!
//! Must not know: which texts.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use doze_tests::engines::Engine;
use doze_tests::project::{Mode, output};
use doze_tests::world::World;
use serde_json::{Value, json};
use toml::Table;

use crate::texts::Texts;

/// How the texts get into the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// As they are.
    Literally,
    /// By variables, of every origin in turn.
    ByVariables,
}

/// What went wrong.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// A declared project in a world.
pub(crate) struct Host<'a> {
    pub(crate) world: &'a World,
    pub(crate) texts: &'a Texts,
    pub(crate) app: u16,
    pub(crate) cache: u16,
    postgres: &'a Engine,
    valkey: &'a Engine,
    folder: PathBuf,
    home: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    listener: Option<Child>,
}

impl<'a> Host<'a> {
    /// Writes the project down.
    pub(crate) fn new(
        world: &'a World,
        engines: (&'a Engine, &'a Engine),
        texts: &'a Texts,
        said: Said,
    ) -> Self {
        let (postgres, valkey) = engines;
        let mut host = Self {
            world,
            texts,
            app: world.port(),
            cache: world.port(),
            postgres,
            valkey,
            folder: world.home().join(&texts.folder),
            home: world.dir().join(&texts.home),
            arguments: Vec::new(),
            environment: Vec::new(),
            listener: None,
        };
        let mut values = Values::default();
        let mut write = |text: &str| match said {
            Said::Literally => text.replace("${", "$${"),
            Said::ByVariables => values.reference(text),
        };
        let toml = host.toml(&mut write);
        let toml = toml::to_string(&toml).unwrap_or_else(|error| panic!("{error}"));
        let mut file = toml + "\n";
        if said == Said::ByVariables {
            file += &table("variables", values.declared);
            let auto = toml::to_string(&values.filed).unwrap_or_else(|error| panic!("{error}"));
            world.write(host.folder.join("a.auto.toml"), &auto);
        }
        world.write(host.folder.join("doze.toml"), &file);
        host.arguments = values.arguments;
        host.environment = values.environment;
        host
    }

    fn toml(&self, write: &mut dyn FnMut(&str) -> String) -> Table {
        let it = self.texts;
        let said = write(&it.said);
        let local = format!("${{local[{}]}}", quoted(&it.output));
        let value = json!({
            "name": write(&it.project),
            "locals": { &*it.output: said },
            "outputs": {
                &*it.output: local,
                "described": { "value": write(&it.said), "description": write(&it.said) },
            },
            "postgres": { &*it.postgres: {
                "version": self.postgres.major(),
                "listen": [format!("127.0.0.1:{}", self.app), write(&format!("unix:{}", self.postgres_socket()))],
                "owner": write(&it.owner),
                "settings": { "my.text": write(&it.setting) },
                "role": {
                    &*it.owner: { "password": write(&it.owner_password) },
                    &*it.group: { "login": false },
                    &*it.role: {
                        "password": write(&it.role_password),
                        "member_of": [write(&it.group)],
                        "settings": { "my.role": write(&it.role_setting) },
                    },
                },
                "database": { &*it.database: { "owner": write(&it.role) } },
                "schema": { &*it.schema: { "owner": write(&it.role) } },
            }},
            "valkey": { &*it.valkey: {
                "version": self.valkey.major(),
                "listen": [format!("127.0.0.1:{}", self.cache), write(&format!("unix:{}", self.valkey_socket()))],
                "password": write(&it.password),
                "settings": { "masterauth": write(&it.primary_password) },
            }},
        });
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where the unix sockets of both are.
    pub(crate) fn postgres_socket(&self) -> String {
        format!("{}/.s.PGSQL.5433", self.sockets())
    }

    pub(crate) fn valkey_socket(&self) -> String {
        format!("{}/{}", self.sockets(), self.texts.sockets)
    }

    pub(crate) fn sockets(&self) -> String {
        let dir = self.world.dir().join(&self.texts.sockets);
        dir.to_str().unwrap_or_default().to_owned()
    }

    /// A doze command in the project's folder.
    pub(crate) fn doze(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command("doze");
        command
            .args(&self.arguments)
            .args(arguments)
            .current_dir(&self.folder)
            .env("DOZE_HOME", &self.home)
            .env("DOZE_POSTGRES_BINDIR", self.world.bindir(self.postgres))
            .env("DOZE_VALKEY_BINDIR", self.world.bindir(self.valkey))
            .envs(self.environment.iter().cloned());
        command
    }

    pub(crate) fn up(&mut self, mode: Mode) -> Outcome {
        if mode.has_manager() {
            return printed(&mut self.doze(&["up"])).map(drop);
        }
        let log = self.world.dir().join("listener.log");
        let errors = fs::File::create(&log).map_err(|error| error.to_string())?;
        let mut listener = self.doze(&["up", "--foreground"]);
        let listener = listener.stdout(Stdio::piped()).stderr(errors).spawn();
        let listener = self
            .listener
            .insert(listener.map_err(|error| error.to_string())?);
        let told = listener.stdout.take().map(BufReader::new);
        let mut lines = told
            .into_iter()
            .flat_map(BufRead::lines)
            .map_while(Result::ok);
        if lines.any(|line| line.contains("Ctrl-C")) {
            return Ok(());
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        Err(format!("the listener ended: {said}"))
    }

    /// psql(1), by the URL that doze prints or whatever else leads there.
    pub(crate) fn psql(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(&self.postgres.client);
        command
            .args(["-XAtqw", "-v", "ON_ERROR_STOP=1"])
            .args(words);
        command
    }

    /// valkey-cli.
    pub(crate) fn cli(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(&self.valkey.client);
        command.args(["--raw", "--no-auth-warning"]).args(words);
        command
    }

    /// A file that doze wrote into the project.
    pub(crate) fn written(&self, name: &str) -> Outcome<String> {
        let path = self.folder.join(".doze").join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Removes all of it, by doze; whatever is left afterwards.
    pub(crate) fn destroy(mut self) -> Outcome {
        printed(&mut self.doze(&["destroy", "--yes"]))?;
        if let Some(mut listener) = self.listener.take() {
            let ended = listener.wait().map_err(|error| error.to_string())?;
            demand("the listener's end", &true, &ended.success())?;
        }
        let left = |folder: PathBuf| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        };
        demand(
            "projects that are left",
            &vec![],
            &left(self.home.join("projects")),
        )?;
        let units = left(self.world.units());
        let units: Vec<_> = units
            .into_iter()
            .filter(|name| name.starts_with("doze-"))
            .collect();
        demand("units that are left", &vec![], &units)
    }
}

/// The values of variables, of every origin.
#[derive(Default)]
struct Values {
    count: usize,
    declared: Table,
    filed: Table,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Values {
    /// Gives another variable this text; the expression for it.
    fn reference(&mut self, text: &str) -> String {
        let name = format!("v{}", self.count);
        let mut about = Table::new();
        let template = || toml::Value::from(text.replace("${", "$${"));
        match self.count % 4 {
            0 => drop(about.insert("default".to_owned(), template())),
            1 => drop(self.filed.insert(name.clone(), template())),
            2 => self
                .arguments
                .extend(["--var".to_owned(), format!("{name}={text}")]),
            _ => self
                .environment
                .push((format!("DOZE_VAR_{name}"), text.to_owned())),
        }
        self.count += 1;
        self.declared.insert(name.clone(), about.into());
        format!("${{var.{name}}}")
    }
}

fn table(name: &str, table: Table) -> String {
    let whole = Table::from_iter([(name.to_owned(), toml::Value::from(table))]);
    toml::to_string(&whole).unwrap_or_else(|error| panic!("{error}"))
}

/// A string of an expression.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "$${"))
}

/// What a command prints that has to succeed, without the newline at its end.
pub(crate) fn printed(command: &mut Command) -> Outcome<String> {
    let output = output(command);
    let text = |bytes| String::from_utf8(bytes).map_err(|error| format!("{command:?}: {error}"));
    let (told, said) = (text(output.stdout)?, text(output.stderr)?);
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{told}{said}", output.status));
    }
    Ok(told.strip_suffix('\n').unwrap_or(&told).to_owned())
}

/// As [`printed`], of a command that reads this.
pub(crate) fn fed(command: &mut Command, text: &str) -> Outcome<String> {
    let (reader, mut writer) = std::io::pipe().map_err(|error| error.to_string())?;
    // It fits into the pipe.
    writer
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    drop(writer);
    printed(command.stdin(reader))
}

/// As [`printed`], of JSON.
pub(crate) fn json(command: &mut Command) -> Outcome<Value> {
    let printed = printed(command)?;
    serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))
}

/// That something came back as it was sent.
pub(crate) fn demand<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    sent: &T,
    came: &T,
) -> Outcome {
    if sent == came {
        Ok(())
    } else {
        let (sent, came) = (format!("{sent:?}"), format!("{came:?}"));
        Err(format!(
            "{what}: {}\ncame back as: {}",
            abridged(&sent),
            abridged(&came)
        ))
    }
}

/// As much of each line as somebody reads.
pub(crate) fn abridged(text: &str) -> String {
    let line = |line: &str| match line.char_indices().nth(240) {
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            line.get(..end).unwrap_or_default(),
            line.len()
        ),
        None => line.to_owned(),
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n")
}
