//! An engine with an endpoint besides its own, which takes the init system's sockets itself.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output};
use doze_tests::{User, in_every_mode, needed, process, wait_until};
use rustix::process::Signal;
use serde_json::Value;

in_every_mode!(an_endpoint_besides_wakes_and_is_told_of);

/// With launchd no engine accepts clients itself.
mod handed {
    use super::{
        a_client_that_nobody_could_keep_out_is_carried, a_killed_activator_keeps_nobody_out,
        an_engine_that_takes_sockets_serves_its_clients_itself,
    };

    doze_tests::without_launchd!(
        an_engine_that_takes_sockets_serves_its_clients_itself,
        a_killed_activator_keeps_nobody_out,
        a_client_that_nobody_could_keep_out_is_carried,
    );
}

const BOUND: Duration = Duration::from_mins(1);

/// On any kernel: late ones let only `CAP_NET_ADMIN` keep clients out of a TCP socket.
const WHO_KEEPS_OUT: User = User::Current;

const PYTHON: &str = "/usr/bin/python3";

/// The driver of `odd`. The engine says to whoever asks who that is; told to stop, it takes a while
/// and answers nobody.
const DRIVER: &str = r#"#!/usr/bin/python3
import json, sys

ENGINE = r"""
import os, signal, socket, sys, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
def serve(listener, page):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=answer, args=(client, page), daemon=True).start()
def answer(client, page):
    with client:
        while client.recv(64):
            who = client.getpeername()
            client.sendall(page or ("%s %s\n" % (client.family.name, who)).encode())
listeners = [(socket.socket(fileno=3 + at), b"") for at in range(int(os.environ["LISTEN_FDS"]))]
if "UI" in os.environ:
    listeners.append((socket.create_server(("127.0.0.1", int(os.environ["UI"]))), b"page\n"))
for listener in listeners:
    threading.Thread(target=serve, args=listener, daemon=True).start()
signal.sigwait([signal.SIGTERM])
time.sleep(0.5)
os._exit(0)
"""

def plan(call):
    ui = call["block"].get("ui")
    address = "127.0.0.1:%s" % ui
    return {
        "provision": {"fingerprint": "odd", "block": None},
        "files": [],
        "members": [{
            "name": "odd", "argv": ["/usr/bin/python3", "-c", ENGINE], "env": {},
            "cwd": call["data"], "ready": "hello", "ready_within_ms": 30000,
            "stop": {"say": None, "signal": "SIGTERM", "within_ms": 10000},
        }],
        "upstream": "unix:" + call["run"] + "/odd.sock",
        "side": [{"name": "ui", "endpoint": address, "variable": "UI"}] if ui else [],
        "takes_sockets": True,
        "hello": {"send": "who", "ready": "AF_UNIX", "busy": []},
        "connection": {"url": "odd://" + call["endpoints"][0]},
        "clients_speak_first": True,
        "generates_code": False,
    }

for line in sys.stdin:
    call = json.loads(line)["call"]
    verb, question = (call, None) if isinstance(call, str) else next(iter(call.items()))
    answer = {
        "describe": lambda _: {
            "engine": "odd", "driver": "0.1.0", "majors": [], "schema": {"type": "object"},
            "example": "odd", "default_port": 7000, "socket_name": "odd.sock",
            "refuses_root": False,
            "toolchain": {"servers": [], "needs": [], "folders": [], "packages": []},
        },
        "check": lambda call: {"block": call["block"], "problems": []},
        "plan": plan,
    }
    said = verb if verb == "provision" else {verb: answer[verb](question)}
    print(json.dumps({"answer": said}), flush=True)
"#;

/// A project of this one instance, which is up, and its ports: its own, and the one besides.
fn project(
    (user, mode): (User, Mode),
    idle_timeout: &str,
    open_to: &str,
) -> Option<(Project, u16, u16)> {
    needed("a Python", Path::new(PYTHON).is_file().then_some(()))?;
    let mut project = Project::of(user, mode, "1h")?;
    let path = project.world.dir().join("bin/doze-driver-odd");
    let mut file = File::create(&path).expect("a folder of programs");
    file.write_all(DRIVER.as_bytes()).expect("room");
    drop(file);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our file");
    let (port, ui) = (project.app, project.cache);
    project.declare(&format!(
        "name = \"shop\"\n\n[odd.thing]\nport = {port}\nui = {ui}\n\
         open_to = \"{open_to}\"\nidle_timeout = \"{idle_timeout}\"\n"
    ));
    project.up();
    Some((project, port, ui))
}

