"""The keys of a property list as launchd.plist(5) documents them, and what breaks its rules.

launchd itself passes over keys that it does not know; a test must not, so here they count.
Violations are pairs of a path (`Sockets.clients[0].SockPathMode`) and what is wrong there.
"""

import plistlib


class Type:
    """A type of value: its name in messages, and what it finds wrong with a value."""

    def __init__(self, name, accepts):
        self.name = name
        self.accepts = accepts

    def violations(self, value, path):
        if not self.accepts(value):
            yield path, f"is {describe(value)}, not {self.name}"


class Choice(Type):
    """One of these strings."""

    def __init__(self, *words):
        super().__init__("one of " + ", ".join(words), lambda value: value in words)


class ListOf(Type):
    """An array whose elements are all of one type."""

    def __init__(self, element):
        super().__init__(f"an array, each {element.name}", lambda value: isinstance(value, list))
        self.element = element

    def violations(self, value, path):
        yield from super().violations(value, path)
        if self.accepts(value):
            for index, element in enumerate(value):
                yield from self.element.violations(element, f"{path}[{index}]")


class MapOf(Type):
    """A dictionary with any keys, whose values are all of one type."""

    def __init__(self, element):
        name = f"a dictionary, each {element.name}"
        super().__init__(name, lambda value: isinstance(value, dict))
        self.element = element

    def violations(self, value, path):
        yield from super().violations(value, path)
        if self.accepts(value):
            for key, element in value.items():
                yield from self.element.violations(element, f"{path}.{key}" if path else key)


class Record(Type):
    """A dictionary with these keys and no others."""

    def __init__(self, **keys):
        super().__init__("a dictionary", lambda value: isinstance(value, dict))
        self.keys = keys

    def violations(self, value, path):
        yield from super().violations(value, path)
        if not self.accepts(value):
            return
        for key, element in value.items():
            below = f"{path}.{key}" if path else key
            if key in self.keys:
                yield from self.keys[key].violations(element, below)
            else:
                yield below, "is no key of launchd.plist(5)"


class Either(Type):
    """Any of these types. What is wrong is told by the one that takes such a value at all."""

    def __init__(self, *types):
        name = " or ".join(type.name for type in types)
        super().__init__(name, lambda value: any(type.accepts(value) for type in types))
        self.types = types

    def violations(self, value, path):
        fitting = [type for type in self.types if type.accepts(value)]
        yield from (
            fitting[0].violations(value, path) if fitting else super().violations(value, path)
        )


def describe(value):
    """The name of a value's type in a property list, plist(5)."""
    names = {bool: "a boolean", int: "an integer", float: "a real", str: "a string"}
    names |= {bytes: "data", list: "an array", dict: "a dictionary"}
    return names.get(type(value), "a date")


# A boolean is an integer to Python, but not to a property list.
BOOLEAN = Type("a boolean", lambda value: isinstance(value, bool))
INTEGER = Type("an integer", lambda value: type(value) is int)
SECONDS = Type("an integer, not negative", lambda value: type(value) is int and value >= 0)
STRING = Type("a string", lambda value: isinstance(value, str))
STRINGS = ListOf(STRING)
ANYTHING = Type("anything", lambda value: True)

LIMITS = Record(
    Core=INTEGER,
    CPU=INTEGER,
    Data=INTEGER,
    FileSize=INTEGER,
    MemoryLock=INTEGER,
    NumberOfFiles=INTEGER,
    NumberOfProcesses=INTEGER,
    ResidentSetSize=INTEGER,
    Stack=INTEGER,
)

MOMENT = Record(Minute=INTEGER, Hour=INTEGER, Day=INTEGER, Weekday=INTEGER, Month=INTEGER)

SOCKET = Record(
    SockType=Choice("stream", "dgram", "seqpacket"),
    SockPassive=BOOLEAN,
    SockNodeName=STRING,
    SockServiceName=STRING,
    SockFamily=Choice("IPv4", "IPv6", "IPv4v6", "Unix"),
    SockProtocol=Choice("TCP", "UDP"),
    SockPathName=STRING,
    SecureSocketWithKey=STRING,
    SockPathOwner=INTEGER,
    SockPathGroup=INTEGER,
    # Property lists know no octal numbers: 384 is 0600.
    SockPathMode=Type(
        "an integer from 0 to 511", lambda value: type(value) is int and 0 <= value <= 0o777
    ),
    Bonjour=Either(BOOLEAN, STRING, STRINGS),
    MulticastGroup=STRING,
    ReceivePacketInfo=BOOLEAN,
)

