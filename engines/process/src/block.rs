//! The keys of a `[process.NAME]` block. It must not know what becomes of them.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use doze_contract::{
    Endpoint, duration,
    plan::{RestartPolicy, Signal},
};
use doze_driver::block::{Key, Kind, any_but_nul};
use regex_lite::Regex;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

const POLICY: &str = "on_failure";
const BACKOFF: &str = "1s";
const MAX_RETRIES: u32 = 5;
const SIGNAL: &str = "SIGTERM";
const STOP: &str = "10s";

/// The keys.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "command",
        kind: Kind::Needed {
            example: "exec sleep 3600",
            rule: command,
        },
        doc: "What /bin/sh runs.",
    },
    Key {
        name: "cwd",
        kind: Kind::Text {
            default: None,
            rule: path,
        },
        doc: "The folder that it runs in, from that of the file; without it that folder itself.",
    },
    Key {
        name: "env",
        kind: Kind::Settings {
            owned: &[],
            name: variable,
            value: any_but_nul,
        },
        doc: "Variables of its environment, above all others.",
    },
    Key {
        name: "env_file",
        kind: Kind::OneOrMany { rule: path },
        doc: "Files of NAME=value lines, read at every start; a later one stands above an earlier \
              one.",
    },
    Key {
        name: "hooks",
        kind: Kind::Table { keys: HOOKS },
        doc: "Commands around its life, run by /bin/sh in its folder and environment.",
    },
    Key {
        name: "health",
        kind: Kind::Table { keys: HEALTH },
        doc: "How to see that it is ready. Without it: it accepts connections at its port or, \
              without one, has lived for 750ms.",
    },
    Key {
        name: "restart",
        kind: Kind::Table { keys: RESTART },
        doc: "What becomes of it when it ends by itself.",
    },
    Key {
        name: "stop",
        kind: Kind::Table { keys: STOPPING },
        doc: "How it is stopped, with all of its process group.",
    },
    Key {
        name: "lazy",
        kind: Kind::Flag { default: false },
        doc: "`true` runs it only while somebody is connected to its address, as an engine.",
    },
    Key {
        name: "listen_fds",
        kind: Kind::Flag { default: false },
        doc: "`true` hands a lazy one a socket that listens already (sd_listen_fds(3)) instead of \
              a `PORT`.",
    },
];

const HOOKS: &[Key] = &[
    Key {
        name: "pre_start",
        kind: Kind::OneOrMany { rule: command },
        doc: "Before it is started. One that fails keeps it from that.",
    },
    Key {
        name: "post_start",
        kind: Kind::OneOrMany { rule: command },
        doc: "When it is ready. One that fails stops it.",
    },
    Key {
        name: "pre_stop",
        kind: Kind::OneOrMany { rule: command },
        doc: "Before it is stopped. One that fails is logged.",
    },
];

const HEALTH: &[Key] = &[
    Key {
        name: "http",
        kind: Kind::Text {
            default: None,
            rule: http,
        },
        doc: "A path at its own port, or a URL on this machine; ready at a status from 200 to 299.",
    },
    Key {
        name: "tcp",
        kind: Kind::NumberOrText {
            min: 1,
            max: 65535,
            rule: address,
        },
        doc: "A port on 127.0.0.1, or ADDRESS:PORT; ready when it accepts a connection.",
    },
    Key {
        name: "exec",
        kind: Kind::Text {
            default: None,
            rule: command,
        },
        doc: "What /bin/sh runs in its folder and environment; ready at status 0.",
    },
    Key {
        name: "log_line",
        kind: Kind::Text {
            default: None,
            rule: pattern,
        },
        doc: "A regular expression; ready when a line that it prints matches.",
    },
    Key {
        name: "interval",
        kind: Kind::Text {
            default: Some("2s"),
            rule: span,
        },
        doc: "The longest pause between two tries.",
    },
    Key {
        name: "timeout",
        kind: Kind::Text {
            default: Some("3s"),
            rule: span,
        },
        doc: "How long one try may take.",
    },
    Key {
        name: "retries",
        kind: Kind::Number {
            default: 30,
            min: 1,
            max: 100_000,
        },
        doc: "How many tries, at the longest pause, before it counts as failed.",
    },
];

const RESTART: &[Key] = &[
    Key {
        name: "policy",
        kind: Kind::Choice {
            default: Some(POLICY),
            of: &["no", "on_failure", "always"],
        },
        doc: "When it is started again: never, if it failed, however it ended.",
    },
    Key {
        name: "backoff",
        kind: Kind::Text {
            default: Some(BACKOFF),
            rule: span,
        },
        doc: "How long to wait before that.",
    },
    Key {
        name: "max_retries",
        kind: Kind::Number {
            default: MAX_RETRIES as i64,
            min: 0,
            max: 1_000_000,
        },
        doc: "How many times in a row; one that ran for a minute begins to count anew.",
    },
];

const STOPPING: &[Key] = &[
    Key {
        name: "signal",
        kind: Kind::Choice {
            default: Some(SIGNAL),
            of: &["SIGTERM", "SIGINT", "SIGQUIT"],
        },
        doc: "The signal that asks it to end.",
    },
    Key {
        name: "timeout",
        kind: Kind::Text {
            default: Some(STOP),
            rule: span,
        },
        doc: "How long it may take before it gets SIGKILL.",
    },
];

/// The names of the probes.
pub(crate) const PROBES: [&str; 4] = ["http", "tcp", "exec", "log_line"];

