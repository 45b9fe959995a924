//! The names of a project's units.
//!
//! Each part is escaped for itself, so that a dash in a unit name always separates two parts: no
//! two instances share a name, and the slice of `a-b` is not inside that of `a`. Must not know what
//! the units contain.

use doze_contract::{InstanceName, ProjectName};

use crate::escape;

/// `doze-PROJECT`, with which the names of all units of a project start.
///
/// A name longer than 255 bytes is an error only where the unit is written: no such unit exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix of this project.
    pub fn of(project: &ProjectName) -> Self {
        Self(format!("doze-{}", escape::name(project.as_str())))
    }

    /// The target: starting it holds the addresses of the whole project.
    pub fn target(&self) -> String {
        format!("{}.target", self.0)
    }

    /// The slice that all processes are in. It is down when all of its units are.
    pub fn slice(&self) -> String {
        format!("{}.slice", self.0)
    }

    /// The socket unit of an instance.
    pub fn socket(&self, instance: &InstanceName) -> String {
        format!("{}-{}.socket", self.0, escape::name(instance.as_str()))
    }

    /// The service of an instance.
    pub fn service(&self, instance: &InstanceName) -> String {
        format!("{}-{}.service", self.0, escape::name(instance.as_str()))
    }

    /// Patterns of glob(7) that match the project's units and no others.
    pub fn patterns(&self) -> [String; 4] {
        let prefix = &self.0;
        [
            self.target(),
            self.slice(),
            format!("{prefix}-*.socket"),
            format!("{prefix}-*.service"),
        ]
    }

    /// Whether this is the name of a unit of the project.
    pub fn owns(&self, unit: &str) -> bool {
        let Some(rest) = unit.strip_prefix(&self.0) else {
            return false;
        };
        match rest.strip_prefix('-') {
            None => rest == ".target" || rest == ".slice",
            Some(rest) => rest
                .strip_suffix(".socket")
                .or_else(|| rest.strip_suffix(".service"))
                .is_some_and(|part| !part.is_empty() && !part.contains('-')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(project: &str) -> Prefix {
        Prefix::of(&ProjectName::new(project).unwrap())
    }

    fn instance(name: &str) -> InstanceName {
        InstanceName::new(name).unwrap()
    }

    #[test]
    fn a_dash_separates_parts_and_nothing_else() {
        assert_eq!(prefix("shop").target(), "doze-shop.target");
        assert_eq!(prefix("a-b").slice(), r"doze-a\x2db.slice");
        assert_eq!(
            prefix("a-b").socket(&instance("c d")),
            r"doze-a\x2db-c\x20d.socket"
        );
        assert_ne!(
            prefix("a-b").service(&instance("c")),
            prefix("a").service(&instance("b-c"))
        );
    }

    #[test]
    fn a_project_owns_its_units_only() {
        let shop = prefix("shop");
        for name in ["app", "my app", "1.5", "a-b"] {
            assert!(shop.owns(&shop.socket(&instance(name))), "{name}");
            assert!(shop.owns(&shop.service(&instance(name))), "{name}");
        }
        assert!(shop.owns(&shop.target()) && shop.owns(&shop.slice()));

        for other in ["shopping", "shop-2", "sho"] {
            let other = prefix(other);
            for unit in [
                other.target(),
                other.slice(),
                other.socket(&instance("app")),
            ] {
                assert!(!shop.owns(&unit), "{unit}");
            }
        }
        for unit in [
            "doze-shop",
            "doze-shop-.socket",
            "doze-shop-app.timer",
            "doze-shop-a-b.socket",
            "doze-shop-app.socket.d",
        ] {
            assert!(!shop.owns(unit), "{unit}");
        }
    }
}
