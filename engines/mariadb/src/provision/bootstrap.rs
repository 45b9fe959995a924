//! The server's boot from statements, by which it makes its system tables. It must not know what
//! else is in a data directory.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    DATADIR, SUPERUSER, TMPDIR,
    make::{MakeError, write},
};
use crate::{
    config::{FAST, LAYOUT},
    password::{PLUGIN, hash},
    plan::{basedir, environment},
    sql::literal,
};

/// The files with the statements, as the script has them; the texts of `HELP` are left out, which
/// are half of the work. Each has a prefix: the former name of the product, or the new one.
const STATEMENTS: [&str; 5] = [
    "?_system_tables.sql",
    "?_performance_tables.sql",
    "?_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "?_sys_schema.sql",
];

/// Where they lie below the folder that the server was installed into, and with which prefix.
const PLACES: [(&str, &str); 4] = [
    ("share/mariadb", "mariadb"),
    ("share/mysql", "mysql"),
    ("share", "mariadb"),
    ("share", "mysql"),
];

/// Has the server make its directory in `data`, with one user, who has this password and may do
/// everything.
pub(super) fn run(server: &Utf8Path, data: &Utf8Path, password: &str) -> Result<(), MakeError> {
    let basedir = basedir(server);
    let [datadir, tmpdir] = [DATADIR, TMPDIR].map(|name| data.join(name));
    for folder in [&datadir, &tmpdir] {
        fs::create_dir(folder).map_err(|error| MakeError::File(folder.clone(), error))?;
    }
    let script = data.join("bootstrap.sql");
    let failed = |error| MakeError::File(script.clone(), error);
    write(&script, &statements(&basedir, password)?)?;
    let input = File::open(&script).map_err(failed)?;

    let mut command = Command::new(server);
    command
        .arg("--no-defaults")
        .arg("--bootstrap")
        .arg(format!("--basedir={basedir}"))
        .arg(format!("--datadir={datadir}"))
        .arg(format!("--tmpdir={tmpdir}"))
        // As the script has them.
        .args(["--enforce-storage-engine=", "--max-allowed-packet=8M"])
        .args(["--log-warnings=0", "--skip-ssl"])
        .args(["--innodb-buffer-pool-size=16M"])
        .args(LAYOUT.iter().map(option))
        // The caller makes a fresh directory durable as a whole.
        .args(FAST.iter().map(option))
        .env_clear()
        .envs(environment())
        .stdin(input)
        .stdout(Stdio::null());
    let output = command
        .output()
        .map_err(|error| MakeError::Start(server.to_owned(), error))?;
    fs::remove_file(&script).map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(MakeError::Failed {
        server: server.to_owned(),
        status: output.status,
        output: errors(&String::from_utf8_lossy(&output.stderr)),
    })
}

fn option((name, value): &(&str, &str)) -> String {
    format!("--{name}={value}")
}

/// One statement a line, or several with a `;` at the end of each: that is how the server reads.
fn statements(basedir: &Utf8Path, password: &str) -> Result<String, MakeError> {
    let (folder, prefix) = PLACES
        .map(|(folder, prefix)| (basedir.join(folder), prefix))
        .into_iter()
        .find(|(folder, prefix)| file(folder, prefix, STATEMENTS[0]).is_file())
        .ok_or_else(|| MakeError::Statements {
            name: STATEMENTS[0].replace('?', "mariadb"),
            basedir: basedir.to_owned(),
        })?;
    let mut all = String::from("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n");
    for name in STATEMENTS {
        let path = file(&folder, prefix, name);
        let text = fs::read_to_string(&path);
        all.push_str(&text.map_err(|error| MakeError::File(path, error))?);
        all.push('\n');
    }
    // The superuser is the root of the script, by another name and with a password.
    let (superuser, plugin) = (literal(SUPERUSER), literal(PLUGIN));
    let hash = literal(&hash(Some(password)));
    all.push_str("USE mysql;\n");
    for statement in [
        format!(
            "UPDATE global_priv SET User = {superuser}, Priv = JSON_SET(Priv, '$.plugin', {plugin}, \
             '$.authentication_string', {hash}) WHERE User = 'root' AND Host = 'localhost'"
        ),
        format!("DELETE FROM global_priv WHERE User NOT IN ({superuser}, 'mariadb.sys')"),
        "DELETE FROM proxies_priv".to_owned(),
    ] {
        all.push_str(&statement);
        all.push_str(";\n");
    }
    Ok(all)
}

fn file(folder: &Utf8Path, prefix: &str, name: &str) -> Utf8PathBuf {
    folder.join(name.replace('?', prefix))
}

/// The lines that are no notes.
fn errors(printed: &str) -> String {
    let errors = printed.lines().filter(|line| !line.contains("[Note]"));
    errors.collect::<Vec<_>>().join("\n")
}
