//! One service of a compose file that is an instance of an engine here.

use std::collections::BTreeMap;

use doze_contract::{EngineName, Version, protocol::Description};
use serde_json::{Map, Value as Json, json};

use super::{
    command,
    environment::Environment,
    ferret,
    image::Image,
    limits, mariadb, ports,
    ports::Mapping,
    postgres,
    reader::{Entry, Reader},
    temporal, valkey,
    yaml::Value,
};
use crate::import::{ImportError, Note, Surroundings, document::Block};

/// A service on its way to be an instance.
pub(super) struct Service<'a> {
    pub(super) name: &'a str,
    pub(super) block: Block,
    pub(super) about: Option<Description>,
    pub(super) version: Option<Version>,
    pub(super) environment: Environment,
    /// What the instance has to be called for old URLs to work.
    pub(super) wish: Option<String>,
    /// The port inside of the container, where it is not the usual one.
    pub(super) inner_port: Option<u16>,
    pub(super) mappings: Vec<Mapping>,
    /// The services it waits for, with doze's word for the condition.
    pub(super) depends_on: Vec<(String, &'static str, u64)>,
    /// The profiles that it is only in.
    pub(super) profiles: Vec<String>,
    /// Further names that other containers knew it by.
    pub(super) hosts: Vec<String>,
    command: Option<Entry>,
    /// Where each of its keys stands.
    lines: BTreeMap<String, u64>,
}

impl<'a> Service<'a> {
    /// Reads all keys of a service.
    pub(super) fn read(
        name: &'a str,
        line: u64,
        reference: &str,
        image: &Image,
        mut keys: Reader,
        environment: Environment,
        around: &dyn Surroundings,
    ) -> Result<Option<Self>, ImportError> {
        let Ok(engine) = EngineName::new(image.engine) else {
            return Ok(None);
        };
        let about = around.describe(&engine)?;
        let off = match &about {
            Some(_) => None,
            None => Some(format!("there is no driver for {engine} on this machine")),
        };
        let block = Block {
            origin: format!("services.{name}, line {line}: {reference}"),
            line,
            at: format!("services.{name}"),
            engine,
            name: name.to_owned(),
            meta: Vec::new(),
            keys: Map::new(),
            off,
            notes: Vec::new(),
        };
        let mut service = Self {
            name,
            block,
            about,
            version: None,
            environment,
            wish: None,
            inner_port: None,
            mappings: Vec::new(),
            depends_on: Vec::new(),
            profiles: Vec::new(),
            hosts: vec![name.to_owned()],
            lines: keys.lines(),
            command: keys.take("command"),
        };
        if let Some(off) = &service.block.off {
            let note = Note::new(line, service.block.at.clone(), off);
            service.block.notes.push(note);
        }
        if let Some(remark) = image.remark {
            service.block_note("image", remark);
        }
        service.choose_version(image, around);
        service.common(&mut keys);
        if service.about.is_some() {
            match image.engine {
                "ferret" => ferret::translate(&mut service),
                "mariadb" => mariadb::translate(&mut service, image),
                "postgres" => postgres::translate(&mut service, image),
                "temporal" => temporal::translate(&mut service),
                "kvrocks" | "valkey" => valkey::translate(&mut service, image),
                _ => {}
            }
        }
        if let Some(command) = &service.command {
            let note = command.note("write what it sets into the keys of the instance");
            service.block.notes.push(note);
        }
        std::mem::take(&mut service.environment).finish(&mut service.block.notes);
        keys.finish(&mut service.block.notes, |key| reason(key).to_owned());
        Ok(Some(service))
    }

    /// Notes something about a key of the service.
    pub(super) fn block_note(&mut self, key: &str, why: impl Into<String>) {
        let line = self.lines.get(key).copied().unwrap_or(self.block.line);
        self.block.note(line, key, why);
    }

    /// Writes one of the engine's keys.
    pub(super) fn set(&mut self, key: &str, value: Json) {
        self.block.keys.insert(key.to_owned(), value);
    }

    /// Writes into a table of the engine's keys.
    pub(super) fn set_below(&mut self, table: &str, key: &str, value: Json) {
        let below = self.block.keys.entry(table).or_insert_with(|| json!({}));
        if let Json::Object(below) = below {
            below.insert(key.to_owned(), value);
        }
    }

