"""The log of what launchd did, a JSON object a line, which tests read instead of a clock.

Each has `event` and `at` (seconds of the monotonic clock), and `label`, or `path` where a property
list was not loaded. What happens to a job, in the order in which it can:

    bootstrapped (path, sockets by name, unheeded keys), bind-failed (name, error),
    throttled (reason, seconds), spawned (pid, reason, runs) or spawn-failed (error),
    checked-in (pid, name, errno, count), signaled (pid, signal),
    killed-group (pid, processes), escaped (pid, processes), exited (pid, seconds, code or signal),
    removed

and besides: enabled, disabled, refused (number), violations.
"""

import json
import time


class Events:
    """Writes to that log. A line is there as soon as it is written, and whole."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def record(self, event, **fields):
        line = {"event": event, "at": round(time.monotonic(), 6), **fields}
        self.file.write(json.dumps(line) + "\n")
