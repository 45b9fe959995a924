//! The recipe that people write by hand today: a socket, systemd-socket-proxyd(8) behind it, and
//! the engine as a service that it requires, with a loop in `ExecStartPre=` that waits until the
//! engine answers. Must not know: rounds and results.

use doze_contract::{Endpoint, Plan};
use doze_tests::engines;
use doze_tests::project::Project;

/// The units of one engine.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) port: u16,
    name: String,
}

impl Recipe {
    /// Writes the units for the engine of a plan; `ready` is the shell command that succeeds once
    /// it answers. `None`, which is said, if there is no proxy on this machine.
    pub(crate) fn new(project: &Project, plan: &Plan, ready: &str) -> Option<Self> {
        let Some(proxy) = engines::socket_proxyd() else {
            println!("systemd-socket-proxyd is not on this machine and left out");
            return None;
        };
        let world = &project.world;
        let recipe = Self {
            port: world.port(),
            name: format!("recipe-{}", plan.instance),
        };
        let write = |unit: &str, text: String| world.write(world.units().join(unit), &text);
        let [member] = plan.body.members.as_slice() else {
            panic!("{} has several members", plan.engine)
        };
        let Some(Endpoint::Unix(upstream)) = &plan.body.upstream else {
            panic!("{} listens on TCP", plan.engine)
        };
        let signal = member.stop.signal.name();
        let (socket, service, engine) = (
            recipe.unit("socket"),
            recipe.unit("service"),
            format!("{}-engine.service", recipe.name),
        );
        write(
            &socket,
            format!(
                "[Socket]\nListenStream=127.0.0.1:{}\nNoDelay=yes\nTriggerLimitIntervalSec=0\n",
                recipe.port
            ),
        );
        write(
            &service,
            format!(
                "[Unit]\nRequires={engine}\nAfter={engine}\nStartLimitIntervalSec=0\n[Service]\n\
                 ExecStartPre=/bin/sh -c 'until {ready}; do sleep 0.1; done'\n\
                 ExecStart={proxy} --exit-idle-time=100ms {upstream}\n"
            ),
        );
        write(
            &engine,
            format!(
                "[Unit]\nStopWhenUnneeded=yes\nStartLimitIntervalSec=0\n[Service]\n\
                 ExecStart={}\nWorkingDirectory={}\nKillSignal={signal}\nKillMode=mixed\n",
                member.argv.join(" "),
                member.cwd,
            ),
        );
        Some(recipe)
    }

    /// What has to be at rest before something is measured, the proxy's service second.
    pub(crate) fn units(&self) -> [String; 3] {
        let engine = format!("{}-engine.service", self.name);
        [self.unit("socket"), self.unit("service"), engine]
    }

    /// The name of its socket or service.
    pub(crate) fn unit(&self, kind: &str) -> String {
        format!("{}.{kind}", self.name)
    }
}
