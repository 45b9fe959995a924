//! Two projects that show all that units can say.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, EngineName, InstanceName, ProjectName,
    plan::{InitSocket, Restart, RestartPolicy, Signal, Start},
};
use doze_units::{InstanceUnits, Limits, Profile, ProjectUnits, UnitFile};

/// A project such as most are. Nothing of it has to exist.
pub(crate) fn plain() -> Vec<UnitFile> {
    let (project, app, cache) = (project("shop"), instance("app"), instance("cache"));
    let (web, worker) = (instance("web"), instance("worker"));
    let (once, site) = (instance("once"), instance("site"));
    let units = ProjectUnits {
        project: &project,
        source: "/home/ada/shop/doze.toml".into(),
    };
    let mut files = vec![
        units
            .target(
                &[&app, &cache, &web, &worker, &once, &site],
                &[&web, &worker, &once],
            )
            .unwrap(),
        units.slice().unwrap(),
    ];
    let endpoints = [
        "127.0.0.1:5432",
        "[::1]:5432",
        "unix:/run/user/1000/doze/shop/app/.s.PGSQL.5432",
    ]
    .map(endpoint);
    let postgres = EngineName::new("postgres").unwrap();
    let app = InstanceUnits {
        project: &project,
        instance: &app,
        depends_on: &[&cache],
        engine: &postgres,
        source: units.source,
        start: &Start::OnDemand,
        endpoints: &endpoints,
        init_sockets: &[init_socket(
            "/run/user/1000/doze/shop/app".into(),
            ".s.PGSQL.5432",
            "init.sock",
        )],
        takes_sockets: false,
        wake_socket: "/run/user/1000/doze/shop/app/wake.sock".into(),
        status_socket: "/run/user/1000/doze/shop/app/status.sock".into(),
        activator: "/usr/bin/true".into(),
        plan: "/home/ada/.local/share/doze/projects/shop/plans/app.json".into(),
        kill_signal: Signal::Int,
        start_timeout: Duration::from_mins(1),
        stop_timeout: Duration::from_millis(32_500),
        writable: &[
            "/home/ada/.local/share/doze/projects/shop".into(),
            "/run/user/1000/doze/shop/app".into(),
        ],
        readable: &["/usr/lib/postgresql/17/bin".into()],
        limits: Limits {
            memory: Some(512_000_000),
            cpu: Some(150),
            tasks: Some(64),
        },
        environment: None,
        profile: Profile::Full,
        generates_code: true,
        user_namespaces: false,
    };
    files.extend([app.socket().unwrap(), app.service().unwrap()]);
    let valkey = EngineName::new("valkey").unwrap();
    let cache = InstanceUnits {
        instance: &cache,
        depends_on: &[],
        engine: &valkey,
        endpoints: &[endpoint("127.0.0.1:6379")],
        init_sockets: &[],
        takes_sockets: true,
        wake_socket: "/run/user/1000/doze/shop/cache/wake.sock".into(),
        status_socket: "/run/user/1000/doze/shop/cache/status.sock".into(),
        plan: "/home/ada/.local/share/doze/projects/shop/plans/cache.json".into(),
        kill_signal: Signal::Term,
        limits: Limits::default(),
        profile: Profile::Seccomp,
        generates_code: false,
        ..app
    };
    files.extend([cache.socket().unwrap(), cache.service().unwrap()]);
    files.extend(processes([&web, &worker, &once, &site], &cache));
    files
}

