//! Faults of the store: unreadable rows, and a database that is locked, full, down or silent.

use std::{path::Path, process::Command, time::Duration};

use fake_jira::{Flavour, MIA};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::world::{
    Answer, World,
    network::{Way, proxied},
    program::{Serving, jira_and_config, program, run, store_url, until},
    question,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A question about another canary than `shop/cart`.
fn till() -> Value {
    let mut till = question("Progressing", "new");
    till["name"] = "till".into();
    till
}

/// A report with a message for the tickets, which must be stored.
pub(crate) fn news(words: &str) -> Value {
    let mut news = question("Progressing", "new");
    news["metadata"] = serde_json::json!({ "eventMessage": words });
    news
}

/// A connection that blocks all other writers until it is dropped.
pub(crate) async fn lock(config: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = store_url(config);
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let statements = if url.starts_with("sqlite:") {
        ["BEGIN EXCLUSIVE", "SELECT 1"]
    } else {
        ["BEGIN", "UPDATE turn SET seq = seq"]
    };
    for sql in statements {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    connection
}

impl World {
    fn keeps_in_a_file(&self) -> bool {
        store_url(&self.config()).starts_with("sqlite:")
    }

    /// Opens a gate of `shop/cart` and one of `shop/till`. Returns their tickets' keys.
    async fn two_open_gates(&self) -> [String; 2] {
        self.asks("confirm-promotion", "Progressing", "new").await;
        self.run_worker().await;
        let cart = self.newest();
        self.posts("/gate/confirm-promotion", &till()).await;
        self.run_worker().await;
        let tickets = [cart, self.newest()];
        for key in &tickets {
            self.decides(key, "Approved").await;
        }
        assert_eq!([self.asks_cart().await.status, self.asks_till().await], [200, 200]);
        tickets
    }

    async fn asks_cart(&self) -> Answer {
        self.asks("confirm-promotion", "Progressing", "new").await
    }

    async fn asks_till(&self) -> u16 {
        self.posts("/gate/confirm-promotion", &till()).await.status
    }

    async fn text(&self, sql: &str) -> String {
        let mut connection = AnyConnection::connect(&store_url(&self.config())).await.unwrap();
        let text =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        text
    }

    /// The state and reason of each gate of `shop/cart`, as the API shows them.
    async fn shown_states(&self) -> Vec<(String, String)> {
        let gates = self.gates().await;
        let cart = gates.as_array().unwrap().iter().filter(|gate| gate["canary"] == "cart");
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        cart.map(|gate| (word(&gate["state"]), word(&gate["reason"]))).collect()
    }

    /// Advances the clock while the bridge serves.
    async fn serves_for(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.advance(Duration::from_secs(5));
            self.ticks().await;
        }
        self.run_worker().await;
    }
}

/// A corrupt row closes only its own canary, the reason is shown, and it can be repaired without a restart.
#[tokio::test]
async fn a_corrupt_row_closes_its_own_canary() {
    for world in World::both("").await {
        world.two_open_gates().await;
        let good = world.text("SELECT state FROM canary WHERE id LIKE '%/cart'").await;
        let mut garbage = vec![
            ("'Dear reader'", "expected"),
            ("'[]'", "invalid length"),
            ("'{}'", "missing field"),
            ("(SELECT state FROM canary WHERE id LIKE '%/till')", "it is about default/shop/till"),
        ];
        if world.keeps_in_a_file() {
            garbage.push(("X'00FF'", "decoding"));
        }
        for (state, why) in garbage {
            world.sql("UPDATE turn SET seq = seq + 1").await;
            let set = format!("UPDATE canary SET state = {state}, seq = (SELECT seq FROM turn)");
            world.sql(&format!("{set} WHERE id LIKE '%/cart'")).await;
            world.ticks().await;
            for _ in 0..2 {
                let answer = world.asks_cart().await;
                assert_eq!(answer.status, 403, "{state}");
                assert!(answer.body.contains(why), "{state}: {}", answer.body);
                let rollback = world.asks("rollback", "Progressing", "new").await;
                assert_eq!(rollback.status, 403);
                assert!(rollback.body.contains(why), "{state}: {}", rollback.body);
                assert_eq!(world.reports("/event", "Progressing", "new").await.status, 503, "{state}");
                let [(shown, reason)] = world.shown_states().await.try_into().unwrap();
                assert_eq!(shown, "stuck");
                assert!(reason.contains(why) && reason.contains("repaired or deleted"), "{reason}");
                let page = world.sends(world.admin("GET", "/")).await.body;
                assert!(page.contains("cannot be read"), "{page}");
                let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
                assert!(metrics.contains("gates{state=\"stuck\"} 1\n"), "{metrics}");
                assert_eq!(world.asks_till().await, 200, "{state}: another canary");
                world.restarts().await;
            }
            world.sql(&format!("UPDATE canary SET state = '{good}' WHERE id LIKE '%/cart'")).await;
            world.ticks().await;
            assert_eq!(world.asks_cart().await.status, 200, "{state}: repaired");
            assert_eq!(world.shown_states().await[0].0, "approved");
        }
        world.sql("UPDATE turn SET seq = seq + 1").await;
        let set = "UPDATE canary SET state = '', seq = (SELECT seq FROM turn)";
        world.sql(&format!("{set} WHERE id LIKE '%/cart'")).await;
        world.ticks().await;
        world.sql("DELETE FROM canary WHERE id LIKE '%/cart'").await;
        world.ticks().await;
        assert_eq!(world.shown_states().await, []);
        assert_eq!(world.asks_cart().await.status, 403, "the canary is unknown");
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 3);
        world.finish().await;
    }
}

