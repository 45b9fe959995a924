"""What launchd waits for: descriptors that become readable, and moments that come.

Must not know: jobs, requests.
"""

import selectors
import time


class Watch:
    """Callbacks by descriptor and by moment. Moments are seconds of the monotonic clock."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.moments = {}
        self.tickets = 0

    def readable(self, source, callback):
        self.selector.register(source, selectors.EVENT_READ, callback)

    def forget(self, source):
        self.selector.unregister(source)

    def at(self, moment, callback):
        """Calls back once when the moment has come; returns the ticket to cancel that with."""
        self.tickets += 1
        self.moments[self.tickets] = moment, callback
        return self.tickets

    def cancel(self, ticket):
        self.moments.pop(ticket, None)

    def turn(self):
        """Waits for the next thing to happen, and calls back for all that did."""
        due = min((moment for moment, _ in self.moments.values()), default=None)
        timeout = None if due is None else max(0, due - time.monotonic())
        for key, _ in self.selector.select(timeout):
            # An earlier callback of this turn may have forgotten it.
            if self.selector.get_map().get(key.fd) == key:
                key.data()
        now = time.monotonic()
        for ticket, (moment, callback) in list(self.moments.items()):
            if moment <= now and self.moments.pop(ticket, None):
                callback()
