"""The domain of one user and what launchctl(1) asks of it.

Must not know: how requests come in. Each is a method of the same name; it answers by calling
`reply(out="", details=[])` or by raising a Failure, at once or, for those that wait, later with
`reply(number=N)`.
"""

import os
import plistlib

import keys
import report
from errors import (
    ALREADY,
    BAD_OWNERSHIP,
    DISABLED,
    IN_PROGRESS,
    INPUT_OUTPUT,
    INVALID_LABEL,
    INVALID_PLIST,
    INVALID_PROGRAM,
    NO_DOMAIN,
    NO_SERVICE,
    NO_SUCH_ACTION,
    NO_SUCH_FILE,
    NO_SUCH_PROCESS,
    TEXTS,
    WRONG_SESSION,
    Failure,
)
from job import Job


class Domain:
    """`gui/UID` or `user/UID`, one of them: an ssh session has no gui domain, launchctl(1)."""

    def __init__(self, kind, uid, folder, watch, events):
        self.kind = kind
        self.uid = uid
        self.name = f"{kind}/{uid}"
        self.session = "Aqua" if kind == "gui" else "Background"
        self.watch = watch
        self.events = events
        self.jobs = {}
        # As launchd keeps it: a flat map, which outlives the files of the jobs.
        self.store = os.path.join(folder, f"disabled.{uid}.plist")
        self.disabled = {}
        if os.path.exists(self.store):
            self.disabled = keys.read(self.store)
        self.environment = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "DOZE_TEST_LAUNCHD_CHECKIN": os.path.join(folder, "check-in"),
        }
        # Of its own environment a job gets what a login gives it, and what marks the test's world.
        for variable in ("HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "DOZE_TEST_WORLD"):
            if variable in os.environ:
                self.environment[variable] = os.environ[variable]

    def log_in(self):
        """Loads the agents of the user, launchd.plist(5)."""
        agents = os.path.join(self.environment.get("HOME", "/"), "Library/LaunchAgents")
        if os.path.isdir(agents):
            self.bootstrap(lambda **_: None, self.name, [agents])

    # Requests.

    def bootstrap(self, reply, domain, paths):
        if domain != self.name:
            raise Failure(NO_SUCH_ACTION)
        number, details = 0, []
        for path in files(paths):
            try:
                self.load(path)
            except Failure as failure:
                number = failure.number
                if number in (DISABLED, BAD_OWNERSHIP):
                    details.append(f"{path}: {TEXTS[number]}")
        reply(number=number, details=details)

    def bootout(self, reply, target=None, domain=None, paths=(), wait=False):
        """Without `wait` it answers before the process has ended, and says so."""
        jobs = [self.job(target, NO_SUCH_PROCESS)] if target else self.loaded(domain, paths)
        for job in jobs:
            if not job.leaving:
                job.unload()
        ending = [job for job in jobs if job.process]
        if not ending:
            reply()
        elif wait:
            ending[-1].on_removal.append(reply)
        else:
            reply(number=IN_PROGRESS)

    def kickstart(self, reply, target, kill=False):
        """Answers with the process id when the process runs: the throttle applies as ever."""
        job = self.job(target)
        if job.leaving:
            raise Failure(IN_PROGRESS)
        if job.process and not kill:
            reply(out=f"{job.process.pid}\n")
            return
        job.on_spawn.append(
            lambda pid: reply(out=f"{pid}\n") if pid else reply(number=NO_SUCH_PROCESS)
        )
        if job.process:
            job.stop()
        else:
            job.want("non-ipc demand")

    def kill(self, reply, target, signal):
        job = self.job(target)
        if not job.process:
            raise Failure(NO_SUCH_PROCESS)
        job.signal(signal)
        reply()

    def enable(self, reply, target):
        self.set_disabled(target, False)
        reply()

    def disable(self, reply, target):
        self.set_disabled(target, True)
        reply()

    def print(self, reply, target):
        if target == self.name:
            reply(out=report.domain(self))
        else:
            reply(out=report.service(self, self.job(target)))

    def print_disabled(self, reply, domain):
        if domain.split("/")[1:] != [str(self.uid)]:
            raise Failure(NO_DOMAIN)
        reply(out="\n" + report.disabled(self, 1))

    def managername(self, reply):
        reply(out=self.session + "\n")

    def manageruid(self, reply):
        reply(out=f"{self.uid}\n")

    # What they need.

    def load(self, path):
        try:
            self.load_checked(path)
        except Failure as failure:
            self.events.record("refused", path=path, number=failure.number)
            raise

    def load_checked(self, path):
        config = self.read(path)
        label = config["Label"]
        if self.session not in keys.sessions(config):
            raise Failure(WRONG_SESSION)
        if self.disabled.get(label, config.get("Disabled", False)):
            raise Failure(DISABLED)
        if label in self.jobs:
            # Also while its last process is still ending.
            raise Failure(ALREADY)
        job = Job(path, config, self.watch, self.events, self.environment)
        job.on_removal.append(lambda: self.jobs.pop(label))
        self.jobs[label] = job
        job.load()

    def read(self, path):
        """The property list in a file that nobody else can have written."""
        try:
            status = os.stat(path)
            # launchctl(1): owned by the user who loads it, not writable by group or others.
            if status.st_uid not in (self.uid, 0) or status.st_mode & 0o022:
                raise Failure(BAD_OWNERSHIP)
            config = keys.read(path)
        except OSError as error:
            raise Failure(NO_SUCH_FILE) from error
        except ValueError as error:
            raise Failure(INVALID_PLIST) from error
        if not isinstance(config.get("Label"), str):
            raise Failure(INVALID_LABEL)
        if not config.get("Program") and not config.get("ProgramArguments"):
            raise Failure(INVALID_PROGRAM)
        violations = list(keys.violations(config))
        if violations:
            self.events.record("violations", path=path, violations=violations)
            raise Failure(INVALID_PLIST)
        return config

    def job(self, target, missing=NO_SERVICE):
        domain, _, label = target.rpartition("/")
        if domain != self.name:
            raise Failure(NO_DOMAIN)
        if label not in self.jobs:
            raise Failure(missing)
        return self.jobs[label]

    def loaded(self, domain, paths):
        """The jobs that were loaded from these files. launchd says no more of one that is not."""
        if domain != self.name:
            raise Failure(NO_SUCH_ACTION)
        chosen = set(files(paths))
        jobs = [job for job in self.jobs.values() if job.path in chosen]
        if len(jobs) < len(chosen):
            raise Failure(INPUT_OUTPUT)
        return jobs

    def set_disabled(self, target, disabled):
        domain, _, label = target.rpartition("/")
        if domain not in (f"gui/{self.uid}", f"user/{self.uid}"):
            raise Failure(NO_DOMAIN)
        self.disabled[label] = disabled
        with open(self.store + ".new", "wb") as file:
            plistlib.dump(self.disabled, file)
        os.rename(self.store + ".new", self.store)
        self.events.record("disabled" if disabled else "enabled", label=label)

    def job_of(self, pid):
        """The job whose own process this is: its children are not managed by launchd."""
        for job in self.jobs.values():
            if job.process and job.process.pid == pid:
                return job
        return None


def files(paths):
    """The property lists that these paths mean: a directory stands for those in it."""
    for path in paths:
        if os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if name.endswith(".plist"))
            yield from (os.path.join(path, name) for name in names)
        else:
            yield path
