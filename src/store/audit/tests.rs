use std::path::Path;

use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::database::Database;

/// A database whose audit record has `rows` rows, row 1 at 1 s, row 2 at 2 s, …; its address, and its store.
async fn store(rows: i64) -> ((TempDir, Database), SecretString, Store) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::fresh(directory.path()).await;
    let url = SecretString::from(database.url.clone());
    let store = Store::open(&url).await.unwrap();
    write(&store, 1..=rows).await;
    ((directory, database), url, store)
}

async fn write(store: &Store, rows: std::ops::RangeInclusive<i64>) {
    let mut tx = store.begin_write().await.unwrap();
    let entries: Vec<AuditEntry> = rows.map(entry).collect();
    tx.audit(&entries).await.unwrap();
    tx.commit().await.unwrap();
}

fn entry(number: i64) -> AuditEntry {
    let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
    let detail = json!({ "n": number }).as_object().unwrap().clone();
    AuditEntry { at: Millis(number * 1_000), canary, kind: "passed", detail }
}

async fn edit(store: &Store, sql: &'static str) {
    for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
        sqlx::query(statement).execute(&store.0.pool).await.unwrap();
    }
}

/// SQL that gives a column of row 3 an unreadable value. SQLite stores text in a column of numbers; PostgreSQL needs a
/// schema change first.
fn unreadable(store: &Store) -> &'static str {
    if store.is_sqlite() {
        "UPDATE audit SET at = 'x' WHERE id = 3"
    } else {
        "ALTER TABLE audit ALTER COLUMN kind DROP NOT NULL; UPDATE audit SET kind = NULL WHERE id = 3"
    }
}

async fn verify(url: &SecretString) -> Verified {
    AuditLog::open(url).await.unwrap().verify().await.unwrap()
}

async fn ids(url: &SecretString, from: Option<Millis>) -> Vec<i64> {
    let mut pages = AuditLog::open(url).await.unwrap().since(from).await.unwrap();
    let mut ids = Vec::new();
    loop {
        let rows = pages.next_page().await.unwrap();
        if rows.is_empty() {
            return ids;
        }
        assert!(rows.len() <= 1_000);
        ids.extend(rows.iter().map(|row| row.id));
    }
}

