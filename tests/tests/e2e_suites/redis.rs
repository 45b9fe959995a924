//! The tests of redis-py that a single server without modules can run.

use crate::pytest::Pytest;
use crate::{Suite, project};

const FILES: [&str; 10] = [
    "commands",
    "connection_pool",
    "encoding",
    "function",
    "hash",
    "lock",
    "monitor",
    "pipeline",
    "pubsub",
    "scripting",
];

/// The first four would go to whatever listens at 6379 or 6390 on this machine; the others do little
/// but wait.
const LEFT_OUT: &str = "not (test_client_setinfo or test_client_setinfo_with_driver_info \
     or test_on_connect_error or TestPubSubRedisDown or TestPubSubBlockingListen \
     or test_channel_message_handler or test_pattern_message_handler \
     or test_shard_channel_message_handler or test_ignore_all_subscribe_messages \
     or test_ignore_individual_subscribe_messages)";

/// It ends another client by its address. All clients of doze come to the server through one unix
/// socket, so they have the same there, and it is the first of them that ends.
const TOLD_APART: &str =
    "tests/test_commands.py::TestRedisCommands::test_client_kill: \"passed\", \"failed\"\n";

/// What needs more than a single server.
const MARKERS: &str =
    "not redismod and not onlycluster and not ssl and not replica and not cp_integration";

#[test]
fn the_tests_of_redis_py_end_as_they_do_without_doze() {
    let Some(project) = project() else { return };
    let Some(pytest) = Pytest::of(&project.world, "redis-py") else {
        return;
    };
    let port = project.cache;
    let url = format!("redis://127.0.0.1:{port}/0");
    let files = FILES.map(|name| format!("tests/test_{name}.py"));
    let mut words: Vec<&str> = files.iter().map(String::as_str).collect();
    words.extend(["-m", MARKERS, "-k", LEFT_OUT]);
    // No test of modules is selected, but it asks for them.
    words.extend(["--redis-url", &url, "--redis-mod-url", &url]);
    let toml = project.toml("5s");
    let block = toml.split_once("[valkey.cache]").expect("it is there").1;
    let block = format!("[valkey.cache]{block}settings.enable-debug-command = \"yes\"\n");
    Suite {
        name: "redis-py",
        instance: "cache",
        port,
        probe: &|project| project.cli(&["ping"]),
        run: &|project, name| pytest.run(&project.world, name, &words),
        passed: ("passed", 600),
        differs: TOLD_APART,
    }
    .compare(project, &block);
}
