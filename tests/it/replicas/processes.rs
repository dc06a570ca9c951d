//! Several processes of the real program.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fake_jira::{Flavour, MIA};
use flagger_jira_bridge::store::{self, Store};
use sqlx::{AnyConnection, Connection as _};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{about, gates, has_replicas, post};
use crate::world::{
    database::Database,
    program::{PATIENCE, Serving, jira_and_config, program},
    question,
};

/// Several processes start on an empty database at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_start_at_once_on_an_empty_database() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::fresh(directory.path()).await;
    let mut opening = JoinSet::new();
    for _ in 0..5 {
        let url = database.url.clone().into();
        opening.spawn(async move { Store::open(&url).await });
    }
    while let Some(opened) = opening.join_next().await {
        let store = opened.unwrap().unwrap();
        store.begin_write().await.unwrap().commit().await.unwrap();
        store.close().await;
    }
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM turn").fetch_one(&mut connection).await.unwrap();
    assert_eq!(seq, 5);
    connection.close().await.unwrap();
}

/// The program does not change the database of a newer version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_ends_the_program() {
    let (_jira, (_directory, database), config) = jira_and_config(Flavour::Cloud, "").await;
    Store::open(&database.url.clone().into()).await.unwrap().close().await;
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 99, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let opened = Store::open(&database.url.clone().into()).await;
    assert!(matches!(opened, Err(store::Error::Newer(99))));
    let output = program().args(["serve", "-c"]).arg(&config).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.contains("newer version")).collect();
    let [line] = lines.as_slice() else { panic!("one line, not:\n{errors}") };
    assert!(line.contains("its schema is 99") && line.contains("start that version"), "{line}");
}

/// Requests to a serving program, as Flagger and people send them.
impl Serving {
    /// Asks until the answer contains these words, or the process has ended. Returns the time it took.
    async fn shows(&self, words: &str) -> Duration {
        let began = Instant::now();
        self.asks_until("confirm-promotion", "Progressing", "new", words).await;
        began.elapsed()
    }

    /// Waits until `/api/gates` shows this state. Returns the time it took.
    async fn lists(&self, state: &str) -> Duration {
        let began = Instant::now();
        loop {
            let gates = gates(&self.addresses[2]).await;
            if gates[0]["state"] == state {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "{gates}");
            tokio::task::yield_now().await;
        }
    }
}

/// Two processes: each shows the other's changes, a webhook to either is read, and when the leader is killed, the other
/// takes over within the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed() {
    if !has_replicas() {
        return;
    }
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let leader = Serving::start(&config);
    let standby = Serving::start(&config);
    standby.asks("confirm-promotion", "Progressing", "new").await;
    println!("opened and shown by the leader after {:?}", leader.shows("waiting for a decision").await);
    println!("… and at the standby after {:?}", standby.lists("waiting").await);
    let [ticket] = jira.issues().try_into().unwrap();

    jira.webhook(&format!("{}/jira/webhook", standby.addresses[1]), Some("some-webhook-secret"), None);
    jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    println!("a decision shows at the leader after {:?}", leader.lists("approved").await);
    println!("… and at the standby after {:?}", standby.shows("open: ").await);

    leader.signal("-KILL");
    let killed = Instant::now();
    let mut till = question("Progressing", "new");
    till["name"] = "till".into();
    let (status, _) = post(&format!("{}/gate/confirm-promotion", standby.addresses[0]), &till).await.unwrap();
    assert_eq!(status, 403);
    while jira.issues().len() < 2 {
        assert!(killed.elapsed() < PATIENCE, "the standby did not take over");
        tokio::task::yield_now().await;
    }
    println!("the standby opens a ticket {:?} after the leader was killed", killed.elapsed());
    let key = &jira.issues()[1].key;
    jira.move_issue(key, "Approved", MIA).unwrap();
    loop {
        let (status, words) =
            post(&format!("{}/gate/confirm-promotion", standby.addresses[0]), &till).await.unwrap();
        if status == 200 {
            break;
        }
        assert!(killed.elapsed() < 2 * PATIENCE, "{words}");
        tokio::task::yield_now().await;
    }
    assert_eq!(standby.asks("confirm-promotion", "Progressing", "new").await.0, 200, "the approval is kept");
    assert_eq!(jira.issues().len(), 2, "nothing twice");
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

/// The processes are replaced one after the other, while Flagger continues to ask those that are up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart() {
    if !has_replicas() {
        return;
    }
    let (jira, home, config) = jira_and_config(Flavour::DataCenter, "").await;
    let mut up = vec![Serving::start(&config), Serving::start(&config)];
    up[1].asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    let [ticket] = jira.issues().try_into().unwrap();
    jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    up[1].asks_until("confirm-promotion", "Progressing", "new", "open: ").await;

    let addresses: Arc<Mutex<Vec<String>>> = Arc::default();
    let set =
        |up: &[Serving]| *addresses.lock().unwrap() = up.iter().map(|it| it.addresses[0].clone()).collect();
    set(&up);
    let asking = {
        let (addresses, stop) = (Arc::clone(&addresses), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (mut answers, mut turned_away) = (0, 0);
            for number in 0_usize.. {
                if stopped.is_cancelled() {
                    break;
                }
                let canary = ["cart", "till", "shelf", "crate"][number % 4];
                let addresses = addresses.lock().unwrap().clone();
                let path = format!("{}/gate/confirm-promotion", addresses[number / 4 % addresses.len()]);
                match post(&path, &about(canary, "Progressing", "new")).await {
                    Ok((status, words)) => {
                        let expected = if canary == "cart" { 200 } else { 403 };
                        assert_eq!(status, expected, "{canary}: {words}");
                        answers += 1;
                    }
                    // It stopped listening: the Service sends the next request to another process.
                    Err(_) => turned_away += 1,
                }
            }
            (answers, turned_away)
        });
        (task, stop)
    };
    for _ in 0..2 {
        let mut old = up.remove(0);
        set(&up);
        old.signal("-TERM");
        assert_eq!(old.child.wait().unwrap().code(), Some(0));
        let began = Instant::now();
        let lead = lease(&home.1).await;
        println!("it stopped; the lease is given back or another's after {:?}: {lead}", began.elapsed());
        up.push(Serving::start(&config));
        set(&up);
    }
    asking.1.cancel();
    let (answers, turned_away) = asking.0.await.unwrap();
    println!("{answers} answers, {turned_away} turned away");
    assert!(answers > 0);
    for canary in ["till", "shelf", "crate"] {
        let body = about(canary, "Progressing", "new");
        let began = Instant::now();
        while !post(&format!("{}/gate/confirm-promotion", up[0].addresses[0]), &body)
            .await
            .unwrap()
            .1
            .contains("waiting for a decision")
        {
            assert!(began.elapsed() < PATIENCE);
        }
    }
    assert_eq!(jira.issues().len(), 4, "one ticket for each gate");
    assert_eq!(jira.complaints(), Vec::<String>::new());
}

/// The remaining time of the lease in milliseconds; zero if it was released.
async fn lease(database: &Database) -> i64 {
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let until = sqlx::query_scalar("SELECT until FROM lease").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    until
}
