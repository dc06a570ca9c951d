//! The audit record, as `audit` prints it while the bridge runs.

use std::{io, path::Path, time::Duration};

use fake_jira::{Flavour, MIA};
use flagger_jira_bridge::{
    cli::{self, Audit, AuditFormat},
    config,
};
use serde_json::{Value, json};

use crate::world::{World, database::Database, program::run};

crate::world::crash::crash_tests!(
    every_change_of_a_verdict_is_on_record,
    a_verdict_change_survives_a_crash,
    a_ticket_that_is_deleted_closes_an_open_gate,
);

const TOKEN: &str = "what-flagger-brings-along";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A question with metadata that includes the token.
fn question(phase: &str, checksum: &str) -> Value {
    json!({
        "name": "cart", "namespace": "shop", "phase": phase, "checksum": checksum,
        "metadata": { "token": TOKEN, "revision": "=v2, \"new\"", "note": "for the ticket only" },
    })
}

fn settings() -> String {
    format!(
        "flagger.token = \"{TOKEN}\"\napproval.approvers = [\"{MIA}\", \"mia\"]\napproval.deny = [\"group:interns\"]\n"
    )
}

/// The output of `audit`.
fn prints(world: &World, more: &[&str]) -> String {
    let config = world.config();
    let (code, out, errors) = run(&[&["audit", "-c", config.as_str()], more].concat());
    assert_eq!(code, Some(0), "{out}");
    assert!(errors.is_empty() || errors.starts_with("no rows concern ticket ") && out.is_empty(), "{errors}");
    out
}

fn rows(world: &World) -> Vec<Value> {
    prints(world, &[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The gates' states at each change of a verdict.
fn verdict_changes(world: &World) -> Vec<String> {
    let rows = rows(world).into_iter().filter(|row| row["kind"] == "verdict_changed");
    rows.map(|row| row["detail"]["state"].as_str().unwrap().to_owned()).collect()
}

/// Opens a promotion gate, approves it and uses the approval. Returns its ticket's key.
async fn opened(world: &World) -> String {
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let key = world.newest();
    world.decides(&key, "Approved").await;
    assert_eq!(world.asks("confirm-promotion", "Progressing", "new1").await.status, 200);
    key
}

/// Replaces everything that differs between runs.
fn stable(text: &str) -> String {
    let hash = |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
    let mut stable = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
        stable.push_str(if hash(&word[..end]) { "HASH" } else { &word[..end] });
        stable.push_str(&word[end..]);
    }
    stable
}

async fn approved_and_shipped(world: &World) {
    let asked = |phase| question(phase, "new1");
    assert_eq!(world.posts("/gate/confirm-promotion", &asked("Progressing")).await.status, 403);
    world.run_worker().await;
    world.decides(&world.newest(), "Approved").await;
    for _ in 0..3 {
        assert_eq!(world.posts("/gate/confirm-promotion", &asked("Progressing")).await.status, 200);
    }
    world.posts("/post-rollout", &asked("Succeeded")).await;
}

#[tokio::test]
async fn everything_that_decided_is_on_record() {
    for world in World::both(&settings()).await {
        world.jira.add_group("interns", &[]);
        approved_and_shipped(&world).await;
        let rows = rows(&world);
        let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "rollout_began",
                "gate_asked",
                "ticket_opened",
                "ticket_seen",
                "ticket_seen",
                "passed",
                "rollout_ended"
            ]
        );
        let key = world.newest();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row["id"], at + 1);
            assert_eq!(
                (&row["cluster"], &row["namespace"], &row["canary"]),
                (&json!("default"), &json!("shop"), &json!("cart"))
            );
            assert_eq!(row["detail"]["rollout"]["label"], "=v2, \"new\"", "{row}");
        }
        let seen = &rows[4]["detail"];
        assert_eq!((&seen["shows"], &seen["ticket"]["key"]), (&json!("approved"), &json!(key)));
        for decided in [seen, &rows[5]["detail"]] {
            let decision = &decided["decision"];
            assert_eq!(decision["by"]["name"], "Mia Change", "{decision}");
            assert_eq!(decision["status"]["name"], "Approved");
            assert!(decision["changelog_id"].as_str().unwrap().parse::<u64>().is_ok(), "{decision}");
            assert_eq!(decided["policy"]["approvers"], json!([MIA, "mia"]));
            assert_eq!(decided["policy"]["deny"], json!(["group:interns"]));
        }
        assert_eq!(rows[6]["detail"]["how"], "succeeded");
        assert_eq!(rows[6]["detail"]["gates"][0]["ticket"]["key"], key);
        world.finish().await;
    }
}

