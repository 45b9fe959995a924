//! `doze registry`: what a publisher does.

mod pack;
mod serve;
mod verify;

use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version};
use doze_registry::{
    Kind, Namespace, Package, PublicKey,
    publish::{Moment, PublishError, Registry, VALIDITY},
};

use super::Context;
use crate::{
    cli::{Place, RegistryCommand},
    failure::Failure,
    fsx,
    output::{print, print_lines},
};

pub(super) fn run(context: &Context, command: RegistryCommand) -> Result<(), Failure> {
    // What is published is for others to read, if the user likes; a secret key is not in any case.
    rustix::process::umask(context.umask);
    let here = |path: &Utf8Path| here(context, path);
    match command {
        RegistryCommand::Init { namespace, place } => init(context, &namespace, &place),
        RegistryCommand::Pack {
            folder,
            module,
            licence,
            out,
        } => match (folder, module) {
            (Some(folder), _) => pack::folder(&here(&folder), &here(&out)),
            (None, Some(module)) => {
                pack::module(&here(&module), &licence.unwrap_or_default(), &here(&out))
            }
            (None, None) => Ok(()),
        },
        RegistryCommand::Publish {
            namespace,
            archives,
            place,
        } => publish(context, &namespace, &archives, &place),
        RegistryCommand::Renew { namespace, place } => {
            open(context, &namespace, &place)?.renew(now())?;
            say(&format!(
                "the index of {namespace} is signed anew, for 90 days"
            ))
        }
        RegistryCommand::RotateKey {
            namespace,
            new,
            place,
        } => {
            let key = open(context, &namespace, &place)?.rotate_key(&here(&new), now())?;
            say(&format!(
                "{namespace} is signed by {key} from now on; its secret is in {new}"
            ))
        }
        RegistryCommand::Revoke {
            namespace,
            what,
            reason,
            place,
        } => revoke(open(context, &namespace, &place)?, &what, &reason),
        RegistryCommand::Verify { namespace, url } => {
            verify::run(&self::namespace(&namespace)?, &url)
        }
        RegistryCommand::Serve { folder, port } => serve::run(&here(&folder), port),
    }
}

fn init(context: &Context, namespace: &str, place: &Place) -> Result<(), Failure> {
    let (name, key) = (
        self::namespace(namespace)?,
        key_file(context, namespace, place),
    );
    let root = here(context, &place.dir);
    if let Some(folder) = key.parent() {
        fsx::make_folder(folder).map_err(Failure::io(format!("make {folder}")))?;
    }
    let registry = Registry::init(&root, &name, &key, now())?;
    print_lines(&[
        format!(
            "{} is the registry of {name}, signed by {}",
            root.join(namespace),
            registry.key()
        ),
        format!("the secret key is {key}: keep a copy of it, and let nobody else read it"),
    ])
    .map_err(Failure::io("print"))
}

fn publish(
    context: &Context,
    namespace: &str,
    archives: &[Utf8PathBuf],
    place: &Place,
) -> Result<(), Failure> {
    let mut registry = open(context, namespace, place)?;
    for archive in archives {
        let published = registry.publish(&here(context, archive), now())?;
        let what = if published.new {
            "published"
        } else {
            "was published before:"
        };
        say(&format!(
            "{what} {} for {}, sha256 {}",
            published.package, published.target, published.digest
        ))?;
    }
    Ok(())
}

/// A path of the command line, without the dots that mean nothing.
fn here(context: &Context, path: &Utf8Path) -> Utf8PathBuf {
    context.dirs.here.join(path).components().collect()
}

/// A release is written KIND/NAME/VERSION; everything else is a key.
fn revoke(mut registry: Registry, what: &str, reason: &str) -> Result<(), Failure> {
    let known = |package: Option<Package>| {
        package.ok_or_else(|| {
            Failure::usage(format!(
                "{what:?} is neither a release, such as engine/postgres/17.4, nor a public key"
            ))
        })
    };
    if let Ok(key) = what.parse::<PublicKey>() {
        registry.revoke_key(&key, reason, now())?;
    } else {
        registry.revoke(&known(package(what))?, reason, now())?;
    }
    say(&format!("revoked {what}"))
}

fn package(text: &str) -> Option<Package> {
    let (kind, rest) = text.split_once('/')?;
    let (name, version) = rest.split_once('/')?;
    let kind = match kind {
        "engine" => Kind::Engine,
        "module" | "driver" => Kind::Module,
        _ => return None,
    };
    Some(Package {
        kind,
        name: EngineName::new(name).ok()?,
        version: Version::new(version).ok()?,
    })
}

fn open(context: &Context, namespace: &str, place: &Place) -> Result<Registry, Failure> {
    let root = here(context, &place.dir);
    let key = key_file(context, namespace, place);
    Ok(Registry::open(&root, &self::namespace(namespace)?, &key)?)
}

fn namespace(text: &str) -> Result<Namespace, Failure> {
    Namespace::new(text).map_err(|error| Failure::usage(format!("{text:?} {error}")))
}

/// Outside of the registry, which is for everybody to read.
fn key_file(context: &Context, namespace: &str, place: &Place) -> Utf8PathBuf {
    match &place.key {
        Some(key) => here(context, key),
        None => context
            .dirs
            .config
            .join("keys")
            .join(format!("{namespace}.key")),
    }
}

fn now() -> Moment {
    Moment {
        now: SystemTime::now(),
        validity: VALIDITY,
    }
}

fn say(line: &str) -> Result<(), Failure> {
    print(format_args!("{line}\n")).map_err(Failure::io("print"))
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::Publish(Box::new(error))
    }
}
