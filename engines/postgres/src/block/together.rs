//! What is wrong with keys that are right by themselves. It must not know what they do.

use doze_contract::{
    Endpoint,
    protocol::{Check, Problem},
};
use serde_json::Value;

/// What is said of a key, and not of its value.
const NOTHING: &str = "does nothing without ";

pub(super) fn problems(call: &Check) -> Vec<Problem> {
    let block = &call.block;
    let is_on = |key: &str| block.get(key) == Some(&Value::Bool(true));
    let is_set = |key: &str| block.contains_key(key);
    let mut problems = Vec::new();
    let mut wrong = |at: &str, message: &str, hint: &str| {
        problems.push(Problem {
            at: vec![at.to_owned()],
            key: message.starts_with(NOTHING),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        });
    };
    if is_on("durable") && block.get("fsync") == Some(&Value::Bool(false)) {
        let hint = "leave one of them out";
        wrong("fsync", "cannot be off where `durable` is on", hint);
    }
    for key in ["tls_required", "tls_certificate", "tls_key", "tls_ca"] {
        if is_set(key) && !is_on("tls") && block.get(key) != Some(&Value::Bool(false)) {
            wrong(key, &format!("{NOTHING}`tls`"), "write `tls = true`");
        }
    }
    for (one, other) in [
        ("tls_certificate", "tls_key"),
        ("tls_key", "tls_certificate"),
        ("tls_ca", "tls_certificate"),
    ] {
        if is_set(one) && !is_set(other) {
            let message = format!("{NOTHING}`{other}`");
            wrong(one, &message, "write both, or neither of them");
        }
    }
    if is_on("tls") {
        let owner = block.get("owner").and_then(Value::as_str);
        let password = owner.and_then(|owner| block.get("role")?.get(owner)?.get("password"));
        if password.is_none() {
            let hint = match owner {
                Some(owner) => format!("write `password` into the `role` \"{owner}\""),
                None => "write `owner`, and a `password` into the `role` of that name".to_owned(),
            };
            wrong("tls", "needs an `owner` with a password", &hint);
        }
        let is_unix = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unix(_));
        if is_on("tls_required") && call.endpoints.iter().any(is_unix) {
            let message = "keeps everybody from the unix endpoint, where there is no TLS";
            wrong("tls_required", message, "leave one of them out");
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use doze_contract::InstanceName;
    use serde_json::json;

    use super::*;

    /// The keys that are wrong.
    fn wrong(endpoint: &str, block: Value) -> Vec<String> {
        let call = Check {
            instance: InstanceName::new("app").unwrap(),
            version: None,
            block: serde_json::from_value(block).unwrap(),
            endpoints: vec![endpoint.parse().unwrap()],
        };
        let problems = problems(&call).into_iter();
        problems.map(|problem| problem.at.join(".")).collect()
    }

    #[test]
    fn tls_needs_somebody_who_can_log_in() {
        let tcp = "127.0.0.1:5432";
        let role = json!({ "a": { "password": "s3cret" }, "b": {} });
        for (block, expected) in [
            (json!({}), &[][..]),
            (json!({ "tls": false }), &[]),
            (json!({ "tls": true }), &["tls"]),
            (json!({ "tls": true, "owner": "a" }), &["tls"]),
            (json!({ "tls": true, "owner": "b", "role": role }), &["tls"]),
            (json!({ "tls": true, "role": role }), &["tls"]),
            (json!({ "tls": true, "owner": "a", "role": role }), &[]),
        ] {
            assert_eq!(wrong(tcp, block.clone()), expected, "{block}");
        }
    }

    #[test]
    fn keys_that_would_do_nothing_are_told() {
        let tls = |mut more: Value| {
            let all = more.as_object_mut().unwrap();
            all.insert("tls".to_owned(), json!(true));
            all.insert("owner".to_owned(), json!("a"));
            all.insert("role".to_owned(), json!({ "a": { "password": "p" } }));
            more
        };
        let tcp = "127.0.0.1:5432";
        assert_eq!(
            wrong(tcp, json!({ "tls_required": true })),
            ["tls_required"]
        );
        assert_eq!(wrong(tcp, json!({ "tls_required": false })), [""; 0]);
        assert_eq!(wrong(tcp, tls(json!({ "tls_required": true }))), [""; 0]);
        assert_eq!(wrong(tcp, tls(json!({ "tls_key": "k" }))), ["tls_key"]);
        assert_eq!(wrong(tcp, tls(json!({ "tls_ca": "a" }))), ["tls_ca"]);
        let both = json!({ "tls_key": "k", "tls_certificate": "c" });
        assert_eq!(wrong(tcp, tls(both)), [""; 0]);
        let unix = "unix:/run/.s.PGSQL.5432";
        assert_eq!(wrong(unix, tls(json!({}))), [""; 0]);
        assert_eq!(
            wrong(unix, tls(json!({ "tls_required": true }))),
            ["tls_required"]
        );
    }

    #[test]
    fn what_is_durable_is_written_to_the_disk() {
        let tcp = "127.0.0.1:5432";
        assert_eq!(
            wrong(tcp, json!({ "durable": true, "fsync": false })),
            ["fsync"]
        );
        assert_eq!(
            wrong(tcp, json!({ "durable": true, "fsync": true })),
            [""; 0]
        );
        assert_eq!(wrong(tcp, json!({ "fsync": false })), [""; 0]);
    }
}
