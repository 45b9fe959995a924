//! Who listens on a TCP address, by lsof(8), which every macOS has.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

/// The process that listens on the port of an address. Only those of the same user are told.
pub(super) fn of(address: SocketAddr) -> Option<String> {
    let port = format!("-iTCP:{}", address.port());
    let mut lsof = Command::new("/usr/sbin/lsof");
    // No names for numbers; of each the pid and the command, on a line of its own.
    lsof.args(["-nP", "-a", &port, "-sTCP:LISTEN", "-F", "pc"]);
    let told = lsof.stdin(Stdio::null()).output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout);
    let first = |mark| told.lines().find_map(|line| line.strip_prefix(mark));
    Some(format!("{} (pid {})", first('c')?, first('p')?))
}
