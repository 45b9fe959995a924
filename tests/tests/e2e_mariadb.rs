//! MariaDB behind its endpoints: two clients that know nothing of each other, from asleep to awake
//! and back.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{User, in_every_mode, needed, process, wait_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};

in_every_mode!(
    data_is_there_after_the_next_wake,
    a_client_that_waits_for_the_greeting_wakes_the_server,
    a_wrong_password_gets_the_servers_own_error,
    who_is_not_let_in_hears_what_the_server_itself_says,
    a_killed_server_is_booted_again_with_all_that_was_committed,
    clients_show_why_a_mariadb_cannot_boot,
    tls_is_the_servers_own_and_is_verified_by_its_authority,
);

/// With launchd the server accepts no client itself.
mod handed {
    use super::{
        a_server_that_is_open_to_all_accepts_tcp_itself_and_sleeps,
        who_comes_without_tls_hears_it_from_the_server,
    };

    doze_tests::without_launchd!(
        a_server_that_is_open_to_all_accepts_tcp_itself_and_sleeps,
        who_comes_without_tls_hears_it_from_the_server,
    );
}

/// Longer than the slowest boot on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// On any kernel: late ones let only `CAP_NET_ADMIN` keep clients out of a TCP socket.
const WHO_KEEPS_OUT: User = User::Current;

/// A project with a MariaDB `shop`.
struct Shop {
    project: Project,
    port: u16,
}

impl Shop {
    /// One with these lines in its block; `None` if this machine lacks something.
    fn new(mode: Mode, lines: &str) -> Option<Self> {
        Self::of(User::Unprivileged, mode, lines)
    }

