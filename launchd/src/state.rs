//! What there is of an agent, and the fewest steps to its being loaded as it is declared.
//!
//! Pure. Must not know how a step is carried out.

use crate::Step;

/// What there is of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// launchd runs what is declared.
    Loaded,
    /// The file says what is declared, and launchd does not know it.
    Unloaded,
    /// The file, or what launchd has loaded, says something else.
    Differs,
    /// There is no file.
    Missing,
}

impl State {
    /// Of one whose file has to say `wanted`, and says `installed`. `loaded` tells whether launchd
    /// knows it, and by this file.
    pub fn of(wanted: &str, installed: Option<&str>, loaded: Option<bool>) -> Self {
        match (installed, loaded) {
            (_, Some(false)) => Self::Differs,
            (None, _) => Self::Missing,
            (Some(text), _) if text != wanted => Self::Differs,
            (Some(_), Some(true)) => Self::Loaded,
            (Some(_), None) => Self::Unloaded,
        }
    }

    /// The steps of `launchctl` to [`Self::Loaded`], once the file is written. `is_loaded` if launchd
    /// knows the label at all; `is_disabled` if the user has said so (`launchctl disable`), and a
    /// bootstrap would be refused.
    pub fn steps(self, label: &str, path: &str, is_loaded: bool, is_disabled: bool) -> Vec<Step> {
        if self == Self::Loaded {
            return Vec::new();
        }
        let bootout = is_loaded.then(|| Step::Bootout(label.into()));
        let enable = is_disabled.then(|| Step::Enable(label.into()));
        let steps = bootout.into_iter().chain(enable);
        steps.chain([Step::Bootstrap(path.into())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_that_of_the_file_and_of_what_is_loaded() {
        for (installed, loaded, state) in [
            (Some("new"), Some(true), State::Loaded),
            (Some("new"), None, State::Unloaded),
            (Some("old"), Some(true), State::Differs),
            (Some("old"), None, State::Differs),
            (Some("new"), Some(false), State::Differs),
            (None, None, State::Missing),
            (None, Some(true), State::Missing),
        ] {
            assert_eq!(
                State::of("new", installed, loaded),
                state,
                "{installed:?} {loaded:?}"
            );
        }
    }

    #[test]
    fn no_step_is_taken_that_changes_nothing() {
        let steps = |state: State, is_loaded, is_disabled| {
            let steps = state.steps("l", "/p", is_loaded, is_disabled);
            let verbs = steps.iter().map(|step| step.arguments("gui/501").remove(0));
            verbs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(steps(State::Loaded, true, true), "");
        assert_eq!(steps(State::Unloaded, false, false), "bootstrap");
        assert_eq!(steps(State::Missing, false, true), "enable bootstrap");
        assert_eq!(steps(State::Missing, true, false), "bootout bootstrap");
        assert_eq!(
            steps(State::Differs, true, true),
            "bootout enable bootstrap"
        );
        assert_eq!(steps(State::Differs, false, false), "bootstrap");
    }
}
