//! PostgreSQL behind pgbouncer: transaction mode works, and for an unusable pgbouncer the error says what to set. Runs
//! if TEST_DATABASE_URL names a PostgreSQL server and pgbouncer is installed.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::yield_now,
};

use fake_jira::{Flavour, MIA};
use reqwest::Url;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::world::program::{PATIENCE, Serving, jira_and_config, program, store_url};

/// A pgbouncer with one server connection for all clients.
struct Pgbouncer {
    child: Child,
    url: String,
    _home: TempDir,
}

impl Pgbouncer {
    /// Starts one before the database at this address; `None` without PostgreSQL or pgbouncer.
    fn before(url: &str, settings: &str) -> Option<Self> {
        let pgbouncer = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let found = pgbouncer.into_iter().find(|path| Path::new(path).exists());
        let (false, Some(found)) = (url.starts_with("sqlite:"), found) else {
            println!("not tried: there is no PostgreSQL here, or no pgbouncer");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let mut url = Url::parse(url).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
        let server = format!(
            "host={} port={} user={}",
            url.host_str().unwrap(),
            url.port().unwrap_or(5432),
            url.username()
        );
        let ini = home.path().join("pgbouncer.ini");
        fs::write(
            &ini,
            format!(
                "[databases]\n* = {server}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = any\ndefault_pool_size = 1\n{settings}\n"
            ),
        )
        .unwrap();
        // pgbouncer refuses to run as root.
        let mut command = Command::new(found);
        let me = Command::new("id").arg("-u").output().unwrap();
        if me.stdout == b"0\n" {
            fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", found]);
        }
        let child = command.arg(&ini).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        url.set_port(Some(port)).unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "pgbouncer does not start");
            yield_now();
        }
        Some(Self { child, url: url.into(), _home: home })
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn says(command: &str, config: &Path, url: &str) -> (Option<i32>, String) {
    let mut program = program();
    program.args([command, "-c"]).arg(config).env("BRIDGE__STORE__URL", url);
    let output = program.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

/// Two bridges share a session: neither depends on settings, statements or locks that the other left in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_mode_works() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let (jira, _home, config) = jira_and_config(flavour, "").await;
        let settings = "pool_mode = transaction\nignore_startup_parameters = extra_float_digits";
        let Some(pgbouncer) = Pgbouncer::before(&store_url(config.to_str().unwrap()), settings) else {
            return;
        };
        let start = || {
            let mut program = program();
            program.env("BRIDGE__STORE__URL", &pgbouncer.url);
            Serving::start_as(program, &config)
        };
        let first = start();
        let second = start();
        first.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        second.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
        let key = jira.issues()[0].key.clone();
        jira.move_issue(&key, "Approved", MIA).unwrap();
        assert_eq!(first.asks_until("confirm-promotion", "Progressing", "new", "open: ").await.0, 200);
        assert_eq!(second.asks_until("confirm-promotion", "Progressing", "new", "open: ").await.0, 200);
        let logs = first.ends() + "\n" + &second.ends();
        // On a busy machine a bridge may wait too long for the only session, or hold it too long. It tries again.
        let slow = ["did not answer within", "pool timed out", "idle-in-transaction timeout"];
        let of_the_database = logs.lines().filter(|line| line.contains("database"));
        let errors: Vec<_> =
            of_the_database.filter(|line| !slow.iter().any(|words| line.contains(words))).collect();
        assert_eq!(errors, Vec::<&str>::new());
        // The schema exists already, and the session is not new.
        let third = start();
        assert_eq!(third.asks_until("confirm-promotion", "Progressing", "new", "open: ").await.0, 200);
        let (code, record) = says("audit", &config, &pgbouncer.url);
        assert_eq!(code, Some(0), "{record}");
        assert!(record.contains("approved"), "{record}");
        assert_eq!(third.asks("confirm-promotion", "Progressing", "new").await.0, 200);
        let (_, checked) = says("check", &config, &pgbouncer.url);
        assert!(checked.contains("accepts the connection"), "{checked}");
        assert_eq!(jira.issues().len(), 1);
        assert_eq!(jira.complaints(), Vec::<String>::new());
    }
}

/// `check`, and `serve` while it waits, say which setting of pgbouncer must change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_pgbouncer_is_reported_with_the_setting() {
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    for (settings, words) in [
        ("pool_mode = transaction", "put extra_float_digits into ignore_startup_parameters of pgbouncer"),
        (
            "pool_mode = statement\nignore_startup_parameters = extra_float_digits",
            "set pool_mode = transaction or session in pgbouncer, or go straight to PostgreSQL",
        ),
    ] {
        let Some(pgbouncer) = Pgbouncer::before(&store_url(config.to_str().unwrap()), settings) else {
            return;
        };
        let mut serving = program();
        serving.env("BRIDGE__STORE__URL", &pgbouncer.url);
        let mut serving = Serving::listens_as(serving, &config);
        assert!(serving.logs("store.url: ").contains(words), "{words}");
        drop(serving);
        let (code, checked) = says("check", &config, &pgbouncer.url);
        let line = checked.lines().find(|line| line.contains("store.url")).unwrap_or_default();
        assert!(code == Some(1) && line.starts_with("FAIL") && checked.contains(words), "{checked}");
    }
}
