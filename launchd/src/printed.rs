//! What `launchctl print` says, as far as it is used.
//!
//! launchctl(1) promises nothing about the form, so little is read, and what is not found is
//! unknown. The tests read what real ones printed. Pure.

use std::collections::BTreeSet;

/// One job of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its label.
    pub label: String,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// How that ended last: the exit status, or the negative number of a signal.
    pub status: Option<i32>,
}

/// One job, asked for by its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// The file it was loaded from.
    pub(crate) path: Option<String>,
    pub(crate) pid: Option<u32>,
}

/// The jobs in what is printed of a domain: lines of a process or 0, a status or `-`, and a label,
/// in the block `services`.
pub(crate) fn jobs(domain: &str) -> Vec<Job> {
    let job = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, status) = (words.next()?.parse().ok()?, words.next()?);
        Some(Job {
            label: words.next()?.to_owned(),
            pid: Some(pid).filter(|pid| *pid != 0),
            status: status.parse().ok(),
        })
    };
    block(domain, "services").filter_map(job).collect()
}

/// The labels that the user has disabled, in the block `disabled services`, or in what
/// `launchctl print-disabled` says.
pub(crate) fn disabled(domain: &str) -> BTreeSet<String> {
    let disabled = |line: &str| {
        let (label, word) = line.trim().split_once(" => ")?;
        let is_disabled = matches!(word, "disabled" | "true");
        is_disabled.then(|| label.trim_matches('"').to_owned())
    };
    block(domain, "disabled services")
        .filter_map(disabled)
        .collect()
}

/// What is printed of one job. Its blocks are indented once more than its own lines.
pub(crate) fn service(text: &str) -> Service {
    let value = |key: &str| {
        let mut lines = text.lines();
        let own = lines.find_map(|line| {
            line.strip_prefix('\t')?
                .strip_prefix(key)?
                .strip_prefix(" = ")
        });
        own.map(ToOwned::to_owned)
    };
    Service {
        path: value("path"),
        pid: value("pid").and_then(|pid| pid.parse().ok()),
    }
}

/// The lines of a block of a domain.
fn block<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("\t{name} = {{");
    let lines = text.lines().skip_while(move |line| *line != head);
    lines.skip(1).take_while(|line| *line != "\t}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a real one printed, under the comment that tells where that is from.
    macro_rules! printed {
        ($name:literal) => {
            include_str!(concat!("../../tests/launchd/printed/", $name, ".txt"))
        };
    }

    #[test]
    fn the_jobs_of_a_domain_are_read() {
        let jobs = jobs(printed!("domain"));
        let job = |label: &str| jobs.iter().find(|job| job.label == label).cloned();
        let of = |label: &str| job(label).map(|job| (job.pid, job.status));
        assert_eq!(of("net.example.postgresql"), Some((Some(887), None)));
        assert_eq!(of("com.example.broken"), Some((None, Some(78))));
        assert_eq!(of("com.example.killed"), Some((None, Some(-9))));
        assert_eq!(
            of("com.apple.DataDetectorsLocalSources"),
            Some((None, Some(0)))
        );
        assert_eq!(of("com.example.helperd"), Some((Some(4242), None)));
        assert_eq!(of("com.apple.rcd"), None);
    }

    #[test]
    fn who_is_disabled_is_read_where_it_is_told() {
        let of = |text| disabled(text).into_iter().collect::<Vec<_>>();
        assert_eq!(of(printed!("domain")), ["com.apple.rcd"]);
        let all = ["com.example.before", "org.nixos.darwin-store"];
        assert_eq!(of(printed!("disabled")), all);
        assert_eq!(of(printed!("running")), [""; 0]);
    }

    #[test]
    fn a_job_is_known_by_its_file_and_its_process() {
        let of = |text| {
            let service = service(text);
            (service.path.unwrap_or_default(), service.pid)
        };
        let (path, pid) = of(printed!("running"));
        assert!(
            path.ends_with("ssh-agent.plist") && pid.is_some(),
            "{path} {pid:?}"
        );
        let (path, pid) = of(printed!("base-minimum-runtime"));
        assert_eq!(path, "/System/Library/LaunchDaemons/com.apple.akd.plist");
        assert_eq!(pid, Some(928));
        for asleep in [
            printed!("not-running"),
            printed!("never-exited"),
            printed!("spawn-scheduled"),
        ] {
            let (path, pid) = of(asleep);
            assert!(!path.is_empty() && pid.is_none(), "{path} {pid:?}");
        }
        assert_eq!(service("no such form"), Service::default());
    }
}
