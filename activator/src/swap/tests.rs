use std::{
    io::{Read, Write},
    os::unix::{
        fs::MetadataExt,
        net::{UnixListener, UnixStream},
    },
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use doze_contract::error::chain;

use super::*;

type Change = fn(&Plan) -> Result<(), SwapError>;

/// An instance with one unix endpoint; both its sockets are there.
struct World {
    folder: tempfile::TempDir,
    plan: Plan,
    init: UnixListener,
    engine: UnixListener,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        let public = at("s");
        let plan = serde_json::json!({
            "format": 1, "revision": "r", "project": "p", "instance": "i", "engine": "e",
            "idle_timeout_ms": null, "endpoints": [format!("unix:{public}")],
            "open_to": "user",
            "init_sockets": [{ "public": public, "path": at("init.sock") }],
            "paths": { "wake_socket": "/w", "status_socket": "/s", "lock": "/l", "data": "/d",
                "run": "/r", "log": "/g", "templates": "/t" },
            "driver": "/driver", "launcher": [],
            "body": {
                "provision": { "fingerprint": "f", "block": null }, "files": [], "members": [],
                "upstream": format!("unix:{}", at("engine/s")),
                "hello": { "send": "", "ready": "", "busy": [] },
                "connection": { "variable": "V", "url": "u" },
                "clients_speak_first": true, "generates_code": false,
            },
        });
        fs::create_dir(folder.path().join("engine")).unwrap();
        let init = UnixListener::bind(folder.path().join("init.sock")).unwrap();
        let engine = listen(&folder.path().join("engine/s"));
        Self {
            plan: serde_json::from_value(plan).unwrap(),
            folder,
            init,
            engine,
        }
    }

    fn public(&self) -> &Utf8Path {
        &self.plan.init_sockets[0].public
    }

    fn is_in(&self) -> bool {
        self.leads_to(self.public(), &self.engine)
    }

    fn is_out(&self) -> bool {
        self.leads_to(self.public(), &self.init)
    }

    /// Whether a connection to the path arrives at the listener.
    fn leads_to(&self, path: &Utf8Path, listener: &UnixListener) -> bool {
        let Ok(_client) = UnixStream::connect(path) else {
            return false;
        };
        let mut arrived = false;
        for each in [&self.init, &self.engine] {
            each.set_nonblocking(true).unwrap();
            if each.accept().is_ok() {
                arrived = std::ptr::eq(each, listener);
            }
            each.set_nonblocking(false).unwrap();
        }
        arrived
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What the error says, which has to name both paths.
    fn said(&self, result: Result<(), SwapError>) -> String {
        let error = result.unwrap_err();
        let socket = &self.plan.init_sockets[0];
        let Some(Endpoint::Unix(engine)) = &self.plan.body.upstream else {
            panic!("the upstream is a unix socket")
        };
        let text = error.to_string();
        assert!(text.contains(socket.public.as_str()), "{text}");
        assert!(
            text.contains(engine.as_str()) || text.contains(socket.path.as_str()),
            "{text}"
        );
        chain(&error)
    }
}

fn listen(path: &std::path::Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    listener
}

/// Answers every connection with one byte, until it has answered the one that `over` announces.
fn answer(listener: UnixListener, byte: u8, over: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for client in listener.incoming() {
            // The last one does not wait for its answer.
            client.unwrap().write_all(&[byte]).ok();
            if over.load(Ordering::SeqCst) {
                return;
            }
        }
    })
}

#[test]
fn ten_thousand_swaps_fail_no_connect() {
    let world = World::new();
    let (plan, public) = (&world.plan, world.public().to_owned());
    let upstream = engine(plan).unwrap().to_owned();
    swap_out(plan).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let listeners = [(world.init, 0), (world.engine, 1)];
    let answering = listeners.map(|(listener, byte)| answer(listener, byte, over.clone()));
    let answers = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let swapped = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !swapped.load(Ordering::SeqCst) {
                    let mut client = UnixStream::connect(&public).unwrap();
                    let mut byte = [9];
                    client.read_exact(&mut byte).unwrap();
                    answers[usize::from(byte[0])].fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..10_000 {
            swap_in(plan).unwrap();
            swap_out(plan).unwrap();
        }
        swapped.store(true, Ordering::SeqCst);
    });
    over.store(true, Ordering::SeqCst);
    for path in [&plan.init_sockets[0].path, &upstream] {
        drop(UnixStream::connect(path).unwrap());
    }
    for thread in answering {
        thread.join().unwrap();
    }
    let answers = answers.map(AtomicUsize::into_inner);
    assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
}

#[test]
fn whoever_is_connected_stays_connected() {
    let world = World::new();
    let exchange = |client: &mut UnixStream, server: &mut UnixStream| {
        let mut byte = [0];
        client.write_all(b"a").unwrap();
        server.read_exact(&mut byte).unwrap();
        server.write_all(b"b").unwrap();
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"b");
    };
    swap_out(&world.plan).unwrap();
    let mut before = UnixStream::connect(world.public()).unwrap();
    let mut activator = world.init.accept().unwrap().0;
    // Nobody has accepted this one yet.
    let mut waiting = UnixStream::connect(world.public()).unwrap();
    swap_in(&world.plan).unwrap();
    exchange(&mut before, &mut activator);
    exchange(&mut waiting, &mut world.init.accept().unwrap().0);
    let mut direct = UnixStream::connect(world.public()).unwrap();
    let mut engine = world.engine.accept().unwrap().0;
    let mut waiting = UnixStream::connect(world.public()).unwrap();
    swap_out(&world.plan).unwrap();
    exchange(&mut before, &mut activator);
    exchange(&mut direct, &mut engine);
    exchange(&mut waiting, &mut world.engine.accept().unwrap().0);
}

