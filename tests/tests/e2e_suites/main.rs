//! Suites that others wrote for their servers and clients, run twice at one port: against the engine
//! that was started bare, and through the endpoint of doze that has the same data, asleep when the
//! suite begins. What became of each test has to be the same. docs/reference/suites.md tells what is
//! run of each.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a surprise fails the test, and says what it was; the counts are the result"
)]

mod bare;
mod pytest;
mod redis;
mod regress;
mod results;
mod sqlalchemy;
mod temporal;

use std::process::Command;

use doze_tests::project::{Mode, Project};

use crate::bare::Bare;
use crate::results::Results;

/// More than the pauses that a suite makes, so that the engine stays awake for all of it.
const IDLE_TIMEOUT: &str = "5s";

/// A project that is written but not up.
fn project() -> Option<Project> {
    Project::new(Mode::Systemd, IDLE_TIMEOUT)
}

/// What a suite needs to be run twice.
struct Suite<'a> {
    /// What it is called in the table.
    name: &'a str,
    /// The instance that it is run against.
    instance: &'a str,
    port: u16,
    /// Succeeds when the bare engine is there.
    probe: &'a dyn Fn(&Project) -> Command,
    /// Runs it, and is told by what name; both times in the same world.
    run: &'a dyn Fn(&Project, &str) -> Results,
    /// What its tests end with that pass, and how many have to.
    passed: (&'a str, usize),
    /// What has to differ, and why is told there. Empty where all is the same.
    differs: &'a str,
}

impl Suite<'_> {
    /// Runs it twice and compares.
    #[track_caller]
    fn compare(&self, mut project: Project, block: &str) {
        let Self { name, instance, .. } = self;
        project.declare(&format!(
            "name = \"shop\"\n[defaults]\nidle_timeout = \"{IDLE_TIMEOUT}\"\n{block}"
        ));
        project.up();
        project.run(&["wake", instance]);
        project.run(&["sleep", instance]);
        project.wait_asleep();
        let plan = project.plan(instance);
        project.down();
        project.wait_asleep();

        let probe = || (self.probe)(&project);
        let bare = Bare::start(&project, &plan, self.port, &probe);
        let direct = (self.run)(&project, "direct");
        bare.stop();

        project.up();
        assert_eq!(project.processes(), [], "nobody is awake");
        let wakes = project.wakes(instance);
        let through = (self.run)(&project, "through");
        assert!(project.wakes(instance) > wakes, "it was woken");
        project.wait_asleep();

        println!("{name}");
        for (way, results) in [("direct", &direct), ("through doze", &through)] {
            println!("  {way}: {}", results.summary());
            for name in results.failed() {
                println!("    {name} failed");
            }
        }
        let differences = direct.differences(&through);
        assert_eq!(
            differences, self.differs,
            "{name}: direct, through doze\n{differences}"
        );
        let (passed, at_least) = self.passed;
        let passed = direct.count(passed);
        assert!(passed >= at_least, "{name}: only {passed} passed");
    }
}