/// A row turns out to be corrupt in a writing transaction: from then on memory opens nothing.
#[tokio::test]
async fn a_row_that_is_found_corrupt_in_a_write() {
    for world in World::both("").await {
        world.two_open_gates().await;
        world.sql("UPDATE canary SET state = 'x' WHERE id LIKE '%/cart'").await;
        assert_eq!(world.posts("/event", &news("Advance")).await.status, 503);
        assert_eq!(world.asks_cart().await.status, 403);
        assert_eq!(world.shown_states().await[0].0, "stuck");
        assert_eq!(world.asks_till().await, 200);
    }
}

/// A row with a transaction number that cannot exist.
#[tokio::test]
async fn a_row_with_a_negative_number() {
    for world in World::both("").await {
        let [cart, _] = world.two_open_gates().await;
        world.sql("UPDATE canary SET seq = -5 WHERE id LIKE '%/cart'").await;
        world.restarts().await;
        assert_eq!(world.asks_cart().await.status, 200);
        world.decides(&cart, "To Do").await;
        assert_eq!(world.asks_cart().await.status, 403, "its ticket is read");
        world.finish().await;
    }
}

/// While a canary's row cannot be read, the bridge cannot know whether its ticket is still needed: the ticket is
/// neither opened nor dropped, and others are not delayed.
#[tokio::test]
async fn a_ticket_waits_until_its_canary_is_repaired() {
    for world in World::both("").await {
        world.asks_cart().await;
        let good = world.text("SELECT state FROM canary WHERE id LIKE '%/cart'").await;
        world.sql("UPDATE canary SET state = 'x' WHERE id LIKE '%/cart'").await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 0);
        world.asks_till().await;
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 1, "another canary's");
        world.advance(MINUTE);
        world.run_worker().await;
        assert_eq!(world.count("outbox").await, 1, "the command is kept");
        world.sql(&format!("UPDATE canary SET state = '{good}' WHERE id LIKE '%/cart'")).await;
        world.ticks().await;
        world.advance(5 * MINUTE);
        world.run_worker().await;
        assert_eq!(world.tickets().len(), 2);
        world.finish().await;
    }
}

/// Unreadable rows of tickets and commands do not delay others.
#[tokio::test]
async fn corrupt_commands_and_tickets() {
    for world in World::both("").await {
        let [cart, live] = world.two_open_gates().await;
        world.reports("/post-rollout", "Failed", "new").await;
        world.run_worker().await;
        let mut columns = vec!["command = '{'", "canary = 'nobody'"];
        if world.keeps_in_a_file() {
            columns.extend(["command = X'00FF'", "attempts = 'often'", "canary = 7"]);
        }
        for (nth, column) in columns.iter().enumerate() {
            world.asks("confirm-promotion", "Progressing", &format!("newer-{nth}")).await;
            world.sql(&format!("UPDATE outbox SET {column} WHERE parked_at IS NULL AND kind = 'open'")).await;
            world.run_worker().await;
            let reason =
                world.text("SELECT why FROM outbox WHERE parked_at IS NOT NULL ORDER BY id DESC").await;
            assert!(reason.contains("cannot be read"), "{column}: {reason}");
        }
        for column in ["ticket = '{'", "name = ''", "canary = 'x'"] {
            world.sql(&format!("UPDATE ticket SET {column} WHERE ended_at IS NOT NULL")).await;
            world.advance(MINUTE);
            world.jira.move_issue(&cart, "Approved", MIA).unwrap();
            assert_eq!(world.nudges(&cart).await.status, 200, "{column}");
            world.run_worker().await;
            assert_eq!(world.count("nudge").await, 0, "{column}: it is read at once");
        }
        world.decides(&live, "To Do").await;
        assert_eq!(world.asks_till().await, 403, "current tickets are read");
    }
}

