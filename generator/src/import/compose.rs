//! Compose files (<https://compose-spec.io>): services that an engine stands for become instances,
//! the others are told how to reach them.
//!
//! Must not know: where files and drivers are.

mod command;
mod environment;
mod extends;
mod ferret;
mod image;
mod interpolate;
mod limits;
mod mariadb;
mod ports;
mod postgres;
mod programs;
mod reader;
mod service;
mod temporal;
#[cfg(test)]
pub(in crate::import) mod tests;
mod valkey;
mod yaml;

use std::{collections::BTreeSet, net::SocketAddr};

use doze_contract::InstanceName;
use serde_json::{Map, Value as Json, json};

use self::{
    environment::Environment,
    image::image,
    interpolate::Variables,
    programs::{Address, Program},
    reader::{Entry, Reader},
    service::Service,
    yaml::{Key, Node, Value},
};
use super::{
    ImportError, Imported, Note, Surroundings,
    document::{Block, File, depends_on},
    literal,
};

/// Reads a compose file; `source` is what it is called.
pub fn import(
    text: &str,
    source: &str,
    around: &dyn Surroundings,
) -> Result<Imported, ImportError> {
    let mut notes = Vec::new();
    let mut variables = Variables::new(around);
    let mut root = Reader::root(yaml::parse(text)?, &mut notes);
    let mut file = File::new(source);
    // Compose does not read it any more.
    drop(root.take("version"));
    if let Some(mut entry) = root.take("name") {
        variables.resolve(&mut entry.node, "name", &mut notes);
        if let Some(name) = entry.text(&mut notes).filter(|name| !name.is_empty()) {
            file.key("name", &json!(literal(&name)));
        }
    }
    let declared = match root.take("services").map(|entry| entry.node.value) {
        Some(Value::Map(services)) => services,
        Some(Value::Null | Value::Text(_) | Value::List(_)) | None => {
            return Err(ImportError::syntax(
                None,
                "there are no `services` in this file",
            ));
        }
    };
    root.finish(&mut notes, |key| top_reason(key).to_owned());

    let mut services: Vec<Service<'_>> = Vec::new();
    let mut programs = Vec::new();
    let mut budget = 0;
    for (key, node) in &declared {
        let mut node =
            extends::resolve(node, &key.name, &declared, around, &mut budget, &mut notes)?;
        let at = format!("services.{}", key.name);
        variables.resolve(&mut node, &at, &mut notes);
        let of_image = engine_image(&node);
        let line = key.line;
        let mut keys = Entry { at, line, node }.reader(&mut notes);
        let all = keys.lines().into_keys().collect();
        let environment = Environment::read(&mut keys, around, &mut variables, &mut notes);
        let Some((reference, image)) = of_image else {
            programs.push(Program {
                name: &key.name,
                line,
                environment,
                keys,
                all,
            });
            continue;
        };
        let name = &key.name;
        let service = Service::read(name, line, &reference, &image, keys, environment, around)?;
        services.extend(service);
    }

    let names = name_all(&mut services);
    let addresses = place_all(&mut services, around);
    for program in programs {
        program.tell(&addresses, &mut notes);
    }
    for mut service in services {
        depend(&mut service, &names);
        service.block.refine(service.version.as_ref(), around)?;
        finish(service, &mut file);
    }
    file.rest(notes);
    let (toml, notes) = file.finish();
    Ok(Imported { toml, notes })
}

/// The image of a service, if an engine stands for it. What is built is a program of the project.
fn engine_image(service: &Node) -> Option<(String, image::Image)> {
    let Value::Map(map) = &service.value else {
        return None;
    };
    let get = |name: &str| {
        let found = map.iter().find(|(key, _): &&(Key, Node)| key.name == name);
        found.map(|(_, value)| value)
    };
    let reference = get("image")?.text()?;
    if get("build").is_some() {
        return None;
    }
    Some((reference.to_owned(), image(reference)?))
}