/// A normalised block.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) command: String,
    pub(crate) cwd: Option<String>,
    #[serde(deserialize_with = "texts")]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) env_file: Vec<String>,
    #[serde(default)]
    pub(crate) hooks: Hooks,
    pub(crate) health: Option<Health>,
    #[serde(default)]
    pub(crate) restart: Restart,
    #[serde(default)]
    pub(crate) stop: Stop,
    pub(crate) lazy: bool,
    pub(crate) listen_fds: bool,
}

/// Commands around its life.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hooks {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) pre_start: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) post_start: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) pre_stop: Vec<String>,
}

/// How to see that it is ready: by one of the first four.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    #[serde(default, deserialize_with = "http_at")]
    pub(crate) http: Option<Http>,
    #[serde(default, deserialize_with = "tcp_at")]
    pub(crate) tcp: Option<Endpoint>,
    pub(crate) exec: Option<String>,
    pub(crate) log_line: Option<String>,
    #[serde(deserialize_with = "spanned")]
    pub(crate) interval: Duration,
    #[serde(deserialize_with = "spanned")]
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
}

/// Where an HTTP request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    /// Nothing means its own port.
    pub(crate) at: Option<Endpoint>,
    pub(crate) path: String,
}

/// What becomes of it when it ends by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    pub(crate) policy: RestartPolicy,
    #[serde(deserialize_with = "spanned")]
    pub(crate) backoff: Duration,
    pub(crate) max_retries: u32,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::OnFailure,
            backoff: duration::parse(BACKOFF).unwrap_or_default(),
            max_retries: MAX_RETRIES,
        }
    }
}

/// How it is stopped.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    #[serde(deserialize_with = "spanned")]
    pub(crate) timeout: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            signal: Signal::Term,
            timeout: duration::parse(STOP).unwrap_or_default(),
        }
    }
}

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(from)?;
    let text = |(name, value)| match value {
        Value::String(text) => (name, text),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => (name, other.to_string()),
    };
    Ok(values.into_iter().map(text).collect())
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Texts::deserialize(from)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

fn spanned<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    duration::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn http_at<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Http>, D::Error> {
    let text = String::deserialize(from)?;
    parse_http(&text).map(Some).map_err(D::Error::custom)
}

fn tcp_at<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Endpoint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Place {
        Port(u16),
        Address(String),
    }
    let address = match Place::deserialize(from)? {
        Place::Port(port) => ([127, 0, 0, 1], port).into(),
        Place::Address(text) => parse_address(&text).map_err(D::Error::custom)?,
    };
    Endpoint::tcp(address).map(Some).map_err(D::Error::custom)
}

/// A path, or `http://` with an address of this machine.
fn parse_http(text: &str) -> Result<Http, String> {
    let plain = |path: &str| path.chars().all(|c| c.is_ascii_graphic());
    if text.starts_with('/') {
        return if plain(text) {
            Ok(Http {
                at: None,
                path: text.to_owned(),
            })
        } else {
            Err("has characters that a path of HTTP cannot have; write them as %20".to_owned())
        };
    }
    let Some(rest) = text.strip_prefix("http://") else {
        return Err("is neither a path such as \"/health\" nor an http:// URL".to_owned());
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match host.strip_prefix("localhost") {
        Some(port) => format!("127.0.0.1{port}"),
        None => host.to_owned(),
    };
    let with_port = if host.ends_with(']') || !host.contains(':') {
        format!("{host}:80")
    } else {
        host
    };
    let address: SocketAddr = with_port
        .parse()
        .map_err(|_| "has no address of this machine after http://".to_owned())?;
    if !address.ip().is_loopback() || address.port() == 0 || !plain(path) {
        return Err("has no address of this machine after http://".to_owned());
    }
    Ok(Http {
        at: Some(Endpoint::Tcp(address)),
        path: if path.is_empty() { "/" } else { path }.to_owned(),
    })
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>().ok();
    let address = address.filter(|address| address.port() != 0);
    address.ok_or_else(|| "is neither a port nor an address such as 127.0.0.1:8080".to_owned())
}

fn http(text: &str) -> Result<(), String> {
    parse_http(text).map(drop)
}

fn address(text: &str) -> Result<(), String> {
    parse_address(text).map(drop)
}

fn command(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is blank".to_owned());
    }
    any_but_nul(text)
}

fn path(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty; leave the key out".to_owned());
    }
    any_but_nul(text)
}

fn pattern(text: &str) -> Result<(), String> {
    match Regex::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("is no regular expression: {error}")),
    }
}

fn span(text: &str) -> Result<(), String> {
    match duration::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("is no duration: {error}")),
    }
}

fn variable(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err("is not the name of a variable".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_by_http_stays_on_this_machine() {
        let at =
            |text: &str| parse_http(text).map(|http| (http.at.map(|at| at.to_string()), http.path));
        let there = |place: &str, path: &str| Ok((Some(place.to_owned()), path.to_owned()));
        assert_eq!(at("/health?x=1"), Ok((None, "/health?x=1".to_owned())));
        assert_eq!(at("http://localhost:81/a"), there("127.0.0.1:81", "/a"));
        assert_eq!(at("http://127.0.0.2"), there("127.0.0.2:80", "/"));
        assert_eq!(at("http://[::1]:81"), there("[::1]:81", "/"));
        assert_eq!(at("http://[::1]/"), there("[::1]:80", "/"));
        for wrong in [
            "",
            "health",
            "https://localhost/",
            "http://",
            "http://192.0.2.1/",
            "http://db:80/",
            "http://localhost:0/",
            "http://localhost:x/",
            "/a b",
            "/ü",
            "http://127.0.0.1:80/\n",
        ] {
            assert!(at(wrong).is_err(), "{wrong:?}");
        }
    }
}
