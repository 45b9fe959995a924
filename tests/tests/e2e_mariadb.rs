//! MariaDB behind its endpoints: two clients that know nothing of each other, from asleep to awake
//! and back.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{in_both_modes, needed, process, wait_until};
use rustix::process::{Pid, Signal, kill_process};

in_both_modes!(
    data_is_there_after_the_next_wake,
    a_client_that_waits_for_the_greeting_wakes_the_server,
    a_wrong_password_gets_the_servers_own_error,
    a_killed_server_is_booted_again_with_all_that_was_committed,
    clients_show_why_a_mariadb_cannot_boot,
    a_server_that_is_open_to_all_accepts_tcp_itself_and_sleeps,
);

/// Longer than the slowest boot on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// A project with a MariaDB `shop`.
struct Shop {
    project: Project,
    port: u16,
}

impl Shop {
    /// One with these lines in its block; `None` if this machine lacks something.
    fn new(mode: Mode, lines: &str) -> Option<Self> {
        let project = Project::new(mode, "300ms")?;
        needed("a MariaDB", project.mariadb.clone())?;
        needed("PyMySQL for /usr/bin/python3", has_pymysql())?;
        let port = project.world.port();
        let shop = Self { project, port };
        shop.project.declare(&shop.toml(lines));
        Some(shop)
    }

    fn toml(&self, lines: &str) -> String {
        let version = self
            .project
            .mariadb
            .as_ref()
            .map(|engine| engine.version.as_str());
        let mut numbers = version.unwrap_or_default().split('.');
        let major = [numbers.next(), numbers.next()]
            .map(Option::unwrap_or_default)
            .join(".");
        format!(
            "name = \"shop\"\n\n[defaults]\nidle_timeout = \"300ms\"\n\n[mariadb.shop]\n\
             version = \"{major}\"\nlisten = [\"127.0.0.1:{}\", \"unix\"]\n{lines}\n",
            self.port
        )
    }

    /// mariadb(1), with the arguments and the environment of `doze shell`.
    fn mariadb(&self, sql: &str) -> Command {
        let engine = self.project.mariadb.as_ref().expect("it is there");
        let client = self.project.plan("shop").body.connection.client;
        let client = client.expect("a client");
        let mut command = self.project.world.command(&engine.client);
        command
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .args(client.args)
            .arg(format!("--execute={sql}"))
            .envs(client.env);
        command
    }

    /// `PyMySQL`, with what the URL of the instance says.
    fn pymysql(&self, sql: &str) -> Command {
        self.pymysql_at(&self.url(), sql)
    }

    fn url(&self) -> String {
        let url = self.project.plan("shop").body.connection.url;
        url.expect("a URL")
    }

    fn pymysql_at(&self, url: &str, sql: &str) -> Command {
        const SCRIPT: &str = "\
import pymysql, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
try:
    server = pymysql.connect(host=url.hostname, port=url.port, user=urllib.parse.unquote(url.username),
        password=urllib.parse.unquote_to_bytes(url.password or ''), database=url.path[1:])
    with server.cursor() as cursor:
        cursor.execute(sys.argv[2])
        for row in cursor: print(*row, sep='\\t')
    server.commit()
except pymysql.err.OperationalError as error:
    sys.exit('%s %s' % error.args)
";
        let mut command = self.project.world.command("/usr/bin/python3");
        command.args(["-c", SCRIPT, url, sql]);
        command
    }

    /// Both clients.
    fn clients(&self, sql: &str) -> [Command; 2] {
        [self.mariadb(sql), self.pymysql(sql)]
    }

    fn server(&self) -> Pid {
        let found = self.project.running("mariadbd");
        assert_eq!(found.len(), 1, "{}", process::list(&found));
        let server = found.first().expect("one server");
        Pid::from_raw(server.pid).expect("a pid")
    }
}

fn has_pymysql() -> Option<()> {
    let asked = Command::new("/usr/bin/python3")
        .args(["-c", "import pymysql"])
        .output();
    asked.ok()?.status.success().then_some(())
}

/// What a client hears that is not served.
fn refused(command: &mut Command) -> String {
    let output = output(command);
    assert!(!output.status.success(), "{command:?} was served");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn data_is_there_after_the_next_wake(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "") else {
        return;
    };
    shop.project.up();
    assert_eq!(
        process::list(&shop.project.processes()),
        "",
        "asleep after up"
    );
    succeed(&mut shop.mariadb("CREATE TABLE t (n INT, w TEXT)"));
    succeed(&mut shop.pymysql("INSERT INTO t VALUES (42, 'größe 🦀')"));
    shop.project.wait_asleep();

    let sql = "SELECT n, CURRENT_USER(), DATABASE() FROM t";
    for client in &mut shop.clients(sql) {
        assert_eq!(succeed(client), "42\tshop@%\tshop\n", "{client:?}");
        shop.project.wait_asleep();
    }
    let text = "SELECT HEX(w) FROM t";
    let hex: Vec<_> = "größe 🦀"
        .bytes()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(succeed(&mut shop.pymysql(text)).trim_end(), hex.concat());

    // The server itself is at the end of a unix endpoint.
    let url = shop.project.plan("shop").endpoints;
    let path = url.iter().find_map(|endpoint| match endpoint {
        doze_contract::Endpoint::Unix(path) => Some(path.clone()),
        doze_contract::Endpoint::Tcp(_) => None,
    });
    let path = path.expect("a unix endpoint");
    for _ in 0..2 {
        let mut client = shop.mariadb("SELECT n FROM t");
        client.args(["--protocol=socket", &format!("--socket={path}")]);
        assert_eq!(succeed(&mut client), "42\n");
        shop.project.wait_asleep();
    }
    let log = shop.project.log("shop");
    assert!(log.contains("converged: CREATE USER `shop`@`%`"), "{log}");
    assert!(!log.contains("[ERROR]"), "{log}");
}

