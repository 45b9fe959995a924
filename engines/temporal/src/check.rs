//! What is right about a block as a whole. It must not know what a plan makes of it.

use doze_contract::{
    Endpoint,
    protocol::{Check, Checked, Problem},
};
use doze_driver::block;
use serde_json::Value;

use crate::block::KEYS;

const UI_PORT: &str = "ui_port";

pub(crate) fn check(call: &Check) -> Checked {
    let mut checked = block::check(KEYS, &call.block);
    let ui_port = checked.block.get(UI_PORT).and_then(Value::as_u64);
    let is_taken = call.endpoints.iter().any(|endpoint| match endpoint {
        Endpoint::Tcp(address) => Some(u64::from(address.port())) == ui_port,
        Endpoint::Unix(_) => false,
    });
    if is_taken {
        checked.problems.push(Problem {
            at: vec![UI_PORT.to_owned()],
            key: false,
            message: "is the port that workers connect to".to_owned(),
            hint: Some("give the page a port of its own, such as 8233".to_owned()),
        });
    }
    checked
}

#[cfg(test)]
mod tests {
    use doze_contract::InstanceName;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_has_a_port_of_its_own() {
        let problems = |ui_port: u16| {
            let block = json!({ UI_PORT: ui_port });
            let call = Check {
                instance: InstanceName::new("workflows").unwrap(),
                version: None,
                block: block.as_object().unwrap().clone(),
                endpoints: vec!["127.0.0.1:7233".parse().unwrap()],
            };
            check(&call).problems
        };
        assert_eq!(problems(8233), []);
        assert_eq!(problems(7233)[0].at, [UI_PORT]);
    }
}
