//! How a process is seen to be ready: whoever depends on it, and its hook, come only then.

use doze_tests::in_every_mode;
use doze_tests::project::{Mode, output};

use crate::{declare, lines, project};

in_every_mode!(
    by_an_answer_of_http_from_200_to_299,
    by_a_connection,
    by_a_command_that_ends_well,
    by_a_line_of_its_output,
    by_a_while_of_life,
    a_check_that_never_succeeds_fails_the_start,
);

/// A server that turns the first three requests away, and counts them.
const SERVER: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    hits = 0
    def do_GET(self):
        Handler.hits += 1
        with open("hits", "w") as file:
            file.write(f"{Handler.hits} {self.path}\n")
        self.send_response(503 if Handler.hits < 4 else 204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn by_an_answer_of_http_from_200_to_299(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    project.world.write("home/shop/server.py", SERVER);
    declare(
        &project,
        &format!(
            "[process.web]\ncommand = 'exec python3 server.py'\nport = {port}\n\
             health = {{ http = '/up?x', interval = '50ms' }}\n\
             hooks = {{ post_start = 'cp hits ready' }}\n"
        ),
    );
    project.up();
    assert_eq!(lines(&project, "ready", 1), ["4 /up?x"]);
}

fn by_a_connection(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    declare(
        &project,
        &format!(
            "[process.web]\n\
             command = 'sleep 0.3; touch began; exec python3 -m http.server {port} --bind 127.0.0.1'\n\
             health = {{ tcp = {port}, interval = '50ms' }}\n\
             hooks = {{ post_start = 'test -e began && echo > ready' }}\n"
        ),
    );
    project.up();
    lines(&project, "ready", 1);
}

fn by_a_command_that_ends_well(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'sleep 0.3; touch began; exec sleep 3600'\n\
         health = { exec = 'test -e began', interval = '50ms' }\n\
         hooks = { post_start = 'test -e began && echo > ready' }\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "ready", 1);
}

fn by_a_line_of_its_output(mode: Mode) {
    let blocks = "[process.web]\n\
         command = 'echo not yet; sleep 0.3; touch began; echo ready on 80; exec sleep 3600'\n\
         health = { log_line = '^ready on [0-9]+$' }\n\
         hooks = { post_start = 'test -e began && echo > ready' }\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "ready", 1);
}

fn by_a_while_of_life(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'date +%s%N > began; exec sleep 3600'\n\
         hooks = { post_start = 'date +%s%N > ready' }\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    let nanoseconds = |file| {
        let lines = lines(&project, file, 1);
        lines.first().and_then(|line| line.parse::<u64>().ok())
    };
    let (began, ready) = (nanoseconds("began"), nanoseconds("ready"));
    let lived = ready.expect("a number") - began.expect("a number");
    // It was started a little before it could write.
    assert!(lived > 600_000_000, "it was ready after {lived} ns");
}

fn a_check_that_never_succeeds_fails_the_start(mode: Mode) {
    let blocks = "[process.web]\ncommand = 'echo >> starts; exec sleep 3600'\n\
         health = { exec = 'false', interval = '50ms', timeout = '50ms', retries = 3 }\n\
         restart = { policy = 'no' }\nhooks = { post_start = 'echo > ready' }\n";
    let Some(mut project) = project(mode, blocks) else {
        return;
    };
    project.up();
    lines(&project, "starts", 1);
    project.wait_asleep();
    let woken = output(&mut project.doze(&["wake", "web"]));
    let said = String::from_utf8_lossy(&woken.stderr).into_owned();
    assert_eq!(woken.status.code(), Some(1));
    assert!(said.contains("`web` does not wake"), "{said}");
    assert_eq!(crate::text(&project, "ready"), "");
}
