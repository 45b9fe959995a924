//! The launchd for Linux that tests of launchd stand on: that it keeps to what launchd.plist(5),
//! launchctl(1) and launch(3) say.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod activation;
mod ending;
mod validate;
mod words;

use std::fmt::Write as _;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use doze_tests::project::output;
use doze_tests::{World, needed};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(20);

const LABEL: &str = "doze.test.agent";

/// A world with launchd, or `None` after saying what this machine lacks.
fn world() -> Option<World> {
    let python = Path::new("/usr/bin/python3");
    needed("/usr/bin/python3", python.is_file().then_some(()))?;
    World::with_launchd()
}

/// Writes an agent that runs these words and has these keys besides, in XML; it is not loaded yet.
fn write(world: &World, words: &[&str], keys: &str) -> PathBuf {
    let words: String = words.iter().fold(String::new(), |mut text, word| {
        write!(text, "<string>{word}</string>").unwrap();
        text
    });
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\
         <key>Label</key><string>{LABEL}</string>\
         <key>ProgramArguments</key><array>{words}</array>{keys}</dict></plist>\n"
    );
    world.write(world.agents().join(format!("{LABEL}.plist")), &text)
}

/// As [`write()`], for the probe, which tells what it got in `said`, with the least throttle.
fn write_probe(world: &World, words: &[&str], keys: &str) -> PathBuf {
    let probe = world.probe();
    let mut line = vec![probe.to_str().unwrap()];
    line.extend(words);
    let said = world.dir().join("said");
    let keys = format!(
        "<key>ThrottleInterval</key><integer>1</integer>\
         <key>StandardOutPath</key><string>{}</string>{keys}",
        said.display()
    );
    write(world, &line, &keys)
}

/// The key `Sockets`, whose one name is `clients`, for a port of 127.0.0.1.
fn clients(port: u16) -> String {
    format!(
        "<key>Sockets</key><dict><key>clients</key><dict>\
         <key>SockNodeName</key><string>127.0.0.1</string>\
         <key>SockServiceName</key><string>{port}</string></dict></dict>"
    )
}

/// The key `Sockets`, whose one name is `wake`, for a path.
fn wake(path: &Path) -> String {
    format!(
        "<key>Sockets</key><dict><key>wake</key><array><dict>\
         <key>SockPathName</key><string>{}</string>\
         <key>SockPathMode</key><integer>384</integer></dict></array></dict>",
        path.display()
    )
}

fn launchctl(world: &World, words: &[&str]) -> Output {
    output(world.command("launchctl").args(words))
}

/// The exit code of a launchctl and what it complains of.
fn complaint(world: &World, words: &[&str]) -> (i32, String) {
    let output = launchctl(world, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

#[track_caller]
fn bootstrap(world: &World, plist: &Path) {
    let domain = world.launchd_domain();
    let done = complaint(world, &["bootstrap", &domain, plist.to_str().unwrap()]);
    assert_eq!(done, (0, String::new()));
}

fn target(world: &World) -> String {
    format!("{}/{LABEL}", world.launchd_domain())
}

/// What the agent tells a client.
fn ask(mut client: impl Read) -> io::Result<String> {
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask_tcp(port: u16) -> i64 {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    ask(client).unwrap().trim().parse().unwrap()
}

fn number(event: &Value, name: &str) -> i64 {
    event
        .pointer(&format!("/{name}"))
        .unwrap()
        .as_i64()
        .unwrap()
}

/// What launchd did about the agent, in order.
fn story(world: &World) -> Vec<String> {
    let events = world.launchd_events();
    let about = events
        .iter()
        .filter(|event| event.pointer("/label").is_some_and(|label| label == LABEL));
    let name = |event: &Value| {
        event
            .pointer("/event")
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    about.map(name).collect()
}