    /// Whether the driver has a key.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.property(key).is_some()
    }

    /// The JSON type of one of the driver's keys.
    pub(super) fn kind_of(&self, key: &str) -> Option<String> {
        Some(self.property(key)?.get("type")?.as_str()?.to_owned())
    }

    fn property(&self, key: &str) -> Option<&Json> {
        self.about.as_ref()?.schema.get("properties")?.get(key)
    }

    /// Takes the words of the command.
    pub(super) fn command(&mut self) -> Option<Vec<String>> {
        let entry = self.command.take()?;
        let environment: BTreeMap<_, _> = self.environment.values();
        command::words(&entry, &environment, &mut self.block.notes)
    }

    fn choose_version(&mut self, image: &Image, around: &dyn Surroundings) {
        let Some(about) = &self.about else {
            self.version.clone_from(&image.version);
            self.write_version();
            return;
        };
        let newest = || {
            let installed = around.installed(about).into_iter().next();
            installed.or_else(|| about.majors.last().cloned())
        };
        let known = image
            .version
            .as_ref()
            .and_then(|version| about.major_of(version));
        let (version, why) = match (&image.version, known) {
            (Some(asked), Some(major)) if asked == major => (Some(asked.clone()), None),
            (Some(asked), Some(major)) => {
                let why = format!("every {major} serves it; for {asked} alone write \"{asked}\"");
                (Some(major.clone()), Some(why))
            }
            (Some(asked), None) if about.knows(asked) => (Some(asked.clone()), None),
            (asked, _) => {
                let version = newest();
                let chosen = version
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let why = match asked {
                    Some(asked) => format!("the driver does not know {asked}; it is {chosen} here"),
                    None => format!("the image says no version that counts; it is {chosen} here"),
                };
                (version, Some(why))
            }
        };
        self.version = version;
        if let Some(why) = why {
            self.block_note("image", why);
        }
        self.write_version();
    }

    fn write_version(&mut self) {
        if let Some(version) = &self.version {
            let text = version.to_string();
            let number = text.parse::<i64>().map(Json::from);
            let value = number.unwrap_or_else(|_| json!(text));
            self.block.meta.push(("version", value));
        }
    }

    /// The keys that mean the same for every engine.
    fn common(&mut self, keys: &mut Reader) {
        let mut notes = Vec::new();
        drop(keys.take("image"));
        if let Some(entry) = keys.take("ports") {
            self.mappings = ports::read(entry, &mut notes);
        }
        if let Some(entry) = keys.take("depends_on") {
            self.depends(entry, &mut notes);
        }
        if let Some(entry) = keys.take("profiles") {
            match entry.node.texts() {
                // The empty profile is the one that is used when none is asked for.
                Some(profiles) if profiles.contains(&"") => {}
                Some(profiles) => {
                    self.profiles = profiles.into_iter().map(ToOwned::to_owned).collect();
                }
                None => notes.push(entry.note("is no list of names")),
            }
        }
        for key in ["container_name", "hostname"] {
            if let Some(entry) = keys.take(key) {
                self.hosts.extend(entry.text(&mut notes));
                notes.push(entry.note(reason(key)));
            }
        }
        if let Some(entry) = keys.take("volumes") {
            volumes(&entry, &mut notes);
        }
        let limits = limits::read(keys, &mut notes);
        if !limits.is_empty() {
            self.block.meta.push(("limits", Json::Object(limits)));
        }
        self.block.notes.append(&mut notes);
    }

    fn depends(&mut self, entry: Entry, notes: &mut Vec<Note>) {
        if let Some(names) = entry.node.texts() {
            let all = names
                .into_iter()
                .map(|name| (name.to_owned(), "healthy", entry.line));
            self.depends_on.extend(all);
            return;
        }
        for (name, entry) in entry.reader(notes).take_all() {
            let line = entry.line;
            let at = entry.note("");
            let mut keys = entry.reader(notes);
            let condition = keys.take("condition").and_then(|entry| entry.text(notes));
            match condition.as_deref() {
                Some("service_healthy") => self.depends_on.push((name, "healthy", line)),
                Some("service_started") | None => self.depends_on.push((name, "started", line)),
                Some(other) => {
                    let why = format!("`{other}`: an engine is never done");
                    notes.push(Note { why, ..at });
                }
            }
            keys.finish(notes, |_| "says nothing to doze".to_owned());
        }
    }
}

fn volumes(entry: &Entry, notes: &mut Vec<Note>) {
    let Value::List(items) = &entry.node.value else {
        notes.push(entry.note("is no list"));
        return;
    };
    for item in items {
        let target = match &item.value {
            Value::Text(text) => text.as_str(),
            Value::Map(map) => map
                .iter()
                .find(|(key, _)| key.name == "target")
                .and_then(|(_, value)| value.text())
                .unwrap_or_default(),
            Value::Null | Value::List(_) => "",
        };
        let why = if target.contains("docker-entrypoint-initdb.d") {
            format!("`{target}`: nothing is run in a new database; run it yourself, by `doze url`")
        } else if target.contains(".conf") {
            format!("`{target}`: its settings belong into the keys of the instance")
        } else {
            format!(
                "`{target}`: doze keeps the data; what is in there has to be dumped and restored"
            )
        };
        notes.push(Note::new(item.line, &*entry.at, why));
    }
}

/// Why a key of a service has nothing that stands for it.
fn reason(key: &str) -> &'static str {
    match key {
        "restart" => "the address is always there, and the next client boots an engine that died",
        "container_name" | "hostname" | "domainname" => {
            "there are no host names; the address is on this machine"
        }
        "networks" | "network_mode" | "links" | "external_links" | "dns" | "extra_hosts" => {
            "there are no networks of containers; the address is on this machine"
        }
        "expose" => "every program of yours on this machine reaches the address",
        "healthcheck" => "the driver knows when its engine is ready",
        "logging" => "`doze logs` has what the engine says",
        "labels" | "annotations" => "nothing reads them here",
        "stop_grace_period" | "stop_signal" => "the driver knows how to stop its engine",
        "secrets" | "configs" => {
            "there is nothing that mounts files; write the values into the keys"
        }
        "user" | "group_add" => "the engine runs as you",
        "entrypoint" | "working_dir" | "init" | "tty" | "stdin_open" => {
            "the driver knows how to start its engine"
        }
        "platform" | "pull_policy" => "the engine is of this machine",
        "shm_size" | "ulimits" | "sysctls" | "tmpfs" => "the limits of this machine hold",
        _ => "it is about a container, and there is none",
    }
}