/// Another program locks the database for longer than the bridge's timeout.
#[tokio::test]
async fn a_locked_database() {
    let world = World::start(Flavour::Cloud).await;
    let [cart, _] = world.two_open_gates().await;
    let held = lock(&world.config()).await;
    assert_eq!(world.asks_cart().await.status, 200, "the approval is trusted");
    let new = question("Progressing", "newer");
    let (one, two, report, nudge) = tokio::join!(
        world.posts("/gate/confirm-promotion", &new),
        world.posts("/gate/confirm-traffic-increase", &new),
        world.reports("/event", "Succeeded", "new"),
        world.nudges(&cart),
    );
    assert_eq!([one.status, two.status, report.status, nudge.status], [403, 403, 503, 503]);
    for body in [&one.body, &two.body, &report.body, &nudge.body] {
        assert!(body.contains("the database failed: ") && body.contains("; "), "{body}");
    }
    assert_eq!(world.asks_cart().await.status, 200, "nothing was changed");
    held.close().await.unwrap();
    assert_eq!(world.nudges(&cart).await.status, 200);
    assert_eq!(world.reports("/event", "Succeeded", "new").await.status, 200);
    assert_eq!(world.posts("/gate/confirm-promotion", &new).await.status, 403);
    world.run_worker().await;
    assert_eq!(world.tickets().len(), 3);
    world.finish().await;
}

/// A verdict that changes while nothing can be stored is closed, and recorded as soon as the store works.
#[tokio::test]
async fn a_verdict_change_that_cannot_be_stored() {
    let world = World::start(Flavour::Cloud).await;
    let [cart, _] = world.two_open_gates().await;
    for (status, expected, turned) in [("To Do", 403, 1), ("Approved", 200, 2)] {
        world.decides(&cart, status).await;
        let held = lock(&world.config()).await;
        let answer = world.asks_cart().await;
        assert_eq!((answer.status, answer.body.contains("the database")), (403, true), "{}", answer.body);
        held.close().await.unwrap();
        for _ in 0..2 {
            assert_eq!(world.asks_cart().await.status, expected);
            assert_eq!(world.count("audit WHERE kind = 'verdict_changed'").await, turned);
        }
    }
    world.finish().await;
}

/// A message that could not be stored interrupts a short silence, so that an outage ends no rollout; but it does not
/// hide a long silence, after which the same revision may be another rollout.
#[tokio::test]
async fn a_message_that_could_not_be_stored() {
    let world = World::start(Flavour::Cloud).await;
    world.two_open_gates().await;
    world.serves_for(8 * MINUTE).await;
    let held = lock(&world.config()).await;
    assert_eq!(world.posts("/event", &news("Advance")).await.status, 503);
    held.close().await.unwrap();
    world.serves_for(8 * MINUTE).await;
    assert_eq!(world.asks_cart().await.status, 200, "Flagger sent a message meanwhile");

    world.serves_for(11 * MINUTE).await;
    let held = lock(&world.config()).await;
    assert_eq!(world.asks_cart().await.status, 403);
    held.close().await.unwrap();
    world.serves_for(MINUTE).await;
    assert_eq!(world.asks_cart().await.status, 403, "the same revision, coming back");
    world.finish().await;
}

/// The bridge was down for an hour, and the first message arrives before the lease is taken again: that hour is not
/// counted, but a later silence is.
#[tokio::test]
async fn an_outage_does_not_hide_a_later_silence() {
    for world in World::both("").await {
        world.two_open_gates().await;
        world.ticks().await;
        world.advance(HOUR);
        assert_eq!(world.posts("/event", &news("Advance")).await.status, 200);
        world.serves_for(11 * MINUTE).await;
        assert_eq!(world.asks_cart().await.status, 403, "the same revision, coming back");
        world.finish().await;
    }
}

/// Limits the size of files that a process writes.
pub(crate) fn limit_files(pid: u32, bytes: &str) {
    let done =
        Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(done.unwrap().success());
}

