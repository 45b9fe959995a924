//! What is known of the project at one moment: plain data.

use crate::look::{HeldBy, Row};

/// The project at one moment.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Who holds the sockets.
    pub(super) held_by: HeldBy,
    /// What the init system of the machine is to us.
    pub(super) manager: Manager,
    /// Why what is shown may not be what `doze.toml` says.
    pub(super) trouble: Option<String>,
    /// By engine, then by name.
    pub(super) instances: Vec<Row>,
}

/// The user manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manager {
    /// It answers, or need not be asked.
    Fine,
    /// This user has none now.
    Absent,
    /// It does not do its part; why.
    Broken(String),
}

/// A state in one column.
pub(super) fn glyph(state: &str) -> &'static str {
    match state {
        "running" | "serving" => "●",
        "idling" => "◐",
        "booting" | "draining" => "◌",
        "asleep" => "○",
        "not up" | "disabled" | "ended" => "·",
        "no answer" => "?",
        _ => "✗",
    }
}

/// A URL without its password.
pub(super) fn without_password(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        let path = rest.strip_prefix(authority)?;
        Some(format!("{scheme}://{name}:•••@{host}{path}"))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            (
                "postgres://app:s%40e:c@127.0.0.1:5432/app?a=b:c@d",
                "postgres://app:•••@127.0.0.1:5432/app?a=b:c@d",
            ),
            (
                "redis://:secret@127.0.0.1:6379/0",
                "redis://:•••@127.0.0.1:6379/0",
            ),
            (
                "postgres://app:pw@/app?host=/run/x",
                "postgres://app:•••@/app?host=/run/x",
            ),
            (
                "postgres://app@127.0.0.1/app",
                "postgres://app@127.0.0.1/app",
            ),
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
