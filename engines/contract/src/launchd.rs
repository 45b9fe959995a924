//! What a launchd agent and the activator that it starts agree on.

use std::time::Duration;

/// The name in `Sockets` of those that clients connect to (launchd.plist(5)).
pub const CLIENTS: &str = "clients";

/// The name of the one that wakes the instance.
pub const WAKE: &str = "wake";

/// The shortest time between two starts of an agent, counted from the former start; its
/// `ThrottleInterval`. Whoever comes in between waits for the rest of it, so an activator that leaves
/// in good order never leaves earlier.
pub const THROTTLE: Duration = Duration::from_secs(1);

/// The variable that names a file of variables for the programs of the user's own: what the user's
/// shell told `doze up`. It need not be there.
pub const ENVIRONMENT: &str = "DOZE_ENVIRONMENT";

/// The file beside the sockets of an instance that starts with its project: how many retries there
/// were in a row, or [`GIVEN_UP`].
pub const TRIES: &str = "tries";

/// What it says after the last one.
pub const GIVEN_UP: &str = "given up";
