"""One loaded job: its sockets, its process, and when the next one starts.

Must not know: other jobs, requests.

On demand and throttle as in launchd.plist(5): a readable socket starts a job that does not run,
and nothing starts it sooner than ThrottleInterval seconds after its last start, neither a client
(who waits in the backlog) nor `launchctl kickstart`.
"""

import os
import signal
import time

import endpoints
import process

DEFAULT_THROTTLE = 10
# What launchd of today prints for a job that says nothing; its manual leaves it to the system.
DEFAULT_EXIT_TIMEOUT = 5
# sysexits(3) EX_CONFIG: what launchd says of a program or a log file that is not there.
EX_CONFIG = 78

# The signals that launchd.plist(5) means by a crash.
CRASHES = {
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGBUS,
    signal.SIGSEGV,
    signal.SIGSYS,
}

# What launchd.plist(5) has and this launchd does nothing about.
UNHEEDED = {
    "StartInterval",
    "StartCalendarInterval",
    "WatchPaths",
    "QueueDirectories",
    "StartOnMount",
    "MachServices",
    "LaunchEvents",
    "inetdCompatibility",
    "RootDirectory",
    "LaunchOnlyOnce",
    "Nice",
    "SoftResourceLimits",
    "HardResourceLimits",
    "KeepAlive.NetworkState",
    "KeepAlive.PathState",
    "KeepAlive.OtherJobEnabled",
    "KeepAlive.AfterInitialDemand",
}