#[test]
fn doing_it_again_changes_nothing_and_leaves_nothing() {
    let world = World::new();
    for _ in 0..2 {
        swap_out(&world.plan).unwrap();
        assert!(world.is_out());
        let once = fs::symlink_metadata(world.public()).unwrap().ino();
        swap_out(&world.plan).unwrap();
        let again = fs::symlink_metadata(world.public()).unwrap().ino();
        assert_eq!(once, again, "a link that is right is left alone");
        for _ in 0..2 {
            swap_in(&world.plan).unwrap();
            assert!(world.is_in());
            assert_eq!(world.names(), ["engine", "init.sock", "s"]);
        }
    }
    for _ in 0..2 {
        remove(&world.plan).unwrap();
        assert_eq!(world.names(), ["engine", "init.sock"]);
    }
    swap_in(&world.plan).unwrap();
    assert!(world.is_in(), "from nothing, too");
}

#[test]
fn what_a_killed_process_left_is_in_nobodys_way() {
    let world = World::new();
    let left = world.folder.path().join(".doze-s");
    let changes: [Change; 5] = [swap_out, swap_out, swap_in, swap_in, remove];
    for change in changes {
        fs::hard_link(world.folder.path().join("engine/s"), &left).unwrap();
        change(&world.plan).unwrap();
        assert!(!left.try_exists().unwrap());
    }
}

#[test]
fn an_engine_that_started_again_is_swapped_in_again() {
    let mut world = World::new();
    swap_in(&world.plan).unwrap();
    let path = world.folder.path().join("engine/s");
    fs::remove_file(&path).unwrap();
    world.engine = listen(&path);
    assert!(UnixStream::connect(world.public()).is_err());
    swap_in(&world.plan).unwrap();
    assert!(world.is_in());
}

#[test]
fn a_socket_that_is_open_to_others_is_not_swapped_in() {
    let world = World::new();
    swap_out(&world.plan).unwrap();
    let path = world.folder.path().join("engine/s");
    for mode in [0o770, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let said = world.said(swap_in(&world.plan));
        assert!(said.contains(&format!("(mode {mode:03o})")), "{said}");
        assert!(world.is_out());
    }
}

#[test]
fn a_file_is_never_replaced() {
    let world = World::new();
    fs::File::create(world.public()).unwrap();
    let changes: [Change; 3] = [swap_out, swap_in, remove];
    for change in changes {
        let said = world.said(change(&world.plan));
        assert!(said.ends_with("a file that is not a socket is there"));
    }
    assert!(fs::symlink_metadata(world.public()).unwrap().is_file());
}

#[test]
fn without_a_socket_of_the_engine_the_path_stays_as_it_is() {
    let mut world = World::new();
    swap_out(&world.plan).unwrap();
    fs::remove_file(world.folder.path().join("engine/s")).unwrap();
    world.said(swap_in(&world.plan));
    assert!(world.is_out());
    world.plan.body.upstream = Some("127.0.0.1:1".parse().unwrap());
    assert_eq!(engine(&world.plan), None);
    swap_in(&world.plan).unwrap();
    assert!(world.is_out());
}

#[test]
fn a_socket_on_another_file_system_is_not_swapped_in() {
    let mut world = World::new();
    let device = |path: &std::path::Path| fs::metadata(path).unwrap().dev();
    let Some(other) = tempfile::tempdir_in("/dev/shm")
        .ok()
        .filter(|other| device(other.path()) != device(world.folder.path()))
    else {
        eprintln!("SKIPPED: /dev/shm is not another file system");
        return;
    };
    swap_out(&world.plan).unwrap();
    let path = other.path().join("s");
    world.engine = listen(&path);
    world.plan.body.upstream = Some(Endpoint::unix(path.to_str().unwrap()).unwrap());
    world.said(swap_in(&world.plan));
    assert!(world.is_out());
    assert_eq!(world.names(), ["engine", "init.sock", "s"]);
}

#[test]
fn each_endpoint_is_swapped_whatever_becomes_of_the_others() {
    let mut world = World::new();
    let blocked = InitSocket {
        public: world.public().with_file_name("file"),
        path: world.public().with_file_name("init-2.sock"),
    };
    fs::File::create(&blocked.public).unwrap();
    world.plan.init_sockets.insert(0, blocked);
    world.said(swap_in(&world.plan));
    world.plan.init_sockets.swap(0, 1);
    assert!(world.is_in());
    world.plan.init_sockets.swap(0, 1);
    world.said(swap_out(&world.plan));
    world.plan.init_sockets.swap(0, 1);
    assert!(world.is_out());
}

#[test]
fn the_folder_of_a_public_path_is_made_and_can_be_seen_elsewhere() {
    let mut world = World::new();
    let (init, folder) = (
        &world.plan.init_sockets[0].path,
        world.folder.path().join("a"),
    );
    let public = Utf8PathBuf::from_path_buf(folder.join("b/s")).unwrap();
    let absolute = InitSocket {
        public: public.clone(),
        path: init.clone(),
    };
    world.plan.init_sockets.push(absolute);
    swap_out(&world.plan).unwrap();
    assert!(world.leads_to(&public, &world.init));
    assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);

    // As in a container, where the folder has another name.
    let moved = world.folder.path().with_extension("moved");
    fs::rename(world.folder.path(), &moved).unwrap();
    let moved = Utf8PathBuf::from_path_buf(moved).unwrap();
    assert!(world.leads_to(&moved.join("s"), &world.init));
    fs::rename(&moved, world.folder.path()).unwrap();
}