    /// Likewise, of that user.
    fn of(user: User, mode: Mode, lines: &str) -> Option<Self> {
        let project = Project::of(user, mode, "300ms")?;
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

    /// mariadb(1) over TLS, with a server that this authority vouches for.
    fn mariadb_by(&self, authority: &Path, sql: &str) -> Command {
        let mut command = self.mariadb(sql);
        command.arg(format!("--ssl-ca={}", authority.display()));
        command.arg("--ssl-verify-server-cert");
        command
    }

    /// `PyMySQL`, with what the URL of the instance says.
    fn pymysql(&self, sql: &str) -> Command {
        self.pymysql_at(&self.url(), sql)
    }

    /// Likewise, over TLS, with a server that this authority vouches for.
    fn pymysql_by(&self, authority: &Path, sql: &str) -> Command {
        let mut command = self.pymysql(sql);
        command.arg(authority);
        command
    }

    fn url(&self) -> String {
        let url = self.project.plan("shop").body.connection.url;
        url.expect("a URL")
    }

    fn pymysql_at(&self, url: &str, sql: &str) -> Command {
        const SCRIPT: &str = "\
import pymysql, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
tls = dict(ssl_ca=sys.argv[3], ssl_verify_cert=True, ssl_verify_identity=True) if sys.argv[3:] else {}
try:
    server = pymysql.connect(host=url.hostname, port=url.port, user=urllib.parse.unquote(url.username),
        password=urllib.parse.unquote_to_bytes(url.password or ''), database=url.path[1:], **tls)
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

/// The server has no TLS, and sees whoever comes by doze as local.
fn who_is_not_let_in_hears_what_the_server_itself_says(mode: Mode) {
    let lines = "user.shop.password = \"s3cret\"\nuser.tls.password = \"other\"";
    let Some(mut shop) = Shop::new(mode, lines) else {
        return;
    };
    shop.project
        .declare(&shop.toml(lines).replace("300ms", "1h"));
    shop.project.up();
    // From then on it is awake, so that it can be reached past doze as well.
    assert_eq!(succeed(&mut shop.mariadb("SELECT 1")), "1\n");
    let plan = shop.project.plan("shop");
    let direct = plan.paths.run.join("mariadb.sock");
    let unix = plan.endpoints.iter().find_map(|endpoint| match endpoint {
        doze_contract::Endpoint::Unix(path) => Some(path.clone()),
        doze_contract::Endpoint::Tcp(_) => None,
    });
    let unix = unix.expect("a unix endpoint");
    let at = |path: &str| ["--protocol=socket".to_owned(), format!("--socket={path}")];
    let secret = fs::read_to_string(plan.paths.data.join("superuser-password"));
    let mut by_hand = shop.mariadb("ALTER USER tls REQUIRE SSL");
    by_hand.args(at(direct.as_str()));
    by_hand.args(["--user=doze", "--database=mysql"]);
    succeed(by_hand.env("MYSQL_PWD", secret.expect("doze's own password")));

    for (user, password, more, says) in [
        (
            "shop",
            "wrong",
            "",
            "ERROR 1045 (28000): Access denied for user 'shop'@'localhost' (using password: YES)",
        ),
        (
            "shop",
            "",
            "",
            "ERROR 1045 (28000): Access denied for user 'shop'@'localhost' (using password: NO)",
        ),
        (
            "nobody",
            "x",
            "",
            "ERROR 1045 (28000): Access denied for user 'nobody'",
        ),
        (
            "tls",
            "other",
            "",
            "ERROR 1045 (28000): Access denied for user 'tls'",
        ),
        (
            "shop",
            "s3cret",
            "--database=mysql",
            "ERROR 1044 (42000): Access denied for user 'shop'@'%' to database 'mysql'",
        ),
        (
            "shop",
            "s3cret",
            "--ssl-verify-server-cert",
            "ERROR 2026 (HY000): TLS/SSL error: SSL is required, but the server does not support it",
        ),
    ] {
        let ask = |place: Option<&str>| {
            let mut client = shop.mariadb("SELECT 1");
            client.args(place.map(at).into_iter().flatten());
            client
                .arg(format!("--user={user}"))
                .env("MYSQL_PWD", password);
            refused(client.args(Some(more).filter(|more| !more.is_empty())))
        };
        let own = ask(Some(direct.as_str()));
        assert!(own.contains(says), "{own}");
        assert_eq!(ask(None), own);
        assert_eq!(ask(Some(unix.as_str())), own);
    }
    for (user, password) in [("nobody", "x"), ("tls", "other")] {
        let url = shop
            .url()
            .replace("shop:s3cret@", &format!("{user}:{password}@"));
        let said = refused(&mut shop.pymysql_at(&url, "SELECT 1"));
        let denied = format!("1045 Access denied for user '{user}'@'localhost'");
        assert!(said.contains(&denied), "{said}");
    }
    shop.project.run(&["sleep", "shop"]);
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
    let Some(mut shop) = Shop::of(WHO_KEEPS_OUT, mode, "open_to = \"all\"") else {
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

/// What a session says of its TLS: nothing if it has none.
const TLS: &str = "SHOW SESSION STATUS LIKE 'Ssl_version'";

/// An authority and a certificate by it for a server at this address, in a folder of the project.
struct Certified {
    authority: PathBuf,
    /// Another one, that knows nothing of the server.
    stranger: PathBuf,
    settings: String,
}

impl Certified {
    fn new(shop: &Shop) -> Self {
        let write = |name: &str, text: &str| {
            let world = &shop.project.world;
            world.write(format!("home/shop/it's tls/{name}"), text)
        };
        let [authority, stranger] = ["ours", "another"].map(|name| {
            let mut authority = CertificateParams::default();
            // Who has the name of its authority has signed itself.
            authority.distinguished_name.push(DnType::CommonName, name);
            authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let key = KeyPair::generate().expect("a key");
            CertifiedIssuer::self_signed(authority, key).expect("an authority")
        });
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        let server = server.signed_by(&key, &authority).expect("a certificate");
        let (certificate, key) = (
            write("server.crt", &server.pem()),
            write("server.key", &key.serialize_pem()),
        );
        Self {
            authority: write("ca.crt", &authority.pem()),
            stranger: write("stranger.crt", &stranger.pem()),
            settings: format!(
                "settings.ssl_cert = \"{}\"\nsettings.ssl_key = \"{}\"\n",
                certificate.display(),
                key.display()
            ),
        }
    }
}

fn tls_is_the_servers_own_and_is_verified_by_its_authority(mode: Mode) {
    let Some(mut shop) = Shop::new(mode, "") else {
        return;
    };
    let certified = Certified::new(&shop);
    let lines = format!("{}user.shop.password = \"s3cret\"", certified.settings);
    shop.project.declare(&shop.toml(&lines));
    shop.project.up();
    let (by, not_by) = (&certified.authority, &certified.stranger);
    // Each of them wakes the server.
    for client in &mut [shop.mariadb_by(by, TLS), shop.pymysql_by(by, TLS)] {
        let said = succeed(client);
        assert!(said.starts_with("Ssl_version\tTLSv1."), "{said}");
        shop.project.wait_asleep();
    }
    for client in &mut [shop.mariadb_by(not_by, TLS), shop.pymysql_by(not_by, TLS)] {
        let said = refused(client).to_lowercase();
        assert!(said.contains("certificate"), "{said}");
    }
    let mut wrong = shop.mariadb_by(by, TLS);
    let said = refused(wrong.env("MYSQL_PWD", "wrong"));
    let denied = "Access denied for user 'shop'@'localhost' (using password: YES)";
    assert!(said.contains(denied), "{said}");

    // It is not required.
    let mut plain = shop.mariadb(TLS);
    assert_eq!(succeed(plain.arg("--skip-ssl")), "Ssl_version\t\n");
    assert_eq!(succeed(&mut shop.pymysql(TLS)), "Ssl_version\t\n");
    shop.project.wait_asleep();
}

fn who_comes_without_tls_hears_it_from_the_server(mode: Mode) {
    let Some(mut shop) = Shop::of(WHO_KEEPS_OUT, mode, "") else {
        return;
    };
    let certified = Certified::new(&shop);
    let lines = format!(
        "{}settings.require_secure_transport = true\nopen_to = \"all\"",
        certified.settings
    );
    shop.project.declare(&shop.toml(&lines));
    shop.project.up();
    let by = &certified.authority;
    // Whoever comes while the structure is made comes over a unix socket, which is safe to the server.
    shop.project.run(&["wake", "shop"]);
    shop.project.wait_asleep();
    // The older one does not say why.
    let engine = shop.project.mariadb.as_ref().expect("it is there");
    let own = if engine.major() < 11 {
        "Access denied for user 'shop'@'127.0.0.1' (using password: NO)"
    } else {
        "Connections using insecure transport are prohibited while --require_secure_transport=ON."
    };
    let mut plain = shop.mariadb("SELECT 1");
    for client in &mut [plain.arg("--skip-ssl"), &mut shop.pymysql("SELECT 1")] {
        let said = refused(client);
        assert!(said.contains(own), "{said}");
        shop.project.wait_asleep();
    }
    for client in &mut [shop.mariadb_by(by, TLS), shop.pymysql_by(by, TLS)] {
        let said = succeed(client);
        assert!(said.starts_with("Ssl_version\tTLSv1."), "{said}");
    }
    shop.project.wait_asleep();
}
