//! The store cannot be reached or written, at the start and later.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use fake_jira::{FakeJira, Flavour, MIA};
use reqwest::Url;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::{
    failures::store_faults::{limit_files, lock, news, with_store},
    world::{
        network::{Way, proxied},
        program::{Serving, jira_and_config, program, store_url},
        question,
    },
};

const WEBHOOK: &str = "some-webhook-secret";

/// A proxy before this configuration's PostgreSQL, and the database's address through it; `None` on SQLite.
async fn through_a_proxy(config: &Path) -> Option<(String, tokio::sync::watch::Sender<Way>)> {
    let url = store_url(config.to_str().unwrap());
    if url.starts_with("sqlite:") { None } else { Some(proxied(&url).await) }
}

/// The program as an unprivileged user, because file permissions do not apply to root.
fn as_unprivileged_user(url: &str) -> Command {
    let bridge = with_store(url);
    // The owner of `/proc/self` is the user of this process.
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return bridge;
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(bridge.get_program());
    for (name, value) in bridge.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

impl Serving {
    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    async fn nudges(&self) -> (u16, String) {
        let body =
            "{\"webhookEvent\": \"jira:issue_updated\", \"issue\": {\"id\": \"10042\", \"key\": \"OPS-1\"}}";
        let request = reqwest::Client::new().post(format!("{}/jira/webhook", self.addresses[1]));
        let response = request.bearer_auth(WEBHOOK).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Checks that every question and report is refused with the reason.
    async fn is_closed(&self, stage: &str, why: &str) {
        let (status, line) = self.asks(stage, "Progressing", "new").await;
        assert_eq!((status, line.contains(why)), (403, true), "{line}");
        assert_eq!(self.asks("rollback", "Progressing", "new").await.0, 403);
        for path in ["/event", "/post-rollout"] {
            assert_eq!(self.posts(0, path, &question("Failed", "new")).await, 503, "{path}");
        }
        assert_eq!(self.nudges().await.0, 503);
    }

    /// Stops gracefully, so that SQLite removes its WAL file.
    fn stops(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    #[expect(clippy::disallowed_methods, reason = "this is not a request to Jira")]
    async fn is_ready(&self) -> bool {
        let request = reqwest::Client::new().get(format!("{}/readyz", self.addresses[2]));
        request.send().await.unwrap().status().is_success()
    }

    /// Asks at a gate, approves its ticket, and waits until it opens. Returns the number of tickets.
    async fn opens(&self, jira: &FakeJira, stage: &str) -> usize {
        self.asks_until(stage, "Progressing", "new", "waiting for a decision").await;
        let key = jira.issues().into_iter().max_by_key(|it| it.id.parse::<u64>().unwrap()).unwrap().key;
        jira.move_issue(&key, "Approved", MIA).unwrap();
        self.asks_until(stage, "Progressing", "new", "approved by Mia").await;
        jira.issues().len()
    }
}

/// The line of `check` about the database.
fn checks(mut command: Command, config: &Path) -> String {
    let out = command.args(["check", "-c"]).arg(config).output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    out.lines().find(|line| line.contains("store.url")).unwrap().to_owned()
}

/// The database is down when the bridge starts, and comes up later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_later() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let directory = home.0.path().join("later");
    let server = through_a_proxy(&config).await;
    let (url, cause) = match &server {
        None => (format!("sqlite://{}/bridge.db", directory.display()), "its directory does not exist"),
        Some((url, way)) => {
            way.send_replace(Way::Cut);
            (url.clone(), "127.0.0.1:")
        }
    };
    let mut serving = Serving::listens_as(with_store(&url), &config);
    let message = serving.logs("every gate stays closed until it can be opened");
    assert!(message.contains("store.url: cannot open ") && message.contains(cause), "{message}");
    serving.is_closed("confirm-promotion", "the store is not open yet").await;
    assert!(!serving.is_ready().await);
    match &server {
        None => std::fs::create_dir(&directory).unwrap(),
        Some((_, way)) => drop(way.send_replace(Way::Open)),
    }
    serving.logs(" ready");
    assert!(serving.is_ready().await);
    assert_eq!(serving.opens(&jira, "confirm-promotion").await, 1);
}

/// Another process locks the database, when the bridge starts and while it serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_locks_the_database() {
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let mut serving = Serving::start(&config);
    serving.opens(&jira, "confirm-promotion").await;
    serving.signal("-KILL");
    serving.child.wait().unwrap();
    let held = lock(config.to_str().unwrap()).await;
    serving = Serving::listens_as(program(), &config);
    let message = serving.logs("every gate stays closed until it can be opened");
    assert!(message.contains("another process holds a lock on it for too long"), "{message}");
    serving.is_closed("confirm-promotion", "the store is not open yet").await;
    held.close().await.unwrap();
    serving.logs(" ready");
    serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;

    let held = lock(config.to_str().unwrap()).await;
    serving.is_closed("confirm-traffic-increase", "the database failed: ").await;
    held.close().await.unwrap();
    assert_eq!(serving.nudges().await.0, 200);
    assert_eq!(serving.posts(0, "/event", &news("Advance")).await, 200);
    assert_eq!(serving.opens(&jira, "confirm-traffic-increase").await, 2);
}

/// A file or directory is read-only when the bridge starts: `check` and `serve` name it, and no restart is needed
/// afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_at_the_start() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let directory = home.0.path().join("data");
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("bridge.db");
    let url = format!("sqlite://{}", file.display());
    Serving::start_as(with_store(&url), &config).stops();
    let beside = directory.join("bridge.db-shm");
    // The user's number and the advice follow.
    let may_not = "user ";
    let shm = format!("{} cannot be written: {may_not}", beside.display());
    for (nth, (path, mode, why)) in [
        (&file, 0o444, &format!("it cannot be written: {may_not}")),
        (&beside, 0o444, &shm),
        (&directory, 0o555, &format!("no file can be created in its directory: {may_not}")),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&beside, "").unwrap();
        allow(path, mode);
        let mut serving = Serving::listens_as(as_unprivileged_user(&url), &config);
        let message = serving.logs("every gate stays closed until it can be opened");
        let words = format!("store.url: cannot open {}: {why}", file.display());
        assert!(message.contains(&words), "{message}");
        let check = checks(as_unprivileged_user(&url), &config);
        assert!(check.starts_with("FAIL  store.url ") && check.contains(why), "{check}");
        serving.is_closed("confirm-promotion", "the store is not open yet").await;
        allow(path, 0o755);
        serving.logs(" ready");
        let stage = format!("confirm-promotion?gate={nth}");
        assert_eq!(serving.opens(&jira, &stage).await, nth + 1);
        assert!(checks(as_unprivileged_user(&url), &config).starts_with("ok    store.url "));
        serving.stops();
    }
}