/// Names every instance: as its database, where the engine has one of that name, else as its
/// service. Returns the instances by their service, as far as they come up.
fn name_all(services: &mut [Service<'_>]) -> Vec<(String, String)> {
    let mut taken: BTreeSet<String> = services
        .iter()
        .map(|service| service.name.to_owned())
        .collect();
    let mut names = Vec::new();
    for service in services {
        if let Some(wish) = service.wish.take()
            && wish != service.name
        {
            // A name is that of a file, too.
            if InstanceName::new(&*wish).is_ok() && taken.insert(wish.clone()) {
                service.block.name = wish;
            } else {
                let why = format!("the database `{wish}` is called `{}` here", service.name);
                service.block_note("environment", why);
            }
        }
        if InstanceName::new(&*service.block.name).is_err() {
            let why = "the service has a name that an instance cannot have";
            service.block.off = Some(why.to_owned());
            service.block_note("name", why);
        }
        if service.block.off.is_none() {
            names.push((service.name.to_owned(), service.block.name.clone()));
        }
    }
    names
}

/// Gives every instance its addresses: those that were published, else the usual port of the
/// engine or the next one that is free.
fn place_all(services: &mut [Service<'_>], around: &dyn Surroundings) -> Vec<Address> {
    let mut taken = BTreeSet::new();
    for service in &mut *services {
        let usual = service.about.as_ref().and_then(|about| about.default_port);
        let inner = service.inner_port.or(usual);
        let mut listens: Vec<SocketAddr> = Vec::new();
        for mapping in std::mem::take(&mut service.mappings) {
            let line = mapping.line;
            if inner.is_some_and(|inner| inner != mapping.target) {
                let why = format!("nothing here listens on the port {} of it", mapping.target);
                service.block.note(line, "ports", why);
                continue;
            }
            let Some(port) = mapping.published else {
                continue;
            };
            let (address, narrower) = mapping.address(port);
            if narrower {
                let why = "only this machine reaches it now; `listen` and `open_to` can say more";
                service.block.note(line, "ports", why);
            }
            taken.insert(port);
            listens.push(address);
        }
        write_listens(&mut service.block, &listens);
    }
    let mut addresses = Vec::new();
    for service in services {
        let Some(usual) = service.about.as_ref().and_then(|about| about.default_port) else {
            continue;
        };
        if !service.block.has_meta("port") && !service.block.has_meta("listen") {
            let free = |port: &u16| !taken.contains(port) && around.is_free(*port);
            let port = (usual..=u16::MAX).find(free);
            let port = port.unwrap_or(usual);
            taken.insert(port);
            service.block.meta.insert(1, ("port", json!(port)));
        }
        if service.block.off.is_none() {
            addresses.push(Address {
                hosts: service.hosts.clone(),
                inner: service.inner_port.unwrap_or(usual),
                outer: outer(&service.block),
            });
        }
    }
    addresses
}

fn write_listens(block: &mut Block, listens: &[SocketAddr]) {
    let at = block.meta.len().min(1);
    match listens {
        [] => {}
        [one] if one.ip() == SocketAddr::from(([127, 0, 0, 1], 0)).ip() => {
            block.meta.insert(at, ("port", json!(one.port())));
        }
        all => {
            let mut seen = BTreeSet::new();
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            let all = all.into_iter().filter(|listen| seen.insert(listen.clone()));
            block.meta.insert(at, ("listen", all.collect::<Json>()));
        }
    }
}

/// The first address of an instance, as clients write it.
fn outer(block: &Block) -> String {
    let of = |key: &str| block.meta.iter().find(|(name, _)| *name == key);
    match (of("port"), of("listen")) {
        (Some((_, port)), _) => format!("127.0.0.1:{port}"),
        (None, Some((_, listen))) => {
            let first = listen.get(0).and_then(Json::as_str);
            first.unwrap_or_default().to_owned()
        }
        (None, None) => String::new(),
    }
}

/// Writes what an instance waits for.
fn depend(service: &mut Service<'_>, names: &[(String, String)]) {
    let mut wanted = Map::new();
    for (target, condition, line) in std::mem::take(&mut service.depends_on) {
        if let Some((_, instance)) = names.iter().find(|(name, _)| *name == target) {
            wanted.insert(instance.clone(), json!(condition));
        } else {
            let why = format!("`{target}` is no instance here");
            service.block.note(line, "depends_on", why);
        }
    }
    if wanted.is_empty() {
        return;
    }
    let value = depends_on(wanted);
    service.block.meta.push(("depends_on", value));
}

/// Adds the instance to the file, and the profiles that switch it on.
fn finish(mut service: Service<'_>, file: &mut File) {
    let profiles = std::mem::take(&mut service.profiles);
    let (engine, name) = (service.block.engine.clone(), service.block.name.clone());
    let live = service.block.off.is_none();
    if live && !profiles.is_empty() {
        service.block.meta.push(("enabled", json!(false)));
    }
    file.block(service.block);
    for profile in profiles.iter().filter(|_| live) {
        let origin = format!("services.{} is in the profile {profile}", service.name);
        let path = ["profile", profile, engine.as_str(), &name];
        file.table(&path, &origin, &[("enabled", json!(true))]);
    }
}

/// Why a key at the top of the file has nothing that stands for it.
fn top_reason(key: &str) -> &'static str {
    match key {
        "networks" => "there are no networks of containers; all addresses are on this machine",
        "volumes" => "doze keeps the data of each instance; what is in them has to be restored",
        "secrets" | "configs" => "there is nothing that mounts files",
        "include" => "import that file as well, and keep what it becomes in a `NAME.doze.toml`",
        _ if key.starts_with("x-") => "it is of use only where the file refers to it",
        _ => "it is no key that is known",
    }
}

/// A note that stands for a whole service.
fn about_service(name: &str, line: u64, why: impl Into<String>) -> Note {
    Note::new(line, format!("services.{name}"), why)
}