KEEP_ALIVE = Record(
    SuccessfulExit=BOOLEAN,
    NetworkState=BOOLEAN,
    PathState=MapOf(BOOLEAN),
    OtherJobEnabled=MapOf(BOOLEAN),
    Crashed=BOOLEAN,
    AfterInitialDemand=BOOLEAN,
)

JOB = Record(
    Label=STRING,
    Disabled=BOOLEAN,
    UserName=STRING,
    GroupName=STRING,
    inetdCompatibility=Record(Wait=BOOLEAN),
    LimitLoadToHosts=STRINGS,
    LimitLoadFromHosts=STRINGS,
    LimitLoadToSessionType=Either(STRING, STRINGS),
    LimitLoadToHardware=MapOf(STRINGS),
    LimitLoadFromHardware=MapOf(STRINGS),
    Program=STRING,
    BundleProgram=STRING,
    ProgramArguments=STRINGS,
    EnableGlobbing=BOOLEAN,
    EnableTransactions=BOOLEAN,
    EnablePressuredExit=BOOLEAN,
    OnDemand=BOOLEAN,
    ServiceIPC=BOOLEAN,
    KeepAlive=Either(BOOLEAN, KEEP_ALIVE),
    RunAtLoad=BOOLEAN,
    RootDirectory=STRING,
    WorkingDirectory=STRING,
    EnvironmentVariables=MapOf(STRING),
    Umask=Either(INTEGER, STRING),
    TimeOut=SECONDS,
    ExitTimeOut=SECONDS,
    ThrottleInterval=SECONDS,
    InitGroups=BOOLEAN,
    WatchPaths=STRINGS,
    QueueDirectories=STRINGS,
    StartOnMount=BOOLEAN,
    StartInterval=SECONDS,
    StartCalendarInterval=Either(MOMENT, ListOf(MOMENT)),
    StandardInPath=STRING,
    StandardOutPath=STRING,
    StandardErrorPath=STRING,
    Debug=BOOLEAN,
    WaitForDebugger=BOOLEAN,
    SoftResourceLimits=LIMITS,
    HardResourceLimits=LIMITS,
    Nice=INTEGER,
    ProcessType=Choice("Background", "Standard", "Adaptive", "Interactive"),
    AbandonProcessGroup=BOOLEAN,
    LowPriorityIO=BOOLEAN,
    LowPriorityBackgroundIO=BOOLEAN,
    MaterializeDatalessFiles=BOOLEAN,
    LaunchOnlyOnce=BOOLEAN,
    MachServices=MapOf(Either(BOOLEAN, Record(ResetAtClose=BOOLEAN, HideUntilCheckIn=BOOLEAN))),
    Sockets=MapOf(Either(SOCKET, ListOf(SOCKET))),
    LaunchEvents=MapOf(MapOf(ANYTHING)),
    HopefullyExitsFirst=BOOLEAN,
    HopefullyExitsLast=BOOLEAN,
    SessionCreate=BOOLEAN,
    LegacyTimers=BOOLEAN,
    AssociatedBundleIdentifiers=Either(STRING, STRINGS),
)

SESSIONS = ["Aqua", "Background", "LoginWindow", "StandardIO", "System"]


def read(path):
    """The property list in a file; anything that no dictionary can be read from is a ValueError."""
    with open(path, "rb") as file:
        try:
            config = plistlib.load(file)
        except Exception as error:  # An XML error, a bad date: each has a type of its own.
            raise ValueError(f"is no property list: {error}") from error
    if not isinstance(config, dict):
        raise ValueError("is no dictionary")
    return config


def violations(config):
    """All that is wrong with a job, in its order."""
    found = list(JOB.violations(config, ""))
    if "Label" not in config:
        found.append(("Label", "is missing"))
    if not config.get("Program") and not config.get("ProgramArguments"):
        found.append(("ProgramArguments", "is missing, as is Program"))
    for session in sessions(config):
        if session not in SESSIONS:
            found.append(("LimitLoadToSessionType", f"knows no session {session}"))
    return found


def sessions(config):
    """The types of session that a job is for; an agent that names none is for Aqua."""
    named = config.get("LimitLoadToSessionType", "Aqua")
    return named if isinstance(named, list) else [named]
