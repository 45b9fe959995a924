"""The numbers by which launchd says what went wrong, with the texts of `launchctl error N`.

Below 107 they are those of Darwin's intro(2), which differ from Linux's; above, launchd's own.
"""

NO_SUCH_FILE = 2
NO_SUCH_PROCESS = 3
INPUT_OUTPUT = 5
IN_PROGRESS = 36
ALREADY = 37
USAGE = 64
INVALID_PLIST = 109
INVALID_LABEL = 110
INVALID_PROGRAM = 111
NO_DOMAIN = 112
NO_SERVICE = 113
DISABLED = 119
BAD_OWNERSHIP = 122
NO_SUCH_ACTION = 125
WRONG_SESSION = 134

TEXTS = {
    NO_SUCH_FILE: "No such file or directory",
    NO_SUCH_PROCESS: "No such process",
    INPUT_OUTPUT: "Input/output error",
    IN_PROGRESS: "Operation now in progress",
    ALREADY: "Operation already in progress",
    INVALID_PLIST: "Invalid property list",
    INVALID_LABEL: "Invalid or missing service identifier",
    INVALID_PROGRAM: "Invalid or missing Program/ProgramArguments",
    NO_DOMAIN: "Could not find specified domain",
    NO_SERVICE: "Could not find specified service",
    DISABLED: "Service is disabled",
    BAD_OWNERSHIP: "Path had bad ownership/permissions",
    NO_SUCH_ACTION: "Domain does not support specified action",
    WRONG_SESSION: "Service cannot load in requested session",
}


class Failure(Exception):
    """A request that is refused, by one of the numbers above."""

    def __init__(self, number):
        super().__init__(number, TEXTS[number])
        self.number = number
