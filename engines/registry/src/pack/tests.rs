use std::{
    ffi::OsStr,
    fs::Permissions,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
};

use doze_contract::error::chain;
use tempfile::TempDir;

use super::*;

const MANIFEST: &str = r#"kind = "engine"
name = "postgres"
version = "17.11"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "PostgreSQL"
origin = "postgresql-17 17.11-1"
"#;

/// A folder that can be packed.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.file("package.toml", MANIFEST, 0o600);
        folder.file("bin/postgres", "the server", 0o700);
        folder.file("share/timezone", "UTC", 0o664);
        folder.file(&format!("lib/{}", "l".repeat(180)), "a long name", 0o444);
        symlink("../bin/postgres", folder.path().join("share/server")).unwrap();
        symlink("share", folder.path().join("data")).unwrap();
        folder
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).unwrap()
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(Permissions::from_mode(mode)).unwrap();
    }

    fn pack(&self) -> Result<Vec<u8>, PackError> {
        let mut bytes = Vec::new();
        let (_, artefact) = pack(self.path(), &mut bytes)?;
        assert_eq!(artefact.size, bytes.len() as u64);
        assert_eq!(artefact.sha256, Digest::of(&bytes));
        Ok(bytes)
    }

    fn refused(&self) -> String {
        let error = self.pack().unwrap_err();
        chain(&error).replace(self.path().as_str(), "DIR")
    }
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let one = Folder::new();
    let other = Folder::new();
    fs::remove_file(other.path().join("bin/postgres")).unwrap();
    other.file("bin/postgres", "the server", 0o755);
    assert_eq!(one.pack().unwrap(), other.pack().unwrap());
    other.file("bin/postgres", "another one", 0o755);
    assert_ne!(one.pack().unwrap(), other.pack().unwrap());
}

#[test]
fn an_archive_holds_the_folder_and_nothing_of_its_owner() {
    let bytes = Folder::new().pack().unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(bytes.as_slice()).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let numbers = (
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
        );
        assert_eq!(numbers, (0, 0, 0));
        let mode = header.mode().unwrap();
        let link = entry
            .link_name()
            .unwrap()
            .map(|link| format!(" -> {}", link.display()));
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let text = if path == "package.toml" {
            String::new()
        } else {
            text
        };
        format!("{mode:o} {path}{} {text}", link.unwrap_or_default())
    });
    let long = format!("644 lib/{} a long name", "l".repeat(180));
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            "755 bin ",
            "755 bin/postgres the server",
            "755 data -> share ",
            "755 lib ",
            &long,
            "644 package.toml ",
            "755 share ",
            "755 share/server -> ../bin/postgres ",
            "644 share/timezone UTC",
        ]
    );
}

#[test]
fn a_link_that_leads_out_is_refused() {
    let told = |target: &str| {
        let folder = Folder::new();
        symlink(
            target.replace("DIR", folder.path().as_str()),
            folder.path().join("bin/x"),
        )
        .unwrap();
        folder.refused()
    };
    for target in [
        "/etc/passwd",
        "../../etc",
        "DIR/share",
        "../share/../../x",
        "../data/../..",
    ] {
        let first = "the link bin/x leads out of the folder or takes a detour, to ";
        assert!(told(target).starts_with(first), "{}", told(target));
    }
    for target in ["nothing", "x", "../share/nothing"] {
        let first = format!("the link bin/x leads to nothing, {target}; ");
        assert!(told(target).starts_with(&first), "{}", told(target));
    }
}

#[test]
fn a_link_over_another_cannot_lead_out_unnoticed() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
    symlink("../../..", folder.path().join("a/b/c/top")).unwrap();
    symlink("a/b/c/top/share", folder.path().join("round")).unwrap();
    folder.pack().unwrap();
    // By its words it ends in a/b; in truth it leads to what is above the folder.
    symlink("a/b/c/top/..", folder.path().join("out")).unwrap();
    assert!(
        folder
            .refused()
            .starts_with("the link out leads out of the folder")
    );
}

#[test]
fn what_nobody_should_have_to_unpack_is_refused() {
    let folder = Folder::new();
    folder.file("bin/su", "", 0o4755);
    assert!(
        folder.refused().starts_with("bin/su is setuid"),
        "{}",
        folder.refused()
    );

    let folder = Folder::new();
    let socket = UnixListener::bind(folder.path().join("bin/socket")).unwrap();
    assert!(
        folder.refused().starts_with("bin/socket is neither"),
        "{}",
        folder.refused()
    );
    drop(socket);

    let folder = Folder::new();
    let name = OsStr::from_bytes(b"bin/\xff");
    File::create(folder.path().as_std_path().join(name)).unwrap();
    assert_eq!(
        folder.refused(),
        "the name \"DIR/bin/\\xFF\" is not UTF-8, or has control characters; rename it"
    );
}

#[test]
fn a_folder_that_does_not_say_what_it_is_is_refused() {
    let folder = Folder::new();
    fs::remove_file(folder.path().join("package.toml")).unwrap();
    let missing = "cannot read DIR/package.toml: No such file or directory (os error 2)";
    assert_eq!(folder.refused(), missing);

    let module = MANIFEST.replace("engine", "module") + "protocol = 1\nmajors = [\"17\"]\n";
    folder.file("package.toml", &module, 0o644);
    assert!(
        folder
            .refused()
            .starts_with("cannot read DIR/description.json")
    );
    folder.file("description.json", "{}", 0o644);
    assert!(
        folder
            .refused()
            .starts_with("cannot read DIR/doze-driver-postgres")
    );
    folder.file("doze-driver-postgres", "", 0o644);
    assert!(
        folder
            .refused()
            .starts_with("DIR/doze-driver-postgres is not a program")
    );
    folder.file("doze-driver-postgres", "", 0o755);
    folder.pack().unwrap();
}
