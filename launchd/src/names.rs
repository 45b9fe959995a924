//! The labels of a project's agents.
//!
//! Each part is escaped for itself, so that a dot in a label always separates two parts, and no two
//! instances share one. Must not know what the agents contain.

use doze_contract::{InstanceName, ProjectName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What the name of an agent's file ends with.
const SUFFIX: &str = ".plist";

/// What stands for itself in a part of a label. All else, which may mean something in a shell, in a
/// path or in a label, is written as in a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// `doze.PROJECT.`, with which the labels of all agents of a project start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Those of this project.
    pub fn of(project: &ProjectName) -> Self {
        Self(format!(
            "doze.{}.",
            utf8_percent_encode(project.as_str(), ESCAPED)
        ))
    }

    /// The label of an instance's agent.
    pub fn label(&self, instance: &InstanceName) -> String {
        let instance = utf8_percent_encode(instance.as_str(), ESCAPED);
        format!("{}{instance}", self.0)
    }

    /// The name of its file in `~/Library/LaunchAgents`.
    pub fn file(&self, instance: &InstanceName) -> String {
        Self::file_of(&self.label(instance))
    }

    /// The name of the file of the agent with this label.
    pub fn file_of(label: &str) -> String {
        format!("{label}{SUFFIX}")
    }

    /// The label of the agent in a file of this name, if it is called as one is.
    pub fn label_in(file: &str) -> Option<&str> {
        file.strip_suffix(SUFFIX)
    }

    /// A pattern of glob(7) that matches the files of the project's agents and no others. It holds
    /// nothing that a shell reads in another way.
    pub fn pattern(&self) -> String {
        Self::file_of(&format!("{}*", self.0))
    }

    /// The instance whose agent has this label, if one of the project can have it.
    pub fn instance(&self, label: &str) -> Option<InstanceName> {
        let name = label.strip_prefix(&self.0)?;
        let name = percent_decode_str(name).decode_utf8().ok()?;
        let instance = InstanceName::new(name).ok()?;
        (self.label(&instance) == label).then_some(instance)
    }

    /// The project of the agent with this label.
    pub fn project(label: &str) -> Option<ProjectName> {
        let name = label.strip_prefix("doze.")?.split('.').next()?;
        let name = percent_decode_str(name).decode_utf8().ok()?;
        ProjectName::new(name).ok()
    }

    /// Whether this is the label of one of the project's agents.
    pub fn is_label(&self, text: &str) -> bool {
        let rest = text.strip_prefix(&self.0);
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
    }

    /// Whether a file of this name is one of the project's agents.
    pub fn owns(&self, file: &str) -> bool {
        Self::label_in(file).is_some_and(|label| self.is_label(label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(project: &str) -> Labels {
        Labels::of(&ProjectName::new(project).unwrap())
    }

    fn instance(name: &str) -> InstanceName {
        InstanceName::new(name).unwrap()
    }

    #[test]
    fn a_dot_separates_parts_and_nothing_else() {
        assert_eq!(labels("shop").label(&instance("app")), "doze.shop.app");
        assert_eq!(
            labels("a.b").file(&instance("größe 1%")),
            "doze.a%2Eb.gr%C3%B6%C3%9Fe%201%25.plist"
        );
        assert_ne!(
            labels("a.b").label(&instance("c")),
            labels("a").label(&instance("b.c"))
        );
    }

    #[test]
    fn a_project_owns_its_agents_only() {
        let shop = labels("shop");
        for name in ["app", "my app", "1.5", "a-b"] {
            let (label, name) = (shop.label(&instance(name)), instance(name));
            assert!(shop.owns(&shop.file(&name)), "{name}");
            assert_eq!(shop.instance(&label), Some(name));
            assert_eq!(Labels::project(&label).unwrap().as_str(), "shop");
        }
        for other in ["shopping", "shop.2", "sho"] {
            assert!(!shop.owns(&labels(other).file(&instance("app"))), "{other}");
        }
        for file in ["doze.shop.plist", "doze.shop..plist", "doze.shop.app"] {
            assert!(!shop.owns(file), "{file}");
        }
    }
}