#[tokio::test]
async fn rows_are_read_as_they_were_written() {
    let (_home, url, store) = store(0).await;
    let empty = verify(&url).await;
    assert_eq!(empty, Verified { rows: 0, newest: Some((0, String::new())), problems: Vec::new() });
    assert_eq!(ids(&url, None).await, Vec::<i64>::new());

    write(&store, 1..=3).await;
    write(&store, 4..=2_500).await;
    assert_eq!(ids(&url, None).await, (1..=2_500).collect::<Vec<i64>>());
    assert_eq!(ids(&url, Some(Millis(2_499_000))).await, [2_499, 2_500]);
    assert_eq!(ids(&url, Some(Millis(2_500_001))).await, Vec::<i64>::new());

    let mut pages = AuditLog::open(&url).await.unwrap().since(None).await.unwrap();
    let rows = pages.next_page().await.unwrap();
    let row = &rows[1];
    assert_eq!(
        (row.id, row.at, row.kind.as_str(), row.detail.as_str()),
        (2, Millis(2_000), "passed", r#"{"n":2}"#)
    );
    assert_eq!((row.canary_names(), &row.prior), (["default", "shop", "cart"], &rows[0].hash));
    assert_eq!(rows[0].prior, "");

    let verified = verify(&url).await;
    assert_eq!((verified.rows, verified.problems), (2_500, Vec::new()));
    assert_eq!(verified.newest.unwrap().0, 2_500);
}

/// The hash is the output of
/// `python3 -c 'import hashlib as h; f=["","1","1000","default/shop/cart","passed","{\"n\":1}"];
/// print(h.sha256(b"".join(len(x).to_bytes(8,"big")+x.encode() for x in f)).hexdigest())'`.
#[tokio::test]
async fn the_hash_matches_its_documentation() {
    let (_home, url, _store) = store(1).await;
    let (_, hash) = verify(&url).await.newest.unwrap();
    assert_eq!(hash, "9f99602a7d9e04c8e374db63a71a3ecf867b1c6ad7709fad8649f21d0c6757d2");
}

#[tokio::test]
async fn a_transaction_that_is_not_committed_leaves_no_row() {
    let (_home, url, store) = store(2).await;
    let mut tx = store.begin_write().await.unwrap();
    tx.audit(&[entry(3), entry(4)]).await.unwrap();
    drop(tx);
    write(&store, 3..=3).await;
    let verified = verify(&url).await;
    assert_eq!((verified.rows, verified.problems), (3, Vec::new()));
}

#[tokio::test]
async fn every_manipulation_is_found() {
    use ChainProblem::{
        BrokenLink, Changed, CutAtNewEnd, CutAtOldEnd, Inserted, Missing, MissingEnds, Replaced,
    };
    const COPY: &str =
        "INSERT INTO audit SELECT 11, at, canary, kind, detail, hash, hash FROM audit WHERE id = 10";
    const SWAP: &str = "UPDATE audit SET id = -1 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5;
                        UPDATE audit SET id = 5 WHERE id = -1";
    const INSERT: &str =
        "UPDATE audit SET id = id + 1000 WHERE id > 8; UPDATE audit SET id = id - 999 WHERE id > 1000;
        INSERT INTO audit SELECT 9, at, canary, kind, detail, hash, 'x' FROM audit WHERE id = 8;
        UPDATE audit_chain SET newest = 11";
    let cases: Vec<(&str, &str, Vec<ChainProblem>)> = vec![
        ("at", "UPDATE audit SET at = at + 1 WHERE id = 3", vec![Changed { id: 3 }]),
        ("canary", "UPDATE audit SET canary = 'a/b/c' WHERE id = 3", vec![Changed { id: 3 }]),
        ("kind", "UPDATE audit SET kind = 'passe' WHERE id = 1", vec![Changed { id: 1 }]),
        ("detail", "UPDATE audit SET detail = '{}' WHERE id = 10", vec![Changed { id: 10 }]),
        (
            "between fields",
            "UPDATE audit SET canary = canary || 'p', kind = 'assed' WHERE id = 3",
            vec![Changed { id: 3 }],
        ),
        ("unreadable", "", vec![Changed { id: 3 }]),
        ("prior", "UPDATE audit SET prior = 'x' WHERE id = 3", vec![Changed { id: 3 }]),
        ("hash", "UPDATE audit SET hash = 'x' WHERE id = 3", vec![Changed { id: 3 }, BrokenLink { id: 4 }]),
        ("missing", "DELETE FROM audit WHERE id = 3", vec![Missing { from: 3, to: 3 }]),
        ("some missing", "DELETE FROM audit WHERE id IN (3, 4, 5)", vec![Missing { from: 3, to: 5 }]),
        ("cut, old", "DELETE FROM audit WHERE id < 3", vec![CutAtOldEnd { from: 1, to: 2 }]),
        ("cut, new", "DELETE FROM audit WHERE id > 8", vec![CutAtNewEnd { from: 9, to: 10 }]),
        ("all", "DELETE FROM audit", vec![CutAtNewEnd { from: 1, to: 10 }]),
        (
            "cut, ends adjusted",
            "DELETE FROM audit WHERE id > 8; UPDATE audit_chain SET newest = 8",
            vec![Replaced { id: 8 }],
        ),
        (
            "cut, ends adjusted, old",
            "DELETE FROM audit WHERE id < 3; UPDATE audit_chain SET first = 3",
            vec![BrokenLink { id: 3 }],
        ),
        ("appended", COPY, vec![Inserted { id: 11 }]),
        ("put back", "UPDATE audit_chain SET first = 2", vec![Inserted { id: 1 }, BrokenLink { id: 2 }]),
        ("swapped", SWAP, vec![Changed { id: 4 }, Changed { id: 5 }, BrokenLink { id: 6 }]),
        ("inserted", INSERT, vec![Changed { id: 9 }, Changed { id: 10 }, Changed { id: 11 }]),
        ("no ends", "DELETE FROM audit_chain", vec![MissingEnds]),
    ];
    for (what, sql, expected) in cases {
        let (_home, url, store) = store(10).await;
        edit(&store, if what == "unreadable" { unreadable(&store) } else { sql }).await;
        assert_eq!(verify(&url).await.problems, expected, "{what}");
    }
}

/// A row that is replaced by one with a correct hash is found at the next row, or at the end.
#[tokio::test]
async fn a_rewritten_row_is_found() {
    for (id, problem) in [(5, ChainProblem::BrokenLink { id: 6 }), (10, ChainProblem::Replaced { id: 10 })] {
        let (_home, url, store) = store(10).await;
        let mut pages = AuditLog::open(&url).await.unwrap().since(Some(Millis(id * 1_000))).await.unwrap();
        let mut row = pages.next_page().await.unwrap().remove(0);
        drop(pages);
        row.detail = r#"{"n":"forged"}"#.into();
        sqlx::query("UPDATE audit SET detail = $1, hash = $2 WHERE id = $3")
            .bind(row.detail.clone())
            .bind(row.computed_hash())
            .bind(id)
            .execute(&store.0.pool)
            .await
            .unwrap();
        assert_eq!(verify(&url).await.problems, [problem]);
    }
}

#[tokio::test]
async fn at_most_100_problems_are_listed() {
    let (_home, url, store) = store(300).await;
    edit(&store, "UPDATE audit SET kind = 'other'").await;
    let verified = verify(&url).await;
    assert_eq!((verified.rows, verified.problems.len()), (300, 100));
    assert_eq!(verified.problems[0], ChainProblem::Changed { id: 1 });
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let (_home, url, store) = store(3).await;
    edit(&store, unreadable(&store)).await;
    let mut pages = AuditLog::open(&url).await.unwrap().since(None).await.unwrap();
    assert!(matches!(pages.next_page().await.unwrap_err(), Error::UnreadableRecord(3)));
}

#[tokio::test]
async fn pruning_leaves_a_whole_chain() {
    let (_home, url, store) = store(10).await;
    let turns =
        async || sqlx::query_scalar::<_, i64>("SELECT seq FROM turn").fetch_one(&store.0.pool).await.unwrap();
    let before = turns().await;
    assert_eq!(store.prune_audit(Millis(1_000)).await.unwrap(), 0);
    assert_eq!(turns().await, before, "a write transaction, though there was nothing to prune");

    assert_eq!(store.prune_audit(Millis(4_000)).await.unwrap(), 3);
    assert_eq!(ids(&url, None).await, (4..=10).collect::<Vec<i64>>());
    assert_eq!(verify(&url).await.problems, []);

    assert_eq!(store.prune_audit(Millis(1_000_000)).await.unwrap(), 7);
    let verified = verify(&url).await;
    assert_eq!((verified.rows, verified.problems), (0, Vec::new()));
    assert_eq!(verified.newest.unwrap().0, 10);

    write(&store, 11..=12).await;
    assert_eq!(ids(&url, None).await, [11, 12]);
    assert_eq!(verify(&url).await.problems, []);
    edit(&store, "DELETE FROM audit WHERE id = 11").await;
    assert_eq!(verify(&url).await.problems, [ChainProblem::CutAtOldEnd { from: 11, to: 11 }]);
}

/// A clock that jumps puts rows out of order of time: pruning stops at a young row, whatever follows it.
#[tokio::test]
async fn pruning_stops_at_the_first_young_row() {
    let (_home, url, store) = store(3).await;
    write(&store, 50..=50).await;
    write(&store, 5..=6).await;
    assert_eq!(store.prune_audit(Millis(20_000)).await.unwrap(), 3);
    assert_eq!(ids(&url, None).await, [4, 5, 6]);
    assert_eq!(verify(&url).await.problems, []);
}

#[tokio::test]
async fn pruning_hides_nothing() {
    for sql in
        ["DELETE FROM audit WHERE id = 1", "DELETE FROM audit WHERE id = 2", "DELETE FROM audit WHERE id = 5"]
    {
        let (_home, url, store) = store(10).await;
        edit(&store, sql).await;
        let before = verify(&url).await;
        assert_eq!(before.problems.len(), 1);
        assert_eq!(store.prune_audit(Millis(5_500)).await.unwrap(), 0, "{sql}");
        assert_eq!(verify(&url).await, before);
    }
}

#[tokio::test]
async fn pruning_continues_the_next_time() {
    let (_home, url, store) = store(PRUNE_BATCH + 5).await;
    let old = Millis(i64::MAX);
    assert_eq!(store.prune_audit(old).await.unwrap(), 10_000);
    assert_eq!(verify(&url).await.problems, []);
    assert_eq!(store.prune_audit(old).await.unwrap(), 5);
    assert_eq!(store.prune_audit(old).await.unwrap(), 0);
    assert_eq!(verify(&url).await.problems, []);
}

#[tokio::test]
async fn without_the_ends_nothing_is_written() {
    let (_home, _url, store) = store(1).await;
    edit(&store, "DELETE FROM audit_chain").await;
    let mut tx = store.begin_write().await.unwrap();
    assert!(matches!(tx.audit(&[entry(2)]).await, Err(Error::NoChain)));
    tx.audit(&[]).await.unwrap();
}

/// Reading neither creates a file nor writes to one. SQLite only: PostgreSQL has no file that could be created.
#[tokio::test]
async fn reading_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let files = |directory: &Path| {
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        files
    };
    let path = directory.path().join("missing.db");
    for options in ["", "?mode=rwc", "?cache=private&mode=rwc"] {
        let url = SecretString::from(format!("sqlite://{}{options}", path.display()));
        let Err(error) = AuditLog::open(&url).await else { panic!("there is no file") };
        assert!(matches!(error, Error::Unopened { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    assert_eq!(files(directory.path()), Vec::<String>::new());

    std::fs::write(&path, "").unwrap();
    let url = SecretString::from(format!("sqlite://{}", path.display()));
    assert!(matches!(AuditLog::open(&url).await, Err(Error::NoRecord)), "another database");

    let url = SecretString::from(format!("sqlite://{}", directory.path().join("bridge.db").display()));
    let store = Store::open(&url).await.unwrap();
    write(&store, 1..=2).await;
    store.close().await;
    drop(store);
    std::fs::remove_file(path).unwrap();
    assert_eq!(files(directory.path()), ["bridge.db"]);
    let before = std::fs::read(directory.path().join("bridge.db")).unwrap();
    assert_eq!(ids(&url, None).await, [1, 2]);
    assert_eq!(verify(&url).await.problems, []);
    assert_eq!(std::fs::read(directory.path().join("bridge.db")).unwrap(), before);
}

#[tokio::test]
async fn the_audit_log_cannot_write() {
    let (_home, url, _store) = store(2).await;
    let record = AuditLog::open(&url).await.unwrap();
    for sql in ["DELETE FROM audit", "UPDATE audit_chain SET newest = 1"] {
        let mut transaction = record.pool.begin_with(record.begin_sql).await.unwrap();
        assert!(sqlx::query(sql).execute(&mut *transaction).await.is_err(), "{sql}");
    }
    assert_eq!(record.verify().await.unwrap().problems, []);
    assert_eq!(ids(&url, None).await, [1, 2]);
}