fn a_client_that_waits_for_the_greeting_wakes_the_server(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "") else {
        return;
    };
    shop.project.up();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, shop.port)).expect("the endpoint");
    client.set_read_timeout(Some(BOUND)).expect("a time");
    let mut begins = [0; 5];
    client.read_exact(&mut begins).expect("a greeting");
    assert_eq!(begins[3..], [0, 10], "the first packet, of protocol 10");
    drop(client);
    shop.project.wait_asleep();
}

fn a_wrong_password_gets_the_servers_own_error(mode: Mode) {
    let lines = "user.shop.password = \"it's 100% \\\"s3cret\\\" \\\\\"\n\
                 user.\"o'neill\" = { password = \"other\" }\n\
                 grant = [{ user = \"o'neill\", privileges = [\"SELECT\"] }]";
    let Some(mut shop) = Shop::new(mode, lines) else {
        return;
    };
    shop.project.up();
    for client in &mut shop.clients("SELECT CURRENT_USER()") {
        assert_eq!(succeed(client), "shop@%\n", "{client:?}");
    }
    let mut other = shop.mariadb("SELECT CURRENT_USER(), DATABASE()");
    other.arg("--user=o'neill").env("MYSQL_PWD", "other");
    assert_eq!(succeed(&mut other), "o'neill@%\tshop\n");

    let denied = "Access denied for user 'shop'@'localhost' (using password: YES)";
    let said = refused(shop.mariadb("SELECT 1").env("MYSQL_PWD", "wrong"));
    assert!(
        said.contains(&format!("ERROR 1045 (28000): {denied}")),
        "{said}"
    );
    let said = refused(&mut shop.pymysql_at(&shop.url().replace("s3cret", "wrong"), "SELECT 1"));
    assert!(said.contains(&format!("1045 {denied}")), "{said}");
    // The user by whom doze works there is for nobody else, though all come from one place.
    for user in ["doze", "root"] {
        let said = refused(shop.mariadb("SELECT 1").arg(format!("--user={user}")));
        assert!(said.contains("ERROR 1045"), "{user}: {said}");
    }
    for (place, text) in [
        ("the log", shop.project.log("shop")),
        (
            "the process table",
            process::list(&shop.project.processes()),
        ),
    ] {
        assert!(!text.contains("s3cret"), "{place}: {text}");
    }
    shop.project.wait_asleep();
}

fn a_killed_server_is_booted_again_with_all_that_was_committed(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "") else {
        return;
    };
    shop.project.declare(&shop.toml("").replace("300ms", "1h"));
    shop.project.up();
    succeed(&mut shop.mariadb("CREATE TABLE t (n INT) ENGINE=InnoDB"));
    for n in 1..=3 {
        succeed(&mut shop.pymysql(&format!("INSERT INTO t VALUES ({n})")));
        kill_process(shop.server(), Signal::KILL).expect("it runs");
        // Who comes before its death is known is lost with it.
        let found = wait_until("the server to answer", BOUND, || {
            let output = output(&mut shop.mariadb("SELECT COUNT(*), SUM(n) FROM t"));
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            if output.status.success() {
                Ok(said)
            } else {
                Err(said)
            }
        });
        assert_eq!(found, format!("{n}\t{}\n", n * (n + 1) / 2));
    }
    shop.project.run(&["sleep", "shop"]);
    shop.project.wait_asleep();
}

fn clients_show_why_a_mariadb_cannot_boot(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "settings = { no_such_setting = 1 }") else {
        return;
    };
    shop.project.up();
    for (client, code) in shop
        .clients("SELECT 1")
        .iter_mut()
        .zip(["ERROR 1040 (08004)", "1040 "])
    {
        let said = refused(client);
        assert!(said.contains(code), "{said}");
        assert!(said.contains("doze: "), "{said}");
        assert!(said.contains("doze logs shop shows more"), "{said}");
    }
    let sound = shop.toml("");
    shop.project.edit(&sound);
    for client in &mut shop.clients("SELECT 1") {
        assert_eq!(succeed(client), "1\n");
    }
    shop.project.wait_asleep();
    let folder: PathBuf = shop.project.home().join("data/shop/datadir");
    assert!(fs::metadata(folder).expect("its data").is_dir());
}

fn a_server_that_is_open_to_all_accepts_tcp_itself_and_sleeps(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "open_to = \"all\"") else {
        return;
    };
    shop.project.up();
    assert!(shop.project.plan("shop").body.takes_sockets);
    // Whoever comes before the structure is made comes through the activator.
    assert_eq!(
        succeed(&mut shop.mariadb("SELECT USER()")),
        "shop@localhost\n"
    );
    shop.project.wait_asleep();
    for client in &mut shop.clients("SELECT USER()") {
        assert_eq!(succeed(client), "shop@127.0.0.1\n");
    }
    // The user by whom doze works there comes from nowhere else than the unix socket.
    let said = refused(shop.mariadb("SELECT 1").arg("--user=doze"));
    assert!(
        said.contains("Access denied for user 'doze'@'127.0.0.1'"),
        "{said}"
    );
    shop.project.wait_asleep();
    succeed(&mut shop.pymysql("CREATE TABLE t (n INT)"));
    shop.project.wait_asleep();
    assert_eq!(succeed(&mut shop.mariadb("SELECT COUNT(*) FROM t")), "0\n");
    shop.project.wait_asleep();
}
