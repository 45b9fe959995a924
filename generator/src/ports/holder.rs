//! Who listens on a TCP address, by proc(5).

use std::{fs, net::SocketAddr};

/// The process that listens on a TCP address, found by the socket's inode in proc(5). Only the
/// processes of the same user can be looked into.
pub(super) fn of(address: SocketAddr) -> Option<String> {
    let inode = listening_inode(address)?;
    let link = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.flatten();
    for process in pids.filter(|entry| entry.file_name().as_encoded_bytes().first() <= Some(&b'9'))
    {
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = |fd: fs::DirEntry| {
            fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == link.as_str())
        };
        if fds.flatten().any(holds) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let pid = process.file_name();
            return Some(format!("{} (pid {})", command.trim_end(), pid.display()));
        }
    }
    Some("a process of another user".into())
}

/// The inode of the socket that listens on the address or on its wildcard.
fn listening_inode(address: SocketAddr) -> Option<String> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let text: String = tables.iter().flat_map(fs::read_to_string).collect();
    let suffix = format!(":{:04X}", address.port());
    text.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        (local.ends_with(&suffix) && state == LISTEN).then(|| inode.to_owned())
    })
}