#[tokio::test]
async fn as_json_lines_and_as_csv() {
    let world = World::start_with(Flavour::Cloud, &settings()).await;
    world.jira.add_group("interns", &[]);
    approved_and_shipped(&world).await;
    let jsonl = prints(&world, &[]);
    insta::assert_snapshot!(stable(&jsonl), @r##"
    {"id":1,"at":"2026-09-21T14:13:20.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"rollout_began","detail":{"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"}},"hash":"HASH"}
    {"id":2,"at":"2026-09-21T14:13:20.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"gate_asked","detail":{"gate":null,"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"},"stage":"confirm-promotion"},"hash":"HASH"}
    {"id":3,"at":"2026-09-21T14:13:20.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"ticket_opened","detail":{"gate":null,"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"},"stage":"confirm-promotion","ticket":{"id":"10042","key":"OPS-1"}},"hash":"HASH"}
    {"id":4,"at":"2026-09-21T14:13:20.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"ticket_seen","detail":{"gate":null,"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"},"shows":"waiting","stage":"confirm-promotion","status":{"id":"10001","name":"To Do"},"ticket":{"id":"10042","key":"OPS-1"}},"hash":"HASH"}
    {"id":5,"at":"2026-09-21T14:13:40.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"ticket_seen","detail":{"decision":{"at":"2026-09-21T14:13:20.000Z","by":{"app":false,"id":"5b10ac8d82e05b22cc7d4e01","name":"Mia Change"},"changelog_id":"10102","from":"10001","status":{"id":"10007","name":"Approved"}},"gate":null,"policy":{"approved":["Approved"],"approvers":["5b10ac8d82e05b22cc7d4e01","mia"],"deny":["group:interns"],"rejected":["Rejected"],"route":"ticket","valid_for_ms":259200000},"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"},"shows":"approved","stage":"confirm-promotion","ticket":{"id":"10042","key":"OPS-1"}},"hash":"HASH"}
    {"id":6,"at":"2026-09-21T14:13:40.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"passed","detail":{"decision":{"at":"2026-09-21T14:13:20.000Z","by":{"app":false,"id":"5b10ac8d82e05b22cc7d4e01","name":"Mia Change"},"changelog_id":"10102","from":"10001","status":{"id":"10007","name":"Approved"}},"gate":null,"policy":{"approved":["Approved"],"approvers":["5b10ac8d82e05b22cc7d4e01","mia"],"deny":["group:interns"],"rejected":["Rejected"],"route":"ticket","valid_for_ms":259200000},"rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"},"stage":"confirm-promotion","ticket":{"id":"10042","key":"OPS-1"}},"hash":"HASH"}
    {"id":7,"at":"2026-09-21T14:13:40.000Z","cluster":"default","namespace":"shop","canary":"cart","kind":"rollout_ended","detail":{"gates":[{"gate":null,"shows":"approved","stage":"confirm-promotion","ticket":{"id":"10042","key":"OPS-1"},"used_at":"2026-09-21T14:13:40.000Z"}],"how":"succeeded","rollout":{"base":null,"began_at":"2026-09-21T14:13:20.000Z","label":"=v2, \"new\"","revision":"new1"}},"hash":"HASH"}
    "##);
    let csv = prints(&world, &["--format", "csv"]);
    assert!(csv.lines().count() == 8 && csv.split("\r\n").count() == 9, "{csv}");
    let csv = csv.strip_prefix('\u{feff}').expect("Excel needs a byte order mark");
    insta::assert_snapshot!(stable(csv).replace("\r\n", "\n"), @r#"
    id,at,cluster,namespace,canary,kind,event,stage,gate,ticket,ticket_id,label,revision,base,rollout_began_at,state,status,decided_by,decided_by_id,decided_by_app,decided_at,changelog_id,used_at,how,reason,before,after,route,approved_statuses,rejected_statuses,approvers,denied,valid_for,mode,step,hash
    1,2026-09-21T14:13:20.000Z,default,shop,cart,rollout_began,began,,,,,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,,,,,,,,,,,,,,,,,,,,,HASH
    2,2026-09-21T14:13:20.000Z,default,shop,cart,gate_asked,Flagger asked,confirm-promotion,,,,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,,,,,,,,,,,,,,,,,,,,,HASH
    3,2026-09-21T14:13:20.000Z,default,shop,cart,ticket_opened,opened,confirm-promotion,,OPS-1,10042,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,,,,,,,,,,,,,,,,,,,,,HASH
    4,2026-09-21T14:13:20.000Z,default,shop,cart,ticket_seen,waiting for a decision,confirm-promotion,,OPS-1,10042,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,waiting,To Do,,,,,,,,,,,,,,,,,,,HASH
    5,2026-09-21T14:13:40.000Z,default,shop,cart,ticket_seen,approved,confirm-promotion,,OPS-1,10042,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,approved,Approved,Mia Change,5b10ac8d82e05b22cc7d4e01,false,2026-09-21T14:13:20.000Z,10102,,,,,,ticket,Approved,Rejected,"5b10ac8d82e05b22cc7d4e01; mia",group:interns,72h,,,HASH
    6,2026-09-21T14:13:40.000Z,default,shop,cart,passed,told to go on,confirm-promotion,,OPS-1,10042,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,,Approved,Mia Change,5b10ac8d82e05b22cc7d4e01,false,2026-09-21T14:13:20.000Z,10102,,,,,,ticket,Approved,Rejected,"5b10ac8d82e05b22cc7d4e01; mia",group:interns,72h,,,HASH
    7,2026-09-21T14:13:40.000Z,default,shop,cart,rollout_ended,ended: succeeded,confirm-promotion,,OPS-1,10042,"'=v2, ""new""",new1,,2026-09-21T14:13:20.000Z,approved,,,,,,,2026-09-21T14:13:40.000Z,succeeded,,,,,,,,,,,,HASH
    "#);
    let verified = prints(&world, &["--verify"]);
    assert!(verified.starts_with("ok: 7 rows verified, ") && verified.lines().count() == 1, "{verified}");
    world.finish().await;
}

/// An auditor asks who approved something: by ticket, by canary, by namespace.
#[tokio::test]
async fn only_what_concerns_a_ticket_or_a_canary() {
    let world = World::start(Flavour::Cloud).await;
    let first = opened(&world).await;
    world.asks("confirm-traffic-increase", "Progressing", "new1").await;
    world.run_worker().await;
    let second = world.newest();
    world.reports("/post-rollout", "Failed", "new1").await;
    let other = json!({ "name": "web", "namespace": "front", "phase": "Progressing", "checksum": "1" });
    world.posts("/gate/confirm-promotion", &other).await;
    world.run_worker().await;
    let kinds = |more: &[&str]| {
        let out = prints(&world, more);
        let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let lower = first.to_lowercase();
    for key in [&first, &lower] {
        assert_eq!(kinds(&["--ticket", key]), "ticket_opened ticket_seen ticket_seen passed rollout_ended");
    }
    assert_eq!(kinds(&["--ticket", &second]), "ticket_opened ticket_seen rollout_ended");
    assert_eq!(kinds(&["--ticket", "OPS-77"]), "");
    let of_web = "rollout_began gate_asked ticket_opened ticket_seen";
    assert_eq!(kinds(&["--canary", "web"]), of_web);
    assert_eq!(kinds(&["--namespace", "front", "--cluster", "default"]), of_web);
    assert_eq!(kinds(&["--canary", "web", "--ticket", &first]), "");
    assert_eq!(kinds(&["--cluster", "elsewhere"]), "");
    // As a table the end of the rollout has a line for each of its gates.
    let table = |more: &[&str]| {
        let out = prints(&world, &[&["--format", "csv"], more].concat());
        out.lines().skip(1).filter(|line| line.contains("rollout_ended")).count()
    };
    assert_eq!((table(&[]), table(&["--ticket", &first]), table(&["--ticket", &second])), (2, 1, 1));
    world.finish().await;
}

/// `--since` is computed from the test's clock.
#[tokio::test]
async fn since_then() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    world.advance(HOUR);
    world.reports("/post-rollout", "Succeeded", "new1").await;
    let config = config::load(Path::new(&world.config()), []).unwrap();
    for (since, rows) in [(None, 6), (Some(HOUR), 6), (Some(HOUR - Duration::from_millis(1)), 2)] {
        for (format, headings) in [(AuditFormat::Jsonl, 0), (AuditFormat::Csv, 1)] {
            let wanted = Audit { since, format, ..Audit::default() };
            let (mut out, now) = (Vec::new(), world.clock.now());
            assert!(cli::audit(&config.store.url, &wanted, now, &mut out, &mut io::sink()).await.unwrap());
            assert_eq!(String::from_utf8(out).unwrap().lines().count(), rows + headings, "{wanted:?}");
        }
    }
    world.finish().await;
}

/// If no row concerns a ticket, that is said, but not to the reader of the rows.
#[tokio::test]
async fn no_row_concerns_a_ticket() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let config = config::load(Path::new(&world.config()), []).unwrap();
    for (ticket, format, rows, said) in [
        ("OPS-1", AuditFormat::Jsonl, 1.., ""),
        ("OPS-99", AuditFormat::Jsonl, 0.., "no rows concern ticket OPS-99\n"),
        ("OPS-99", AuditFormat::Csv, 1.., "no rows concern ticket OPS-99\n"),
    ] {
        let wanted = Audit { ticket: Some(ticket.into()), format, ..Audit::default() };
        let (mut out, mut notes, now) = (Vec::new(), Vec::new(), world.clock.now());
        assert!(cli::audit(&config.store.url, &wanted, now, &mut out, &mut notes).await.unwrap());
        assert!(rows.contains(&String::from_utf8(out).unwrap().lines().count()), "{wanted:?}");
        assert_eq!(String::from_utf8(notes).unwrap(), said);
    }
    world.finish().await;
}

/// A reader that closes the pipe early is no error; a full disk is.
#[tokio::test]
async fn a_pipe_that_is_closed_early_is_no_error() {
    struct Broken(io::ErrorKind);
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    let config = config::load(Path::new(&world.config()), []).unwrap();
    for (format, verify) in
        [(AuditFormat::Jsonl, false), (AuditFormat::Csv, false), (AuditFormat::Jsonl, true)]
    {
        let wanted = Audit { format, verify, ..Audit::default() };
        let (url, now) = (&config.store.url, world.clock.now());
        let prints = async |kind| cli::audit(url, &wanted, now, &mut Broken(kind), &mut io::sink()).await;
        assert!(prints(io::ErrorKind::BrokenPipe).await.unwrap());
        assert!(prints(io::ErrorKind::StorageFull).await.is_err());
    }
    world.run_worker().await;
    world.finish().await;
}

/// Neither Flagger's token, nor other metadata of the hook, nor Jira's secrets are on record.
#[tokio::test]
async fn no_secret_is_on_record() {
    let world = World::start_with(Flavour::Cloud, &settings()).await;
    world.jira.add_group("interns", &[]);
    approved_and_shipped(&world).await;
    let out = prints(&world, &[]) + &prints(&world, &["--format", "csv"]);
    for secret in [TOKEN, crate::world::WEBHOOK_SECRET, "jira-token", "for the ticket only"] {
        assert!(!out.contains(secret), "{secret}");
    }
    for (name, bytes) in world.contents().await {
        let token = TOKEN.as_bytes();
        if !name.ends_with("config.toml") {
            assert!(!bytes.windows(token.len()).any(|window| window == token), "{name}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn a_question_that_changes_nothing_is_not_on_record() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.asks("rollback", "Progressing", "new1").await;
    world.run_worker().await;
    for status in [None, Some("Approved"), Some("Rejected"), Some("To Do"), Some("Approved")] {
        if let Some(status) = status {
            world.decides(&world.newest(), status).await;
            world.asks("confirm-promotion", "Progressing", "new1").await;
            world.asks("rollback", "Progressing", "new1").await;
        }
        let (rows, turns) = (prints(&world, &[]), world.turns().await);
        for _ in 0..20 {
            world.asks("confirm-promotion", "Progressing", "new1").await;
            world.asks("rollback", "Progressing", "new1").await;
        }
        assert_eq!((prints(&world, &[]), world.turns().await), (rows, turns), "{status:?}");
    }
    world.finish().await;
}

/// One rollout replaces another: each row names its rollout.
#[tokio::test]
async fn each_row_names_its_rollout() {
    let world = World::start(Flavour::DataCenter).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    world.decides(&world.newest(), "Rejected").await;
    world.asks("confirm-promotion", "Progressing", "new2").await;
    let summary: Vec<String> = rows(&world)
        .iter()
        .map(|row| format!("{} of {}", row["kind"].as_str().unwrap(), row["detail"]["rollout"]["revision"]))
        .collect();
    insta::assert_snapshot!(summary.join("\n"), @r##"
    rollout_began of "new1"
    gate_asked of "new1"
    ticket_opened of "new1"
    ticket_seen of "new1"
    ticket_seen of "new1"
    rollout_ended of "new1"
    rollout_began of "new2"
    gate_asked of "new2"
    "##);
    world.run_worker().await;
    world.finish().await;
}

#[tokio::test]
async fn old_rows_are_pruned_hourly() {
    let world = World::start_with(Flavour::Cloud, "store.keep_for = \"2h\"").await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.run_worker().await;
    let before = rows(&world).len();
    world.advance(HOUR);
    world.ticks().await;
    assert_eq!(rows(&world).len(), before);
    world.asks("confirm-traffic-increase", "Progressing", "new1").await;
    world.advance(HOUR);
    world.advance(Duration::from_secs(60));
    world.ticks().await;
    let left = rows(&world);
    assert_eq!((left.len(), &left[0]["kind"]), (1, &json!("gate_asked")));
    assert!(prints(&world, &["--verify"]).starts_with("ok: 1 row verified, "));
    world.run_worker().await;
    world.finish().await;
}

#[tokio::test]
async fn a_changed_row_is_found() {
    let world = World::start(Flavour::Cloud).await;
    world.asks("confirm-promotion", "Progressing", "new1").await;
    world.sql("UPDATE audit SET kind = 'passed' WHERE id = 2").await;
    let (code, out, errors) = run(&["audit", "--verify", "-c", &world.config()]);
    assert_eq!(
        (code, out.as_str(), errors.as_str()),
        (Some(1), "FAIL: row 2 was changed: its hash does not match\n", "")
    );
    world.sql("UPDATE audit SET kind = 'gate_asked' WHERE id = 2").await;
    world.run_worker().await;
    world.finish().await;
}

/// A database that no bridge has used yet.
#[tokio::test]
async fn an_empty_database_has_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::fresh(directory.path()).await;
    let config = directory.path().join("config.toml");
    std::fs::write(&config, without_jira(&database.url)).unwrap();
    if database.url.starts_with("sqlite:") {
        std::fs::write(directory.path().join("bridge.db"), "").unwrap();
    }
    for more in [&[][..], &["--verify"], &["--format", "csv"]] {
        let (code, out, errors) = run(&[&["audit", "-c", config.to_str().unwrap()], more].concat());
        assert_eq!((code, out.as_str(), errors.lines().count()), (Some(1), "", 1), "{errors}");
        assert!(errors.contains("no audit record"), "{errors}");
    }
}

/// A configuration that is only used to read a database.
fn without_jira(store: &str) -> String {
    format!(
        "store.url = \"{store}\"\njira.url = \"http://127.0.0.1:1\"\njira.token = \"t\"\nticket.project = \"OPS\"\n"
    )
}

/// Reading creates no file. SQLite only: PostgreSQL has no files that the program could create.
#[test]
fn a_missing_database_file_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    let store = format!("sqlite://{}", directory.path().join("bridge.db").display());
    std::fs::write(&config, without_jira(&store)).unwrap();
    for more in [&[][..], &["--verify"], &["--format", "csv"]] {
        let (code, out, errors) = run(&[&["audit", "-c", config.to_str().unwrap()], more].concat());
        assert_eq!((code, out.as_str(), errors.lines().count()), (Some(1), "", 1), "{errors}");
        assert!(errors.ends_with("bridge.db: there is no such file\n"), "{errors}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1, "it created a file");
    }
}

/// An open gate closes and opens again: because Jira is unreachable, and because of a person.
#[tokio::test]
async fn every_change_of_a_verdict_is_on_record() {
    for world in World::both("").await {
        let key = opened(&world).await;
        let ask = async || world.asks("confirm-promotion", "Progressing", "new1").await.status;
        for _ in 0..11 {
            world.advance(MINUTE);
            world.reports("/event", "Progressing", "new1").await;
        }
        assert_eq!((ask().await, ask().await), (403, 403), "the ticket has not been read for too long");
        world.run_worker().await;
        assert_eq!((ask().await, ask().await), (200, 200));
        world.decides(&key, "To Do").await;
        assert_eq!(ask().await, 403);
        assert_eq!(verdict_changes(&world), ["stale", "approved", "waiting"]);
        world.finish().await;
    }
}

/// The last answer is stored together with the change that caused it: after a crash no change of a verdict is missing
/// or recorded twice.
#[tokio::test]
async fn a_verdict_change_survives_a_crash() {
    for world in World::both("").await {
        let key = opened(&world).await;
        let moves = [("To Do", 403), ("Approved", 200), ("Rejected", 403), ("Approved", 200)];
        for (status, expected) in moves {
            world.restarts().await;
            world.decides(&key, status).await;
            for _ in 0..2 {
                let answer = world.asks("confirm-promotion", "Progressing", "new1").await;
                assert_eq!(answer.status, expected, "{status}: {}", answer.body);
                world.restarts().await;
            }
        }
        assert_eq!(verdict_changes(&world), ["waiting", "approved", "rejected", "approved"]);
        let passed = rows(&world).iter().filter(|row| row["kind"] == "passed").count();
        assert_eq!(passed, 1);
        world.finish().await;
    }
}

/// Another ticket replaces a deleted one: that closes the open gate.
#[tokio::test]
async fn a_ticket_that_is_deleted_closes_an_open_gate() {
    for world in World::both("").await {
        let key = opened(&world).await;
        world.jira.delete_issue(&key, MIA).unwrap();
        for _ in 0..12 {
            // The bridge accepts a deletion after 404s for as long as an approval is trusted.
            world.advance(MINUTE);
            world.run_worker().await;
        }
        world.asks("confirm-promotion", "Progressing", "new1").await;
        world.run_worker().await;
        let verdict_changes = verdict_changes(&world);
        // A question between the two gets the answer `gone`.
        assert!(verdict_changes == ["opening"] || verdict_changes == ["gone"], "{verdict_changes:?}");
        world.finish().await;
    }
}

/// Rows of an older version do not contain the last answer.
#[tokio::test]
async fn rows_without_the_last_answer() {
    for world in World::both("").await {
        let key = opened(&world).await;
        let ask = async || world.asks("confirm-promotion", "Progressing", "new1").await.status;
        let as_before = async || {
            world.advance(MINUTE);
            world.ticks().await;
            world.sql("UPDATE canary SET state = REPLACE(state, ',\"said\":\"open\"', '')").await;
            world.sql("UPDATE canary SET state = REPLACE(state, ',\"said\":\"closed\"', '')").await;
            assert_eq!(world.count("canary WHERE state LIKE '%said%'").await, 0);
            world.restarts().await;
        };
        as_before().await;
        assert_eq!((ask().await, verdict_changes(&world)), (200, vec![]));
        as_before().await;
        world.decides(&key, "To Do").await;
        assert_eq!((ask().await, verdict_changes(&world)), (403, vec!["waiting".to_owned()]));
        as_before().await;
        assert_eq!((ask().await, verdict_changes(&world).len()), (403, 1));
        as_before().await;
        world.decides(&key, "Approved").await;
        assert_eq!((ask().await, verdict_changes(&world)[1..].to_vec()), (200, vec!["approved".to_owned()]));
        world.finish().await;
    }
}
