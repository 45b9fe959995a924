use std::{
    convert::Infallible,
    fs::File,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use doze_contract::Plan;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// Why a template was not made.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no space left")]
struct NoSpace;

fn world() -> (TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn put(path: impl AsRef<Utf8Path>, text: &str) -> io::Result<()> {
    File::create(path.as_ref())?.write_all(text.as_bytes())
}

/// The order to provision the data directory of this name.
fn call(folder: &Utf8Path, name: &str) -> ProvisionCall {
    let data = folder.join(name);
    fs::create_dir(&data).unwrap();
    let plan: Plan = serde_json::from_value(json!({
        "format": 1, "revision": "r", "project": "p", "instance": "i", "engine": "e",
        "idle_timeout_ms": null, "endpoints": [], "init_sockets": [], "open_to": "user",
        "paths": { "wake_socket": "/w", "status_socket": "/s", "lock": "/l", "data": "/d",
            "run": "/r", "log": "/g", "templates": folder.join("templates") },
        "driver": "/driver", "launcher": [],
        "body": { "provision": { "fingerprint": "f", "block": null }, "files": [], "members": [],
            "connection": {}, "clients_speak_first": true, "generates_code": false },
    }))
    .unwrap();
    ProvisionCall {
        plan,
        data,
        fresh: true,
    }
}

#[test]
fn many_who_need_the_same_template_at_once_have_it_made_once() {
    let (_folder, path) = world();
    let made = AtomicUsize::new(0);
    let make = |aside: &Utf8Path| {
        made.fetch_add(1, Ordering::SeqCst);
        put(aside.join("file"), "text")
    };
    let calls: Vec<_> = (0..8).map(|at| call(&path, &at.to_string())).collect();
    thread::scope(|scope| {
        for call in &calls {
            scope.spawn(move || from_template(call, "key", make).unwrap());
        }
    });
    assert_eq!(made.into_inner(), 1);
    for call in calls {
        assert_eq!(fs::read_to_string(call.data.join("file")).unwrap(), "text");
    }
}

#[test]
fn each_key_has_a_template_of_its_own() {
    let (_folder, path) = world();
    for key in ["one", "two 'ü' %"] {
        let call = call(&path, key);
        from_template(&call, key, |aside| put(aside.join("key"), key)).unwrap();
        assert_eq!(fs::read_to_string(call.data.join("key")).unwrap(), key);
    }
}

#[test]
fn a_template_that_fails_leaves_nothing_and_what_a_killed_one_left_does_no_harm() {
    let (_folder, path) = world();
    let call = call(&path, "data");
    let failing = |aside: &Utf8Path| {
        put(aside.join("half"), "").unwrap();
        Err(NoSpace)
    };
    let error = from_template(&call, "key", failing).unwrap_err();
    assert!(matches!(error, TemplateError::Make(NoSpace)), "{error}");
    let templates = path.join("templates");
    let left = || fs::read_dir(&templates).unwrap().count();
    assert_eq!(left(), 1, "the locks");
    assert_eq!(fs::read_dir(&call.data).unwrap().count(), 0);

    fs::create_dir(templates.join(".key.new")).unwrap();
    put(templates.join(".key.new/half"), "").unwrap();
    from_template(&call, "key", |aside| put(aside.join("whole"), "")).unwrap();
    assert_eq!(left(), 2, "the locks and the template");
    assert!(call.data.join("whole").is_file() && !call.data.join("half").exists());
}

#[test]
fn a_clone_that_was_made_ahead_is_taken_once_and_only_where_it_is_of_use() {
    let (_folder, path) = world();
    let spare = path.join("templates/key.spare");
    let new = |name: &str| {
        let call = call(&path, name);
        from_template(&call, "key", |aside| put(aside.join("file"), "text")).unwrap();
        assert_eq!(fs::read_to_string(call.data.join("file")).unwrap(), "text");
        let mode = fs::metadata(&call.data).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        call
    };
    let ahead = |call: &ProvisionCall| replenish(&call.plan, "key").unwrap();

    // Who has no template need not have a clone of it.
    replenish(&call(&path, "none").plan, "key").unwrap();
    assert!(!spare.exists());
    let first = new("first");
    // What a killed one left is no part of it.
    fs::create_dir(path.join("templates/.key.spare.new")).unwrap();
    put(path.join("templates/.key.spare.new/half"), "").unwrap();
    ahead(&first);
    let inode = |folder: &Utf8Path| fs::metadata(folder.join("file")).unwrap().ino();
    let made = inode(&spare);
    ahead(&first);
    assert_eq!(inode(&spare), made, "one is enough");

    let second = new("second");
    assert_eq!(inode(&second.data), made);
    assert!(!second.data.join("half").exists() && !spare.exists());
    assert_ne!(inode(&new("third").data), made);

    // A folder with something in it is replaced by nobody.
    ahead(&second);
    let full = call(&path, "full");
    put(full.data.join("other"), "").unwrap();
    from_template(&full, "key", |_| Ok::<_, Infallible>(())).unwrap();
    assert!(spare.is_dir() && full.data.join("other").is_file());
}

#[test]
fn a_key_stays_in_the_templates_folder() {
    let (_folder, path) = world();
    let call = call(&path, "data");
    for key in ["", ".", "..", ".locks", "a/b", "/", "a\0", &"x".repeat(201)] {
        let error = from_template(&call, key, |_| Ok::<_, Infallible>(())).unwrap_err();
        assert!(matches!(error, TemplateError::Key(_)), "{key}: {error}");
    }
    assert!(!path.join("templates").exists());
}

#[test]
fn without_a_folder_for_templates_the_data_is_made_itself() {
    let (_folder, path) = world();
    put(path.join("templates"), "a file is no folder").unwrap();
    let call = call(&path, "data");
    from_template(&call, "key", |data| put(data.join("file"), "text")).unwrap();
    assert_eq!(fs::read_to_string(call.data.join("file")).unwrap(), "text");
}
