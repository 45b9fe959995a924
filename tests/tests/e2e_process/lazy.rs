//! Processes that run only while somebody is connected.

use std::io::{Read, Write};
use std::net::TcpStream;

use doze_tests::in_every_mode;
use doze_tests::project::{Mode, Project};

use crate::{BOUND, declare, lines, project};

in_every_mode!(
    a_lazy_process_wakes_for_its_first_client_at_a_port_of_its_own_and_sleeps,
    one_that_takes_sockets_is_handed_one_that_listens,
    a_client_of_one_that_does_not_start_is_told_why,
);

fn a_lazy_process_wakes_for_its_first_client_at_a_port_of_its_own_and_sleeps(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    declare(
        &project,
        &format!(
            "[process.web]\nport = {port}\nlazy = true\n\
             command = 'echo $PORT >> ports; exec python3 -m http.server $PORT --bind 127.0.0.1'\n"
        ),
    );
    project.up();
    assert_eq!(project.running("python3").len(), 0);
    let answer = get(port);
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");
    let ports = lines(&project, "ports", 1);
    assert_ne!(ports, [port.to_string()], "the init system has that one");
    project.wait_asleep();
    assert!(get(port).contains(" 200 OK\r\n"));
    lines(&project, "ports", 2);
}

fn one_that_takes_sockets_is_handed_one_that_listens(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    let script = "import os, socket\nlistener = socket.socket(fileno=3)\n\
                  said = f\"{os.environ['LISTEN_FDS']} {int(os.environ['LISTEN_PID']) == os.getpid()}\"\n\
                  while True:\n    client, _ = listener.accept()\n    if not client.recv(9): continue\n\
                  \x20   client.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n' + said.encode())\n    client.close()\n";
    project.world.write("home/shop/serve.py", script);
    declare(
        &project,
        &format!(
            "[process.web]\nport = {port}\nlazy = true\nlisten_fds = true\n\
             command = 'exec python3 serve.py'\n"
        ),
    );
    project.up();
    let answer = get(port);
    assert!(answer.ends_with("\r\n\r\n1 True"), "{answer}");
    project.wait_asleep();
}

fn a_client_of_one_that_does_not_start_is_told_why(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    let port = project.world.port();
    declare(
        &project,
        &format!("[process.web]\nport = {port}\nlazy = true\ncommand = 'echo lost >&2; exit 7'\n"),
    );
    project.up();
    let answer = get(port);
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    assert!(answer.contains("doze logs web shows more"), "{answer}");
    still_held(&project, port);
}

/// The whole answer to a request.
fn get(port: u16) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the address is held");
    client.set_read_timeout(Some(BOUND)).expect("a bound");
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it is read");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    answer
}

fn still_held(project: &Project, port: u16) {
    assert!(project.accepts(port), "the address is held");
}