/// A client that has asked.
fn call(port: u16) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the address is held");
    client.set_read_timeout(Some(BOUND)).expect("a socket");
    client.write_all(b"who").expect("it is read");
    client
}

fn answer(client: &TcpStream) -> String {
    let mut line = String::new();
    let read = BufReader::new(client).read_line(&mut line);
    read.expect("an answer");
    line
}

#[track_caller]
fn assert_nothing_between(client: &TcpStream) {
    let port = client.local_addr().expect("it is connected").port();
    assert_eq!(answer(client), format!("AF_INET ('127.0.0.1', {port})\n"));
}

fn row(project: &Project) -> Value {
    let status = project.status();
    status.pointer("/instances/0").cloned().expect("one row")
}

fn an_engine_that_takes_sockets_serves_its_clients_itself(mode: Mode) {
    let Some((project, port, _)) = project((WHO_KEEPS_OUT, mode), "300ms", "all") else {
        return;
    };
    for _ in 0..2 {
        let clients = [call(port), call(port)];
        for client in &clients {
            assert_nothing_between(client);
        }
        wait_until("both to be counted", BOUND, || {
            let row = row(&project);
            let seen = (row.get("state").cloned(), row.get("connections").cloned());
            let wanted = (Some("serving".into()), Some(2.into()));
            if seen == wanted {
                Ok(())
            } else {
                Err(row.to_string())
            }
        });
        drop(clients);
        project.wait_asleep();
    }
    assert_eq!(project.wakes("thing"), 2);
}

fn a_killed_activator_keeps_nobody_out(mode: Mode) {
    let Some((project, port, _)) = project((WHO_KEEPS_OUT, mode), "100ms", "all") else {
        return;
    };
    for _ in 0..2 {
        assert_nothing_between(&call(port));
        // It is on its way to sleep, and lets nobody in.
        wait_until("it to stop", BOUND, || match project.state("thing") {
            state if state == "draining" => Ok(()),
            state => Err(state),
        });
        for activator in project.running("doze-activator") {
            let killed = process::signal(activator.pid, project.world.dir(), Signal::KILL);
            assert!(killed, "{}", activator.command);
        }
        assert_nothing_between(&call(port));
        project.wait_asleep();
    }
}

fn a_client_that_nobody_could_keep_out_is_carried(mode: Mode) {
    let Some((project, port, _)) = project((User::Unprivileged, mode), "300ms", "all") else {
        return;
    };
    for _ in 0..2 {
        let client = call(port);
        let way = answer(&client);
        let is_said = project.log("thing").contains("every client is carried");
        let wanted = if is_said { "AF_UNIX " } else { "AF_INET " };
        assert!(way.starts_with(wanted), "{way}");
        drop(client);
        project.wait_asleep();
    }
}

fn an_endpoint_besides_wakes_and_is_told_of(mode: Mode) {
    let Some((project, port, ui)) = project((User::Unprivileged, mode), "300ms", "user") else {
        return;
    };
    let page = call(ui);
    assert_eq!(answer(&page), "page\n");
    // Somebody has to look at who comes over TCP, so it is handed nothing of that.
    let client = call(port);
    assert!(answer(&client).starts_with("AF_UNIX "), "{port}");
    let status = row(&project);
    let ui_at = format!("127.0.0.1:{ui}");
    assert_eq!(status.pointer("/side/ui"), Some(&ui_at.clone().into()));
    assert_eq!(status.get("connections"), Some(&2.into()));
    let shown = project.run(&["status", "--graph"]);
    assert!(
        shown.contains(&format!("127.0.0.1:{port}, ui {ui_at}")),
        "{shown}"
    );
    let list = project.world.home().join("shop/.doze/endpoints.toml");
    let list = fs::read_to_string(list).expect("it was written");
    assert!(list.contains(&format!("ui = \"{ui_at}\"")), "{list}");
    drop(client);
    project.run(&["wait", "--ready", "thing"]);
    drop(page);
    project.wait_asleep();

    project.declare(&format!(
        "name = \"shop\"\n\n[odd.thing]\nport = {port}\nui = {ui}\n\n[odd.other]\nport = {ui}\n"
    ));
    let refused = output(&mut project.doze(&["generate"]));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    for part in [
        format!("{ui_at} is claimed twice"),
        "claimed by `thing`".to_owned(),
        "claimed by `other`".to_owned(),
    ] {
        assert!(told.contains(&part), "{told}");
    }
}
