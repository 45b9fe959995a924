//! The `ports` of a service, in the short and in the long form.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{
    reader::{Entry, Reader},
    yaml::Value,
};
use crate::import::Note;

/// One port of a container that can be reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) line: u64,
    /// The address on the host, if only that one is served.
    pub(super) ip: Option<IpAddr>,
    /// The port on the host, if it is said.
    pub(super) published: Option<u16>,
    /// The port in the container.
    pub(super) target: u16,
}

/// Reads all of them; what is none that an engine could have is noted.
pub(super) fn read(entry: Entry, notes: &mut Vec<Note>) -> Vec<Mapping> {
    let items = match entry.node.value {
        Value::List(items) => items,
        Value::Null | Value::Text(_) | Value::Map(_) => {
            notes.push(entry.note("is no list"));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for item in items {
        let at = entry.at.clone();
        let line = item.line;
        let read = match &item.value {
            Value::Text(text) => short(text, line),
            Value::Map(_) => long(
                Entry {
                    at: at.clone(),
                    line,
                    node: item,
                },
                notes,
            ),
            Value::Null | Value::List(_) => Err("is neither a text nor a table"),
        };
        match read {
            Ok(mut mappings) => found.append(&mut mappings),
            Err(why) => notes.push(Note::new(line, at, why)),
        }
    }
    found
}

const UDP: &str = "no engine here speaks UDP";
const NO_PORT: &str = "is no port that can be understood";

/// `[IP:][PUBLISHED:]TARGET[/PROTOCOL]`, with ranges.
fn short(text: &str, line: u64) -> Result<Vec<Mapping>, &'static str> {
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if protocol != "tcp" {
        return Err(UDP);
    }
    let (rest, target) = text.rsplit_once(':').unwrap_or(("", text));
    let (ip, published) = rest.rsplit_once(':').unwrap_or(("", rest));
    let ip = match ip.trim_start_matches('[').trim_end_matches(']') {
        "" => None,
        ip => Some(ip.parse().map_err(|_| NO_PORT)?),
    };
    let (first, last) = range(target).ok_or(NO_PORT)?;
    let published = match published {
        "" => None,
        published => Some(range(published).ok_or(NO_PORT)?),
    };
    let mapping = |(at, target): (u16, u16)| {
        // More ports outside than inside: compose takes one that is free.
        let published = published.map(|(from, to)| from.saturating_add(at).min(to));
        Mapping {
            line,
            ip,
            published,
            target,
        }
    };
    Ok((0..).zip(first..=last).map(mapping).collect())
}

fn long(entry: Entry, notes: &mut Vec<Note>) -> Result<Vec<Mapping>, &'static str> {
    let line = entry.line;
    let mut keys = entry.reader(notes);
    let mut text = |key: &str, keys: &mut Reader| keys.take(key)?.text(notes);
    let target = text("target", &mut keys);
    let published = text("published", &mut keys);
    let ip = text("host_ip", &mut keys);
    let protocol = text("protocol", &mut keys);
    keys.finish(notes, |_| "says nothing to doze".to_owned());
    if protocol.is_some_and(|protocol| protocol != "tcp") {
        return Err(UDP);
    }
    let target = target.ok_or(NO_PORT)?;
    let whole = match (ip, published) {
        (Some(ip), published) => format!("[{ip}]:{}:{target}", published.unwrap_or_default()),
        (None, Some(published)) => format!("{published}:{target}"),
        (None, None) => target,
    };
    short(&whole, line)
}

/// `5432` or `5432-5440`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

impl Mapping {
    /// Where doze listens for it on this port, and whether that is less than it was.
    pub(super) fn address(&self, port: u16) -> (SocketAddr, bool) {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        match self.ip {
            Some(ip) if !ip.is_unspecified() => (SocketAddr::new(ip, port), false),
            Some(_) | None => (SocketAddr::new(local, port), true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::compose::yaml::Node;

    fn list(texts: &[&str]) -> Entry {
        let item = |text: &&str| Node {
            line: 1,
            value: Value::Text((*text).to_owned()),
        };
        Entry {
            at: "ports".into(),
            line: 1,
            node: Node {
                line: 1,
                value: Value::List(texts.iter().map(item).collect()),
            },
        }
    }

    fn shown(text: &str) -> Vec<String> {
        let mut notes = Vec::new();
        let found = read(list(&[text]), &mut notes);
        let show = |found: Mapping| {
            let ip = found.ip.map_or("*".into(), |ip| ip.to_string());
            let published = found.published.map_or("?".into(), |port| port.to_string());
            format!("{ip} {published} {}", found.target)
        };
        let notes = notes.into_iter().map(|note| note.why);
        found.into_iter().map(show).chain(notes).collect()
    }

    #[test]
    fn the_short_form_is_read() {
        assert_eq!(shown("5432"), ["* ? 5432"]);
        assert_eq!(shown("15432:5432"), ["* 15432 5432"]);
        assert_eq!(shown("127.0.0.1:15432:5432/tcp"), ["127.0.0.1 15432 5432"]);
        assert_eq!(shown("127.0.0.1::5432"), ["127.0.0.1 ? 5432"]);
        assert_eq!(shown("[::1]:1:5432"), ["::1 1 5432"]);
        assert_eq!(shown(":5432"), ["* ? 5432"]);
        assert_eq!(shown("7000-7001:8000-8001"), ["* 7000 8000", "* 7001 8001"]);
        assert_eq!(shown("7000-7005:5432"), ["* 7000 5432"]);
        assert_eq!(shown("53:53/udp"), [UDP]);
        for wrong in ["", "x", "0", "70000:1", "1:2:3:4:5", "5-4", "a.b:1:2"] {
            assert_eq!(shown(wrong), [NO_PORT], "{wrong}");
        }
    }
}
