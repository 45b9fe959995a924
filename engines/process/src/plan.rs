//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint,
    plan::{Body, Chosen, Connection, Member, Own, Probe, Readiness, Restart, Start, Stop},
    protocol::PlanCall,
};
use doze_driver::{PlanError, plan};
use serde_json::json;

use crate::{
    MATCH,
    block::{Block, Health},
};

/// The variable that tells where to listen.
const PORT: &str = "PORT";

/// How long one of which nothing is known has to live.
const ALIVE: Duration = Duration::from_millis(750);

/// A command may build the program before it runs it.
const READY_WITHIN: Duration = Duration::from_mins(5);

pub(crate) fn body(call: &PlanCall, driver: &Utf8Path) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let mut tcp = call.endpoints.iter();
    let tcp = tcp.find(|endpoint| matches!(endpoint, Endpoint::Tcp(_)));
    let chosen = block.lazy.then(|| {
        if block.listen_fds {
            Chosen::Socket
        } else {
            Chosen::Port(PORT.to_owned())
        }
    });
    let start = if block.lazy {
        Start::OnDemand
    } else {
        Start::WithProject(Restart {
            policy: block.restart.policy,
            backoff: block.restart.backoff,
            max_retries: block.restart.max_retries,
        })
    };
    Ok(Body {
        provision: plan::provision("process", &json!({}))?,
        converge: None,
        files: Vec::new(),
        upstream: tcp.filter(|_| !block.lazy).cloned(),
        chosen,
        side: Vec::new(),
        takes_sockets: false,
        hello: None,
        connection: Connection {
            variable: None,
            url: url(call.endpoints.first()),
            attributes: BTreeMap::new(),
            client: None,
        },
        start,
        clients_speak_first: block.lazy,
        generates_code: true,
        members: vec![member(call, driver, block, tcp)],
    })
}

fn url(first: Option<&Endpoint>) -> Option<String> {
    match first? {
        Endpoint::Tcp(address) => Some(format!("http://{address}")),
        // There is no URL of HTTP for a unix socket that clients agree on.
        Endpoint::Unix(_) => None,
    }
}

fn member(call: &PlanCall, driver: &Utf8Path, block: Block, tcp: Option<&Endpoint>) -> Member {
    let (ready, ready_within) = ready(&block, driver, !call.endpoints.is_empty());
    let mut env = block.env;
    if let (Some(Endpoint::Tcp(address)), false) = (tcp, block.lazy) {
        env.insert(PORT.to_owned(), address.port().to_string());
    }
    // One that is absolute stays as it is.
    let from_here = |path: String| call.folder.join(path);
    Member {
        name: call.instance.to_string(),
        argv: shell(block.command),
        env,
        own: Some(Own {
            env_files: block.env_file.into_iter().map(from_here).collect(),
            variables: BTreeMap::new(),
            pre_start: shells(block.hooks.pre_start),
            post_start: shells(block.hooks.post_start),
            pre_stop: shells(block.hooks.pre_stop),
        }),
        cwd: cwd(call, block.cwd),
        pid_file: None,
        ready,
        ready_within,
        stop: Stop {
            say: None,
            signal: block.stop.signal,
            within: block.stop.timeout,
        },
    }
}

fn cwd(call: &PlanCall, cwd: Option<String>) -> Utf8PathBuf {
    match cwd {
        Some(cwd) => call.folder.join(cwd),
        None => call.folder.clone(),
    }
}

/// How to see that it is ready, and how long that may take.
fn ready(block: &Block, driver: &Utf8Path, has_address: bool) -> (Readiness, Duration) {
    let Some(health) = &block.health else {
        return if has_address {
            (Readiness::Connect { at: None }, READY_WITHIN)
        } else {
            (Readiness::Alive { lasts: ALIVE }, READY_WITHIN)
        };
    };
    let Health {
        interval,
        timeout,
        retries,
        ..
    } = *health;
    let probe = Probe { interval, timeout };
    let ready = if let Some(http) = &health.http {
        Readiness::Http {
            at: http.at.clone(),
            path: http.path.clone(),
            probe,
        }
    } else if let Some(command) = &health.exec {
        Readiness::Exec {
            argv: shell(command.clone()),
            probe,
        }
    } else if let Some(pattern) = &health.log_line {
        Readiness::Output {
            argv: vec![driver.to_string(), MATCH.to_owned(), pattern.clone()],
        }
    } else {
        Readiness::Connect {
            at: health.tcp.clone(),
        }
    };
    (ready, (interval + timeout).saturating_mul(retries))
}

fn shells(commands: Vec<String>) -> Vec<Vec<String>> {
    commands.into_iter().map(shell).collect()
}

fn shell(command: String) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), command]
}

#[cfg(test)]
mod tests {
    use doze_contract::{
        InstanceName, ProjectName,
        plan::{OpenTo, RestartPolicy, Signal},
    };
    use doze_driver::block;
    use serde_json::Value;

    use super::*;
    use crate::block::KEYS;

