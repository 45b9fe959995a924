//! What an instance may use at most, and which of it the kernel holds it to.
//!
//! The settings are those of systemd.resource-control(5). Each needs a controller of the cgroup
//! (cgroups(7)), and a manager that lacks the controller drops the setting without a word. Must not
//! know where the controllers are listed.

use std::fmt;

/// What an instance may use at most. The activator and its engine share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; none of it can be swapped out then.
    pub memory: Option<u64>,
    /// Per cent of one processor.
    pub cpu: Option<u32>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// A part of the kernel that one of the limits needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// For [`Limits::memory`].
    Memory,
    /// For [`Limits::cpu`].
    Cpu,
    /// For [`Limits::tasks`].
    Pids,
}

impl Limits {
    /// What the limits need.
    pub fn needs(&self) -> Vec<Controller> {
        let needs = [
            (self.memory.is_some(), Controller::Memory),
            (self.cpu.is_some(), Controller::Cpu),
            (self.tasks.is_some(), Controller::Pids),
        ];
        let needed = needs.into_iter().filter(|(needed, _)| *needed);
        needed.map(|(_, controller)| controller).collect()
    }

    /// What the limits need and is not there, so that they do not hold.
    pub fn unheld(&self, there: &[Controller]) -> Vec<Controller> {
        let mut missing = self.needs();
        missing.retain(|controller| !there.contains(controller));
        missing
    }

    /// What the text of a service says of limits, in the form that doze writes.
    pub fn of_service(text: &str) -> Self {
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
            values.find_map(|value| value.trim_end_matches('%').parse::<u64>().ok())
        };
        Self {
            memory: value("MemoryMax="),
            cpu: value("CPUQuota=").and_then(|percent| percent.try_into().ok()),
            tasks: value("TasksMax="),
        }
    }

    /// The settings, to stand in `[Service]`.
    pub(crate) fn settings(&self) -> String {
        // Without the second line, what is over the limit would be swapped out instead.
        let memory = |bytes| format!("MemoryMax={bytes}\nMemorySwapMax=0\n");
        let settings = [
            self.memory.map(memory),
            self.cpu.map(|percent| format!("CPUQuota={percent}%\n")),
            self.tasks.map(|tasks| format!("TasksMax={tasks}\n")),
        ];
        let text: String = settings.into_iter().flatten().collect();
        if text.is_empty() {
            return text;
        }
        format!("# For the activator and the engine together.\n{text}")
    }
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    /// The name that the kernel has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// The name of the limit that needs it.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "tasks",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_were_written() {
        let all = Limits {
            memory: Some(u64::MAX),
            cpu: Some(150),
            tasks: Some(64),
        };
        for limits in [
            all,
            Limits::default(),
            Limits { cpu: None, ..all },
            Limits {
                memory: None,
                ..all
            },
        ] {
            let text = format!("[Service]\n{}Slice=x\n", limits.settings());
            assert_eq!(Limits::of_service(&text), limits, "{text}");
        }
    }

    #[test]
    fn a_limit_without_its_controller_is_not_held() {
        let limits = Limits {
            memory: Some(1 << 20),
            tasks: Some(64),
            ..Limits::default()
        };
        assert_eq!(limits.unheld(&Controller::ALL), []);
        assert_eq!(limits.unheld(&[Controller::Memory]), [Controller::Pids]);
        assert_eq!(limits.unheld(&[]), [Controller::Memory, Controller::Pids]);
        assert_eq!(Limits::default().unheld(&[]), []);
    }
}
