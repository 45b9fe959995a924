//! What a killed activator has left of its engine, where neither a cgroup nor a listener ends it.
//!
//! Every process that works on the data has the instance's file lock open, and keeps it from this
//! one. Must not know what an engine is.

use std::{fs::File, time::Duration};

use doze_contract::{Plan, plan::Signal};
use rustix::process::{Pid, kill_process};
use tokio::time::{Instant, sleep};

use crate::{log::Log, proc, stop::raw};

/// How often to look whether they have let go. flock(2) tells nobody.
const POLL: Duration = Duration::from_millis(5);

/// How long what is killed may take to be gone. Only the kernel can hold it up.
const GONE: Duration = Duration::from_secs(2);

/// The programs that take the lock in their own right, and let go of it again.
const OURS: [&[u8]; 2] = [b"doze", b"doze-activator"];

/// Ends whoever has the lock of the instance open, as the last member is stopped, if no program of
/// doze is among them. Who cannot be ended keeps the lock.
pub(crate) async fn end(plan: &Plan, log: &Log) {
    let path = &plan.paths.lock;
    let Ok(file) = File::open(path) else {
        return;
    };
    if is_free(&file) {
        return;
    }
    let stop = plan.body.members.last().map(|member| &member.stop);
    let (signal, within) = stop.map_or((Signal::Term, GONE), |stop| (stop.signal, stop.within));
    for (signal, within) in [(signal, within), (Signal::Kill, GONE)] {
        let left = proc::having_open(path);
        let is_ours = |pid: &u32| OURS.iter().any(|name| proc::is_called(*pid, name));
        if left.iter().any(is_ours) {
            return;
        }
        log.say(format_args!(
            "a killed activator has left processes; they get {}: {left:?}",
            signal.name()
        ));
        for pid in left {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // One that has ended by now needs none.
            pid.map(|pid| kill_process(pid, raw(signal)).ok());
        }
        let give_up = Instant::now() + within;
        while Instant::now() < give_up {
            if is_free(&file) {
                return;
            }
            sleep(POLL).await;
        }
    }
}

/// Takes the lock for a moment.
fn is_free(file: &File) -> bool {
    file.try_lock().is_ok() && file.unlock().is_ok()
}
