use std::collections::HashSet;

use super::*;
use crate::{
    database::Database,
    gate::{GateId, GateName, Stage},
};

async fn next(store: &Store, now: i64) -> Option<OutboxRow> {
    let due = store.due_commands(Take::Others, Millis(now), &HashSet::new(), 1).await.unwrap();
    due.into_iter().next().map(|(_, row)| row.unwrap())
}

/// PostgreSQL accepts no NUL in a text: an error message from outside must not keep a command from being settled.
#[tokio::test]
async fn any_text_can_be_stored_as_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::fresh(directory.path()).await;
    let store = Store::open(&database.url.clone().into()).await.unwrap();
    let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
    let mut tx = store.begin_write().await.unwrap();
    tx.enqueue(&canary, &Command::Label { gate: GateId("g".into()) }, Millis(1)).await.unwrap();
    tx.commit().await.unwrap();
    let (at, sent, why) = (Millis(2), None, "no \0 status".to_owned());
    let again = AttemptOutcome::Retry { at, why: why.clone(), sent: Some(Millis(1)) };
    for how in [again, AttemptOutcome::Parked { why, sent }] {
        let row = next(&store, 2).await.unwrap();
        let mut tx = store.begin_write().await.unwrap();
        tx.settle(&row, &how, Millis(2)).await.unwrap();
        tx.commit().await.unwrap();
        let why: String =
            sqlx::query_scalar("SELECT why FROM outbox").fetch_one(&store.0.pool).await.unwrap();
        assert_eq!(why, "no   status");
    }
    assert_eq!(next(&store, 3).await, None);
    assert_eq!(store.backlog().await.unwrap().parked, 1);
    store.unpark(Millis(3)).await.unwrap();
    assert_eq!(next(&store, 3).await.unwrap().unknown_since, None);
}

/// A command that waits for its time did not fail. A search for a second ticket may fail, too.
#[tokio::test]
async fn only_what_failed_is_shown_as_failed() {
    let canary = CanaryId { cluster: "default".into(), namespace: "shop".into(), name: "cart".into() };
    let gate = GateId("g".into());
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    for command in
        [Command::Label { gate: gate.clone() }, Command::FindDuplicates { gate, name, since: Millis(1) }]
    {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::fresh(directory.path()).await;
        let store = Store::open(&database.url.clone().into()).await.unwrap();
        let mut tx = store.begin_write().await.unwrap();
        tx.enqueue(&canary, &command, Millis(1)).await.unwrap();
        tx.commit().await.unwrap();
        let (at, why, sent) = (Millis(2), "why".to_owned(), None);
        for (how, shown) in [
            (AttemptOutcome::Retry { at, why: why.clone(), sent }, 1),
            (AttemptOutcome::Later { at, why: why.clone(), sent }, 0),
            (AttemptOutcome::Parked { why, sent }, 1),
        ] {
            let row = next(&store, 2).await.unwrap();
            let mut tx = store.begin_write().await.unwrap();
            assert!(tx.settle(&row, &how, Millis(2)).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!(store.failed_commands(9).await.unwrap().len(), shown, "{command:?} {how:?}");
        }
    }
}

/// A row that was stored before rows had `sent_to`.
#[test]
fn older_rows_can_be_read() {
    let stored = r#"{"open":{"gate":"4f1c","subject":{
        "canary":{"cluster":"default","namespace":"shop","name":"cart"},
        "gate":{"stage":"confirm-promotion","approver":null},
        "phase":"Progressing","base":null,"revision":"v2","label":null,"metadata":{}}}}"#;
    let command: Command = serde_json::from_str(stored).unwrap();
    let Command::Open { sent_to, .. } = &command else { panic!("{command:?}") };
    assert!(sent_to.is_empty());
    let same: serde_json::Value = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_value(&command).unwrap(), same, "an older version could not read a new row");
}