/// A file or directory becomes read-only while the bridge runs, which notices it when it opens the file again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_becomes_read_only() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let directory = home.0.path().join("data");
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("bridge.db");
    let mut shell = Command::new("sh");
    let bridge = as_unprivileged_user(&format!("sqlite://{}", file.display()));
    // SIGXFSZ would end the process before SQLite gets the error.
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(bridge.get_program()).args(bridge.get_args());
    shell.env("BRIDGE__STORE__URL", format!("sqlite://{}", file.display()));
    let serving = Serving::start_as(shell, &config);
    serving.opens(&jira, "confirm-promotion").await;
    for (nth, (path, mode)) in [(&file, 0o444), (&directory, 0o555)].into_iter().enumerate() {
        allow(path, mode);
        // A full disk aborts a transaction: the connection is discarded.
        limit_files(serving.child.id(), "1");
        assert_eq!(serving.posts(0, "/event", &news(&format!("Advance {nth}"))).await, 503);
        limit_files(serving.child.id(), "unlimited");
        if path == &file {
            for _ in 0..2 {
                serving.is_closed("confirm-traffic-increase", "the database failed: ").await;
            }
            let (_, line) = serving.asks("confirm-traffic-increase", "Progressing", "new").await;
            assert!(
                line.contains(
                    "let the bridge write the file, those beside it (-wal, -shm) and its directory"
                ),
                "{line}"
            );
        }
        let (status, line) = serving.asks("confirm-promotion", "Progressing", "new").await;
        assert!(status == 200 || line.contains("the database"), "{line}");
        allow(path, 0o755);
        for beside in directory.read_dir().unwrap() {
            // SQLite creates them with the permissions of the file.
            allow(&beside.unwrap().path(), 0o644);
        }
        serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;
        let words = news(&format!("Advance again {nth}"));
        assert_eq!(serving.posts(0, "/event", &words).await, 200, "it recovers without a restart");
    }
    assert_eq!(serving.opens(&jira, "confirm-traffic-increase").await, 2);
}

/// PostgreSQL becomes read-only, and back, without closing connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_server() {
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let url = store_url(config.to_str().unwrap());
    if url.starts_with("sqlite:") {
        // SQLite has no server; a read-only file has its own test.
        return;
    }
    sqlx::any::install_default_drivers();
    let mut admin = AnyConnection::connect(&url).await.unwrap();
    let name = Url::parse(&url).unwrap().path()[1..].to_owned();
    let mut sql = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    };
    let serving = Serving::start(&config);
    serving.opens(&jira, "confirm-promotion").await;
    sql(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    sql(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    ))
    .await;
    let hint = "this server is read-only; does the address lead to a standby?";
    serving.asks_until("confirm-traffic-increase", "Progressing", "new", hint).await;
    serving.is_closed("confirm-traffic-increase", hint).await;
    sql(format!("ALTER DATABASE {name} SET default_transaction_read_only = off")).await;
    // All at once, to use every pooled connection.
    let stages = ["?gate=a", "?gate=b", "?gate=c", "?gate=d"].map(|gate| format!("confirm-promotion{gate}"));
    let [a, b, c, d] = &stages;
    let ask = |stage| serving.asks(stage, "Progressing", "new");
    let (a, b, c, d) = tokio::join!(ask(a), ask(b), ask(c), ask(d));
    for (status, line) in [a, b, c, d] {
        assert_eq!((status, line.contains("the bridge is opening it")), (403, true), "{line}");
    }
    serving.asks_until("confirm-traffic-increase", "Progressing", "new", "waiting for a decision").await;
    assert_eq!(serving.posts(0, "/event", &news("Advance")).await, 200);
    for stage in &stages {
        serving.asks_until(stage, "Progressing", "new", "waiting for a decision").await;
    }
    assert_eq!(jira.issues().len(), 6);
    admin.close().await.unwrap();
}