/// Programs of the user's own: of each policy, and one that its clients start.
fn processes(
    [web, worker, once, site]: [&InstanceName; 4],
    base: &InstanceUnits<'_>,
) -> Vec<UnitFile> {
    let mut files = Vec::new();
    let started = |policy, max_retries| {
        Start::WithProject(Restart {
            policy,
            backoff: Duration::from_millis(1_500),
            max_retries,
        })
    };
    let process = EngineName::new("process").unwrap();
    for (instance, start) in [
        (web, started(RestartPolicy::OnFailure, 5)),
        (worker, started(RestartPolicy::Always, 1)),
        (once, started(RestartPolicy::No, 0)),
        (site, Start::OnDemand),
    ] {
        let endpoints = [endpoint("127.0.0.1:8080")];
        let process = InstanceUnits {
            instance,
            engine: &process,
            start: &start,
            endpoints: if start == Start::OnDemand {
                &endpoints
            } else {
                &[]
            },
            environment: Some("/home/ada/.local/share/doze/projects/shop/environment".into()),
            takes_sockets: false,
            ..*base
        };
        files.extend([process.socket().unwrap(), process.service().unwrap()]);
    }
    files
}

/// A project whose names and paths hold all that is special somewhere. `dir` is where its
/// activator is.
pub(crate) fn hostile(dir: &Utf8Path) -> Vec<UnitFile> {
    let project = project(r#"100% "$HOME"-größe"#);
    let (first, second) = (instance(r"it's ; a\x2db"), instance("-%i"));
    let units = ProjectUnits {
        project: &project,
        source: r#"/home/ada/100% "$HOME" \ größe/doze.toml"#.into(),
    };
    let mut files = vec![
        units.target(&[&first, &second], &[&second]).unwrap(),
        units.slice().unwrap(),
    ];
    let run = Utf8Path::new(r#"/run/user/1000/doze/100% "$HOME"-größe/it's ; a\x2db"#);
    let engine = EngineName::new("s3").unwrap();
    let folder = dir.join("100% ;$HOME größe");
    let first = InstanceUnits {
        project: &project,
        instance: &first,
        depends_on: &[&second],
        engine: &engine,
        source: units.source,
        start: &Start::OnDemand,
        endpoints: &[
            Endpoint::unix(run.join("ends in a backslash\\")).unwrap(),
            Endpoint::unix(run.join("ends in a blank ")).unwrap(),
        ],
        init_sockets: &[
            init_socket(run, "ends in a backslash\\", "init\\"),
            init_socket(run, "ends in a blank ", "init "),
        ],
        takes_sockets: false,
        wake_socket: &run.join("wake.sock"),
        status_socket: &run.join("status.sock"),
        activator: &hostile_activator(dir),
        plan: r#"/home/ada/100% "$HOME"-größe/it's ; a\x2db.json"#.into(),
        kill_signal: Signal::Quit,
        start_timeout: Duration::from_secs(90),
        stop_timeout: Duration::from_secs(30),
        writable: &[run, &folder],
        readable: &[],
        limits: Limits {
            cpu: Some(5),
            ..Limits::default()
        },
        environment: None,
        profile: Profile::Full,
        generates_code: false,
        user_namespaces: true,
    };
    files.extend([first.socket().unwrap(), first.service().unwrap()]);
    let second = InstanceUnits {
        instance: &second,
        depends_on: &[],
        start: &Start::WithProject(Restart {
            policy: RestartPolicy::OnFailure,
            backoff: Duration::from_secs(1),
            max_retries: 5,
        }),
        endpoints: &[],
        init_sockets: &[],
        environment: Some(r#"/home/ada/100% "$HOME" [a]*? \/environment"#.into()),
        ..first
    };
    files.extend([second.socket().unwrap(), second.service().unwrap()]);
    files
}

/// Where [`hostile`] has its activator.
pub(crate) fn hostile_activator(dir: &Utf8Path) -> Utf8PathBuf {
    dir.join("100% ;$HOME größe/doze activator")
}

pub(crate) fn project(name: &str) -> ProjectName {
    ProjectName::new(name).unwrap()
}

pub(crate) fn instance(name: &str) -> InstanceName {
    InstanceName::new(name).unwrap()
}

fn init_socket(folder: &Utf8Path, public: &str, path: &str) -> InitSocket {
    InitSocket {
        public: folder.join(public),
        path: folder.join(path),
    }
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}
