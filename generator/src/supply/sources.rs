//! The registries that a project may take from.

use std::env;

use doze_contract::EngineName;
use doze_registry::{
    Namespace,
    mirror::{Mirror, MirrorError},
};

use crate::config::Registry;

/// The variable that names the registry of the namespace `doze`.
const VARIABLE: &str = "DOZE_REGISTRY";

/// The namespace of that registry.
const OURS: &str = "doze";

/// The registries, one for each namespace.
#[derive(Debug)]
pub(super) struct Sources(Vec<Registry>);

impl Sources {
    /// What a file names, and what the environment names besides or instead.
    pub(super) fn new(named: &[Registry]) -> Self {
        let mut all = named.to_vec();
        let url = env::var(VARIABLE).ok().filter(|url| !url.is_empty());
        if let (Some(url), Ok(namespace)) = (url, Namespace::new(OURS)) {
            match all.iter_mut().find(|known| known.namespace == namespace) {
                Some(known) => known.url = url,
                None => all.push(Registry {
                    namespace,
                    url,
                    engines: None,
                }),
            }
        }
        Self(all)
    }

    /// The registries in which an engine is looked for: those that name it, else those that
    /// name none.
    pub(super) fn of(&self, engine: &EngineName) -> Vec<&Namespace> {
        let names = |registry: &&Registry| {
            let engines = registry.engines.as_ref();
            engines.is_some_and(|engines| engines.contains(engine))
        };
        let mut found: Vec<_> = self.0.iter().filter(names).collect();
        if found.is_empty() {
            found = self
                .0
                .iter()
                .filter(|known| known.engines.is_none())
                .collect();
        }
        found.into_iter().map(|known| &known.namespace).collect()
    }

    /// All namespaces.
    pub(super) fn all(&self) -> impl Iterator<Item = &Namespace> {
        self.0.iter().map(|known| &known.namespace)
    }

    /// Where the registry of a namespace is; nothing if the project names none.
    pub(super) fn mirror(&self, namespace: &Namespace) -> Option<Result<Mirror, MirrorError>> {
        let known = self.0.iter().find(|known| known.namespace == *namespace)?;
        Some(Mirror::new(&known.url))
    }
}
