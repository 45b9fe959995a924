//! How a client is told that it cannot be served.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::{UnixListener, UnixStream},
};

use doze_driver::{
    Refusal,
    conformance::{Refusing, World, refused},
};
use serde_json::json;

use crate::world::{DRIVER, Outcome, client, engines, plan};

fn refusal() -> Refusal {
    Refusal {
        reason: "cannot start:\r\n\tno space\nleft \u{1b}[1m ü".to_owned(),
        hint: "doze logs app".to_owned(),
    }
}

const TOLD: &str = "doze: cannot start: no space left [1m ü; doze logs app shows more";

#[test]
fn a_client_shows_why_it_is_refused() -> Outcome {
    for toolchain in engines() {
        let world = World::new(DRIVER, &toolchain)?;
        let plan = plan(&world, &json!({}))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let accept = || {
            let (socket, _) = listener.accept()?;
            // As an activator has it.
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        let mut command = client(&plan);
        command
            .args(["--protocol=tcp", "--host=127.0.0.1"])
            .arg(format!("--port={port}"));
        let output = refused(DRIVER.into(), &refusal(), accept, command)?;
        let told = String::from_utf8(output.stderr)?;
        assert!(
            told.contains("ERROR 1040 (08004)"),
            "{}: {told}",
            toolchain.version
        );
        assert!(told.contains(TOLD), "{}: {told}", toolchain.version);

        let path = world.path("refused.sock");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let accept = || Ok(listener.accept()?.0.into());
        let mut command = client(&plan);
        command.arg(format!("--socket={path}"));
        let output = refused(DRIVER.into(), &refusal(), accept, command)?;
        let told = String::from_utf8(output.stderr)?;
        assert!(told.contains(TOLD), "{}: {told}", toolchain.version);
    }
    Ok(())
}

#[test]
fn a_client_is_told_before_it_says_anything() -> Outcome {
    for says in [&b""[..], b"whatever", &vec![0xff; 100_000]] {
        let (mut ours, theirs) = UnixStream::pair()?;
        let driver = Refusing::start(DRIVER.into(), theirs, &refusal())?;
        let mut told = Vec::new();
        let mut writer = ours.try_clone()?;
        // It may be gone before it has heard all of this.
        drop(writer.write_all(says));
        ours.read_to_end(&mut told)?;
        assert!(told.ends_with(TOLD.as_bytes()), "{}", told.escape_ascii());
        ours.shutdown(std::net::Shutdown::Both)?;
        assert!(driver.end()?.success());
    }
    Ok(())
}