class Job:
    def __init__(self, path, config, watch, events, environment):
        self.path = path
        self.config = config
        self.watch = watch
        self.events = events
        self.base_environment = environment
        self.label = config["Label"]
        # launchd ignores a throttle of nothing.
        self.throttle = config.get("ThrottleInterval") or DEFAULT_THROTTLE
        self.exit_timeout = config.get("ExitTimeOut", DEFAULT_EXIT_TIMEOUT)
        self.endpoints = []
        self.process = None
        self.pidfd = None
        self.state = "not running"
        self.runs = 0
        self.reason = None
        self.spawned_at = None
        self.last_exit = None
        self.activated = set()
        self.leaving = False
        self.timer = None
        # Called with the pid when the next process runs, or with None if that never comes.
        self.on_spawn = []
        self.on_removal = []

    def load(self):
        """Opens the sockets, and starts the job if it is not for demand alone."""
        self.endpoints = endpoints.open_all(self.config)
        bound = {}
        for endpoint in self.endpoints:
            bound.setdefault(endpoint.name, []).extend(endpoint.names())
            for failure in endpoint.failures:
                self.record("bind-failed", name=endpoint.name, error=failure)
        self.record("bootstrapped", path=self.path, sockets=bound, unheeded=self.unheeded())
        if self.config.get("RunAtLoad") or self.wanted_alive():
            self.want("speculative")
        else:
            self.arm()

    def unload(self):
        """Ends the job, asking first, and lets go of its sockets."""
        self.leaving = True
        self.disarm()
        for endpoint in self.endpoints:
            endpoint.close()
        if self.process:
            self.stop()
        else:
            self.set_timer(None)
            self.remove()

    def remove(self):
        self.record("removed")
        self.tell(None)
        for callback in self.on_removal:
            callback()

    def sockets(self, name=None):
        """Its sockets, or those of one name; None if it has no such name."""
        chosen = [endpoint for endpoint in self.endpoints if name in (None, endpoint.name)]
        if name is not None and not chosen:
            return None
        return [opened for endpoint in chosen for opened in endpoint.sockets]

    # On demand.

    def arm(self):
        self.state = "not running"
        for opened in self.sockets():
            self.watch.readable(opened, lambda: self.want("ipc (socket)"))

    def disarm(self):
        for opened in self.sockets():
            if opened in self.watch.selector.get_map():
                self.watch.forget(opened)

    def want(self, reason):
        """Starts it, now or as soon as the throttle allows. One that runs is left alone."""
        if self.process or self.state == "spawn scheduled":
            return
        self.disarm()
        self.reason = reason
        rest = 0
        if self.spawned_at is not None:
            rest = self.spawned_at + self.throttle - time.monotonic()
        if rest <= 0:
            self.spawn()
            return
        self.state = "spawn scheduled"
        self.record("throttled", reason=reason, seconds=round(rest, 3))
        self.set_timer(time.monotonic() + rest, self.spawn)

    def spawn(self):
        self.timer = None
        self.runs += 1
        self.spawned_at = time.monotonic()
        self.activated.clear()
        try:
            self.process = process.start(self.config, self.environment())
        except OSError as error:
            self.record("spawn-failed", error=str(error))
            self.last_exit = "code", EX_CONFIG
            self.tell(None)
            self.go_on()
            return
        pid = self.process.pid
        self.pidfd = os.pidfd_open(pid)
        self.watch.readable(self.pidfd, self.exited)
        self.state = "running"
        self.record("spawned", pid=pid, reason=self.reason, runs=self.runs)
        self.tell(pid)

    def tell(self, pid):
        """Answers those who wait for a process."""
        callbacks, self.on_spawn = self.on_spawn, []
        for callback in callbacks:
            callback(pid)

    def environment(self):
        """launchd gives a job very little; what the job names itself comes last."""
        own = {"XPC_SERVICE_NAME": self.label, "XPC_FLAGS": "0x0"}
        return {**self.base_environment, **own, **self.config.get("EnvironmentVariables", {})}

    def marks(self):
        """What of that no other job has, in this launchd or in another."""
        check_in = "DOZE_TEST_LAUNCHD_CHECKIN"
        return {check_in: self.base_environment[check_in], "XPC_SERVICE_NAME": self.label}

    # The end of a process.

    def signal(self, number):
        self.record("signaled", pid=self.process.pid, signal=number)
        # It is not collected before `exited`, so the id is still its own.
        os.kill(self.process.pid, number)

    def stop(self):
        """Asks it to end, and makes it end after ExitTimeOut, of which zero is for ever."""
        if self.state != "running":
            return
        self.signal(signal.SIGTERM)
        self.state = "SIGTERMed"
        if self.exit_timeout:
            self.set_timer(time.monotonic() + self.exit_timeout, self.kill)

    def kill(self):
        self.timer = None
        self.signal(signal.SIGKILL)
        self.state = "SIGKILLed"

    def exited(self):
        pid = self.process.pid
        left, gone = process.group(pid), process.escaped(pid, self.marks())
        if left and not self.config.get("AbandonProcessGroup"):
            # Before the leader is collected, when the group is still its own.
            os.killpg(pid, signal.SIGKILL)
            self.record("killed-group", pid=pid, processes=left)
        if gone:
            self.record("escaped", pid=pid, processes=gone)
        self.watch.forget(self.pidfd)
        os.close(self.pidfd)
        code = self.process.wait()
        self.process = None
        self.set_timer(None)
        self.last_exit = ("code", code) if code >= 0 else ("signal", -code)
        seconds = round(time.monotonic() - self.spawned_at, 3)
        self.record("exited", pid=pid, seconds=seconds, **dict([self.last_exit]))
        self.go_on()

    def go_on(self):
        """After the end of a process."""
        self.state = "not running"
        if self.leaving:
            self.remove()
        elif self.on_spawn:
            self.want("non-ipc demand")
        elif self.wanted_alive():
            self.want("semaphore")
        else:
            self.arm()

    def unheeded(self):
        """Its keys that do nothing here."""
        keep = self.config.get("KeepAlive")
        conditions = {f"KeepAlive.{key}" for key in keep} if isinstance(keep, dict) else set()
        return sorted(UNHEEDED & (self.config.keys() | conditions))

    def wanted_alive(self):
        """KeepAlive: any of its conditions suffices. The two about exits want a first run."""
        keep = self.config.get("KeepAlive", False)
        if isinstance(keep, bool):
            return keep
        if self.last_exit is None:
            return "SuccessfulExit" in keep or "Crashed" in keep
        successful = self.last_exit == ("code", 0)
        crashed = self.last_exit[0] == "signal" and self.last_exit[1] in CRASHES
        return keep.get("SuccessfulExit") is successful or keep.get("Crashed") is crashed

    def set_timer(self, moment, callback=None):
        self.watch.cancel(self.timer)
        self.timer = None if moment is None else self.watch.at(moment, callback)

    def record(self, event, **fields):
        self.events.record(event, label=self.label, **fields)