    fn planned(mut declared: Value, port: Option<u16>) -> Body {
        let keys = declared.as_object_mut().unwrap();
        keys.entry("command").or_insert_with(|| json!("./serve"));
        let endpoint = |port: u16| format!("127.0.0.1:{port}").parse().unwrap();
        let checked = block::check(KEYS, declared.as_object().unwrap());
        assert_eq!(checked.problems, []);
        let call = PlanCall {
            project: ProjectName::new("shop").unwrap(),
            instance: InstanceName::new("web").unwrap(),
            block: checked.block,
            toolchain: None,
            folder: "/home/ada/shop".into(),
            endpoints: port.map(endpoint).into_iter().collect(),
            open_to: OpenTo::User,
            data: "/data".into(),
            run: "/run".into(),
        };
        body(&call, "/driver".into()).unwrap()
    }

    #[test]
    fn a_minimal_process_runs_in_the_folder_of_its_file_and_is_ready_when_it_lives() {
        let body = planned(json!({}), None);
        let member = &body.members[0];
        assert_eq!(member.argv, ["/bin/sh", "-c", "./serve"]);
        assert_eq!(member.cwd, "/home/ada/shop");
        assert_eq!(member.ready, Readiness::Alive { lasts: ALIVE });
        assert_eq!((body.upstream, body.connection.url), (None, None));
        assert_eq!(body.chosen, None);
    }

    #[test]
    fn one_with_a_port_is_told_it_and_is_ready_when_it_accepts() {
        let body = planned(json!({}), Some(8080));
        assert_eq!(body.members[0].env["PORT"], "8080");
        assert_eq!(body.members[0].ready, Readiness::Connect { at: None });
        assert_eq!(body.upstream, Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(
            body.connection.url.as_deref(),
            Some("http://127.0.0.1:8080")
        );
    }

    #[test]
    fn a_lazy_one_learns_where_to_listen_when_it_is_started() {
        let body = planned(json!({ "lazy": true }), Some(8080));
        assert_eq!((body.upstream, &body.start), (None, &Start::OnDemand));
        assert_eq!(body.chosen, Some(Chosen::Port("PORT".to_owned())));
        assert_eq!(body.members[0].env.get("PORT"), None);
        assert!(body.clients_speak_first);
        let body = planned(json!({ "lazy": true, "listen_fds": true }), Some(8080));
        assert_eq!(body.chosen, Some(Chosen::Socket));
    }

    #[test]
    fn without_a_word_on_it_a_process_that_fails_is_started_again_five_times() {
        let restart = |policy, backoff, max_retries| {
            Start::WithProject(Restart {
                policy,
                backoff: Duration::from_secs(backoff),
                max_retries,
            })
        };
        let usual = restart(RestartPolicy::OnFailure, 1, 5);
        assert_eq!(planned(json!({}), None).start, usual);
        assert_eq!(planned(json!({ "restart": {} }), None).start, usual);
        let declared = json!({ "policy": "always", "backoff": "2s", "max_retries": 1 });
        assert_eq!(
            planned(json!({ "restart": declared }), None).start,
            restart(RestartPolicy::Always, 2, 1)
        );
    }

    #[test]
    fn paths_begin_at_the_folder_of_the_file() {
        let body = planned(
            json!({ "cwd": "web", "env_file": [".env", "/etc/env"], "env": { "N": 1, "B": true } }),
            None,
        );
        let member = &body.members[0];
        assert_eq!(member.cwd, "/home/ada/shop/web");
        let own = member.own.as_ref().unwrap();
        assert_eq!(own.env_files, ["/home/ada/shop/.env", "/etc/env"]);
        assert_eq!((&*member.env["N"], &*member.env["B"]), ("1", "true"));
    }

    #[test]
    fn each_probe_has_its_kind_and_its_time() {
        let ready = |health: Value| {
            let body = planned(json!({ "health": health }), Some(8080));
            let member = body.members[0].clone();
            (member.ready, member.ready_within.as_secs())
        };
        let probe = Probe {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
        };
        let http = Readiness::Http {
            at: None,
            path: "/up".to_owned(),
            probe,
        };
        let health = json!({ "http": "/up", "interval": "1s", "retries": 2 });
        assert_eq!(ready(health), (http, 8));
        let tcp = Readiness::Connect {
            at: Some("127.0.0.1:9".parse().unwrap()),
        };
        assert_eq!(ready(json!({ "tcp": 9 })), (tcp.clone(), 150));
        assert_eq!(ready(json!({ "tcp": "127.0.0.1:9" })).0, tcp);
        let exec = Readiness::Exec {
            argv: shell("test -e x".to_owned()),
            probe,
        };
        assert_eq!(
            ready(json!({ "exec": "test -e x", "interval": "1s" })).0,
            exec
        );
        let line = Readiness::Output {
            argv: ["/driver", "match", "^ready"].map(String::from).to_vec(),
        };
        assert_eq!(ready(json!({ "log_line": "^ready" })).0, line);
    }

    #[test]
    fn hooks_are_run_by_the_shell_and_a_stop_is_as_declared() {
        let body = planned(
            json!({
                "hooks": { "pre_start": "a", "post_start": ["b", "c"] },
                "stop": { "signal": "SIGINT", "timeout": "3s" },
            }),
            None,
        );
        let member = &body.members[0];
        let own = member.own.as_ref().unwrap();
        assert_eq!(own.pre_start, [shell("a".to_owned())]);
        assert_eq!(own.post_start.len(), 2);
        assert_eq!(own.pre_stop.len(), 0);
        assert_eq!(member.stop.signal, Signal::Int);
        assert_eq!(member.stop.within, Duration::from_secs(3));
    }
}
