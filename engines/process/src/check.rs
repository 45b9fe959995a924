//! What is wrong with a block: with each key by itself, and with several together. It must not know
//! what a plan says.

use doze_contract::protocol::{Check, Checked, Problem};
use doze_driver::block;
use serde_json::Value;

use crate::block::{KEYS, PROBES};

pub(crate) fn check(call: &Check) -> Checked {
    let mut checked = block::check(KEYS, &call.block);
    checked.problems.extend(together(call));
    let policy = checked.block.pointer("/restart/policy");
    if policy.is_some_and(|policy| policy == "no")
        && let Some(max_retries) = checked.block.pointer_mut("/restart/max_retries")
    {
        *max_retries = Value::from(0);
    }
    checked
}

/// What no key is wrong with alone. A value of a wrong type has been told already.
fn together(call: &Check) -> Vec<Problem> {
    let mut problems = Vec::new();
    let key = |name: &str| call.block.get(name);
    let is_on = |name: &str| key(name) == Some(&Value::Bool(true));
    let has_address = !call.endpoints.is_empty();
    let mut tell = |at: &[&str], key: bool, message: &str, hint: &str| {
        problems.push(Problem {
            at: at.iter().map(ToString::to_string).collect(),
            key,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        });
    };
    if let Some(Value::Object(health)) = key("health") {
        let probes = PROBES.iter().filter(|probe| health.contains_key(**probe));
        let names = PROBES.join(", ");
        match probes.count() {
            0 => tell(
                &["health"],
                false,
                "has no probe",
                &format!("give it one of {names}"),
            ),
            1 => {}
            _ => tell(
                &["health"],
                false,
                "has more than one probe",
                &format!("leave one of {names}"),
            ),
        }
        let http = health.get("http").and_then(Value::as_str);
        if http.is_some_and(|http| http.starts_with('/')) && !has_address {
            tell(
                &["health", "http"],
                false,
                "is a path, and there is no port for it",
                "add `port`, or write the whole URL",
            );
        }
    }
    if is_on("lazy") && !has_address {
        tell(
            &["lazy"],
            false,
            "needs an address whose first client starts it",
            "add `port`",
        );
    }
    if is_on("listen_fds") && !is_on("lazy") {
        tell(
            &["listen_fds"],
            false,
            "is for a lazy process",
            "add `lazy = true`; any other opens its port itself",
        );
    }
    if is_on("lazy") && key("restart").is_some() {
        tell(
            &["restart"],
            false,
            "is for a process that runs while the project is up",
            "take it out: the next client starts a lazy one again",
        );
    }
    if has_address && key("env").is_some_and(|env| env.get("PORT").is_some()) {
        tell(
            &["env", "PORT"],
            true,
            "is set by doze, from the address of the instance",
            "take it out",
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use doze_contract::InstanceName;
    use serde_json::json;

    use super::*;

    fn checked(mut block: Value, port: Option<u16>) -> Checked {
        let keys = block.as_object_mut().unwrap();
        keys.entry("command").or_insert_with(|| json!("true"));
        let endpoint = |port: u16| format!("127.0.0.1:{port}").parse().unwrap();
        check(&Check {
            instance: InstanceName::new("web").unwrap(),
            version: None,
            block: serde_json::from_value(block).unwrap(),
            endpoints: port.map(endpoint).into_iter().collect(),
        })
    }

    /// The places of the problems.
    fn wrong(block: Value, port: Option<u16>) -> Vec<String> {
        let problems = checked(block, port).problems.into_iter();
        problems.map(|problem| problem.at.join(".")).collect()
    }

    #[test]
    fn a_command_is_all_it_takes() {
        assert_eq!(wrong(json!({}), None), [""; 0]);
        for blank in ["", "  \n"] {
            assert_eq!(wrong(json!({ "command": blank }), None), ["command"]);
        }
        let none = check(&Check {
            instance: InstanceName::new("web").unwrap(),
            version: None,
            block: serde_json::Map::new(),
            endpoints: Vec::new(),
        });
        assert_eq!(none.problems[0].at, ["command"]);
        assert_eq!(none.problems[0].message, "is missing");
    }

    #[test]
    fn a_health_check_has_exactly_one_probe() {
        assert_eq!(wrong(json!({ "health": {} }), None), ["health"]);
        assert_eq!(wrong(json!({ "health": { "tcp": 1 } }), None), [""; 0]);
        let two = json!({ "health": { "tcp": "127.0.0.1:1", "exec": "true" } });
        assert_eq!(wrong(two, None), ["health"]);
    }

    #[test]
    fn a_path_needs_a_port() {
        let path = json!({ "health": { "http": "/" } });
        assert_eq!(wrong(path.clone(), None), ["health.http"]);
        assert_eq!(wrong(path, Some(1)), [""; 0]);
        let url = json!({ "health": { "http": "http://localhost:1/" } });
        assert_eq!(wrong(url, None), [""; 0]);
    }

    #[test]
    fn what_fits_only_one_kind_of_process_is_told() {
        assert_eq!(wrong(json!({ "lazy": true }), None), ["lazy"]);
        assert_eq!(wrong(json!({ "lazy": true }), Some(1)), [""; 0]);
        let fds = json!({ "listen_fds": true });
        assert_eq!(wrong(fds, Some(1)), ["listen_fds"]);
        let lazy = json!({ "lazy": true, "restart": {} });
        assert_eq!(wrong(lazy, Some(1)), ["restart"]);
        let port = json!({ "env": { "PORT": "1" } });
        assert_eq!(wrong(port.clone(), Some(1)), ["env.PORT"]);
        assert_eq!(wrong(port, None), [""; 0]);
    }

    #[test]
    fn a_wrong_value_is_told_at_its_key() {
        for (block, at) in [
            (json!({ "health": { "log_line": "(" } }), "health.log_line"),
            (json!({ "health": { "tcp": 0 } }), "health.tcp"),
            (json!({ "health": { "tcp": "1" } }), "health.tcp"),
            (
                json!({ "health": { "exec": "true", "interval": "2" } }),
                "health.interval",
            ),
            (
                json!({ "restart": { "policy": "never" } }),
                "restart.policy",
            ),
            (json!({ "restart": { "backoff": "x" } }), "restart.backoff"),
            (json!({ "stop": { "signal": "SIGKILL" } }), "stop.signal"),
            (json!({ "env": { "A=B": "x" } }), "env.A=B"),
            (json!({ "env_file": ["a", ""] }), "env_file.1"),
            (json!({ "hooks": { "pre_start": "" } }), "hooks.pre_start"),
            (json!({ "cwd": "" }), "cwd"),
        ] {
            assert_eq!(wrong(block.clone(), None), [at], "{block}");
        }
    }

    #[test]
    fn a_policy_of_no_leaves_no_retries() {
        let block = checked(
            json!({ "restart": { "policy": "no", "max_retries": 9 } }),
            None,
        )
        .block;
        assert_eq!(block["restart"]["max_retries"], 0);
    }
}