/// The database file cannot grow: approvals hold, new questions are refused with the cause, and with space it recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let (jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let file = format!("sqlite://{}", home.0.path().join("full.db").display());
    // SIGXFSZ would end the process before SQLite gets the error.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(program().get_program());
    shell.env("BRIDGE__STORE__URL", &file);
    let serving = Serving::start_as(shell, &config);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    let [ticket] = jira.issues().try_into().unwrap();
    jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    serving.asks_until("confirm-promotion", "Progressing", "new", "open: ").await;
    // The comment about it is written: a commit that fails for lack of space costs the only connection.
    let pending = "outbox_rows{state=\"pending\"} 0";
    until("nothing is left to do", async || {
        !jira.issue(&ticket.key).unwrap().comments.is_empty()
            && serving.gets(2, "/metrics").await.1.contains(pending)
    })
    .await;
    // Twice, because a failed commit must not affect the next transaction.
    for stage in ["confirm-traffic-increase", "confirm-traffic-increase?gate=qa"] {
        limit_files(serving.child.id(), "1");
        let (status, line) = serving.asks(stage, "Progressing", "new").await;
        assert_eq!(status, 403);
        assert!(line.contains("the database failed: ") && line.contains("disk"), "{line}");
        let (status, line) = serving.asks("confirm-promotion", "Progressing", "new").await;
        assert_eq!((status, line.contains("approved by Mia")), (200, true), "{line}");
        assert_eq!(serving.posts(0, "/event", &news(stage)).await, 503);
        limit_files(serving.child.id(), "unlimited");
        assert_eq!(serving.posts(0, "/event", &news(stage)).await, 200);
    }
    serving.asks_until("confirm-traffic-increase", "Progressing", "new", "waiting for a decision").await;
    assert_eq!(jira.issues().len(), 2);
    serving.signal("-KILL");
    let again = Serving::start_as(with_store(&file), &config);
    let (status, line) = again.asks("confirm-promotion", "Progressing", "new").await;
    assert_eq!((status, line.contains("approved by Mia")), (200, true), "{line}");
    let (_, line) = again.asks("confirm-traffic-increase", "Progressing", "new").await;
    assert!(line.contains("waiting for a decision"), "stored data survives a crash: {line}");
}

pub(crate) fn with_store(url: &str) -> Command {
    let mut program = program();
    program.env("BRIDGE__STORE__URL", url);
    program
}

/// PostgreSQL is restarted, unreachable or silent: every question is answered 403 within Flagger's timeout, and broken
/// connections are replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_goes_away() {
    let (jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let url = store_url(config.to_str().unwrap());
    if let Some(file) = url.strip_prefix("sqlite://") {
        // SQLite has no server.
        assert!(Path::new(file).parent().unwrap().is_dir());
        return;
    }
    let (url, way) = proxied(&url).await;
    let serving = Serving::start_as(with_store(&url), &config);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    jira.move_issue(&jira.issues()[0].key, "Approved", MIA).unwrap();
    serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;
    for (nth, bad) in [Way::Cut, Way::Silent].into_iter().enumerate() {
        way.send_replace(bad);
        let (status, line) = serving.asks("confirm-traffic-increase", "Progressing", "new").await;
        assert_eq!(status, 403, "{bad:?}");
        if nth == 0 {
            assert!(line.contains("the database"), "{bad:?}: {line}");
        }
        assert_eq!(serving.posts(0, "/event", &news(&format!("{bad:?}"))).await, 503, "{bad:?}");
        // Another replica may have read a withdrawal meanwhile, so an approval proven two seconds ago opens nothing.
        serving.asks_until("confirm-promotion", "Progressing", "new", "the database").await;
        way.send_replace(Way::Open);
        serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;
        serving.asks_until("confirm-traffic-increase", "Progressing", "new", "waiting for a decision").await;
    }
    assert_eq!(jira.issues().len(), 2);
}

/// A session that holds the audit table for itself hangs no `audit`: it ends with one line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_record_that_is_locked() {
    let (_jira, _home, config) = jira_and_config(Flavour::Cloud, "").await;
    let config = config.to_str().unwrap();
    let url = store_url(config);
    if url.starts_with("sqlite:") {
        // SQLite lets readers read.
        return;
    }
    drop(Serving::start(Path::new(config)));
    sqlx::any::install_default_drivers();
    let mut session = AnyConnection::connect(&url).await.unwrap();
    let mut held = session.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    for options in [["audit", "-c", config, "--format=csv"], ["audit", "-c", config, "--verify"]] {
        let (code, _, errors) = run(&options);
        assert_eq!(code, Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains("the database did not answer within 4 s"), "{errors}");
    }
    held.rollback().await.unwrap();
    assert_eq!(run(&["audit", "-c", config, "--verify"]).0, Some(0));
}
