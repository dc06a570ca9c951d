//! Stored rows that were changed from outside: the bridge reads or rejects them, and they open only what they state.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Error, Store, audit,
    cache::Cache,
    rows::{self, FORMAT},
};
use crate::{
    gate::{Hours, TargetProof, Validity},
    millis::Millis,
    mutation::{changed, changes, garbled},
    policy::{ApprovalMode, Fingerprint},
    rollout::{Canary, Command},
};

const NOW: Millis = Millis(1_790_000_000_000);
const VALIDITY: Validity = Validity {
    trust_for: Duration::from_secs(600),
    valid_for: Duration::from_secs(72 * 3600),
    judged_by: Fingerprint(1),
    reject_after: None,
    target: TargetProof::NotNeeded,
    hours: Hours::Open,
    mode: ApprovalMode::Required,
};

/// A canary with an approved gate, a rejected one and one that is being opened.
fn canary_json() -> Value {
    let entry = json!({"changelog_id": "7", "by": {"id": "mia", "name": "Mia", "app": false}, "at": NOW.0 - 60_000,
        "from": "1", "to": {"id": "3", "name": "Approved"}});
    let decision = json!({"entry": entry, "since": NOW.0 - 60_000});
    let gate = |id: &str, stage: &str, state: Value| {
        json!({"id": id, "name": {"stage": stage, "approver": "qa"}, "asked": NOW.0 - 90_000, "standing": state,
               "used": {"at": NOW.0, "longest_gap": {"secs": 60, "nanos": 0}}, "said": "open", "deny": ["max"],
               "statuses": {"approved": ["3"], "rejected": ["4"]}, "judged_by": 1, "told": ["ended"]})
    };
    let watched = |view: Value| {
        json!({"watched": {"ticket": {"id": "10042", "key": "OPS-7", "project": "OPS", "issue_type": "10004"},
               "seen": NOW.0 - 30_000, "view": view}})
    };
    let approved = json!({"approved": {"status": {"id": "3", "name": "Approved"}, "decision": decision}});
    let rejected = json!({"rejected": {"status": {"id": "4", "name": "Rejected"}, "decision": decision, "author": "accepted"}});
    json!({
        "id": {"cluster": "default", "namespace": "shop", "name": "cart"},
        "rollout": {
            "began": NOW.0 - 100_000, "label": "v2",
            "course": {"running": {"base": {"outgoing": "1"}, "revision": "2", "leg": "progressing"}},
            "gates": [
                gate("a", "confirm-promotion", watched(approved)),
                gate("b", "confirm-traffic-increase", watched(rejected)),
                gate("c", "confirm-rollout", json!("opening")),
            ],
            "rollback_asked": true, "reports": ["New revision"],
        },
        "superseded": ["d"], "budget": [NOW.0 - 90_000], "refused": null,
    })
}

/// Whether the JSON of a gate states an approval that was read recently enough and is not too old.
fn states_open(gate: &Value) -> bool {
    let watched = &gate["standing"]["watched"];
    let approved = &watched["view"]["approved"];
    let age = |time: &Value| time.as_i64().map_or(i128::MAX, |at| i128::from(NOW.0) - i128::from(at));
    approved["decision"]["entry"]["by"].is_object()
        && !gate["statuses"].is_null()
        && age(&watched["seen"]) <= 600_000
        && (!gate["used"].is_null() || age(&approved["decision"]["since"]) <= 72 * 3_600_000)
}

/// SQLite's sorting and rollback need no temporary file: on a read-only root file system it could not create one.
#[tokio::test]
async fn sqlite_keeps_temporary_data_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("bridge.db").display());
    let store = Store::open(&url.into()).await.unwrap();
    let kept: i64 = sqlx::query_scalar("PRAGMA temp_store").fetch_one(&store.0.pool).await.unwrap();
    assert_eq!(kept, 2);
}

#[test]
fn the_unchanged_row_is_valid() {
    let canary = rows::canary("default/shop/cart", FORMAT, &canary_json().to_string()).unwrap();
    assert_eq!(serde_json::to_value(&canary).unwrap(), canary_json());
    let gates = canary.rollout.unwrap().gates;
    let open = |at: usize| gates[at].verdict(NOW, VALIDITY).is_open();
    assert!(open(0) && !open(1) && !open(2));
}

#[test]
fn a_cached_canary_has_no_spare_capacity() {
    let canary = rows::canary("default/shop/cart", FORMAT, &canary_json().to_string()).unwrap();
    let capacities = |canary: &Canary| {
        let gates = &canary.rollout.as_ref().unwrap().gates;
        (gates.len(), gates.capacity(), canary.tickets_opened.len(), canary.tickets_opened.capacity())
    };
    // A clone has no spare capacity, so the canary that was read is cached, not a clone of it.
    assert_eq!(capacities(&canary), (3, 4, 1, 4));
    let expected = canary.clone();
    let mut cache = Cache::default();
    cache.insert(canary, 1);
    let remembered = cache.canary(&expected.id).unwrap();
    assert_eq!(*remembered, expected);
    assert_eq!(capacities(&remembered), (3, 3, 1, 1));
}

#[test]
fn a_newer_format_is_refused() {
    let error = rows::canary("default/shop/cart", FORMAT + 1, &canary_json().to_string()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn the_error_for_an_unreadable_row_is_one_line() {
    let odd = canary_json().to_string().replace("confirm-promotion", "\\n\\u001b[31m\\u2028");
    let error = rows::canary("default/shop/cart", FORMAT, &odd).unwrap_err().to_string();
    assert!(error.contains("unknown variant") && !error.contains(['\n', '\u{1b}', '\u{2028}']), "{error:?}");
}

proptest! {
    #[test]
    fn a_changed_row_opens_only_what_it_states(
        change in changes(0..6), bytes in prop_oneof![4 => Just(vec![]), 1 => changes(1..4)],
    ) {
        let text = garbled(&changed(canary_json(), &change).to_string(), &bytes);
        let text = String::from_utf8_lossy(&text);
        match rows::canary("default/shop/cart", FORMAT, &text) {
            Ok(canary) => {
                let again = to_json(&canary);
                prop_assert_eq!(&rows::canary("default/shop/cart", FORMAT, &again).unwrap(), &canary);
                let said: Value = serde_json::from_str(&text).unwrap();
                for (nth, gate) in canary.rollout.iter().flat_map(|rollout| &rollout.gates).enumerate() {
                    let open = gate.verdict(NOW, VALIDITY).is_open();
                    // serde accepts a list in place of a struct; `says_open` does not read those.
                    let said = &said["rollout"]["gates"][nth];
                    prop_assert!(!open || states_open(said) || text.contains("[["), "{}", text);
                }
            }
            Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control), "{error}"),
        }
    }

    #[test]
    fn a_changed_command_round_trips_or_is_rejected(which in 0..6_usize, change in changes(0..4)) {
        let name = json!({"stage": "confirm-promotion", "approver": null});
        let subject = json!({"canary": {"cluster": "default", "namespace": "shop", "name": "cart"}, "gate": name,
            "phase": "Waiting", "base": "1", "revision": null, "label": "v2", "metadata": {"x": "y"}});
        let command = match which {
            0 => json!({"open": {"gate": "a", "subject": subject}}),
            1 => json!({"comment": {"gate": "a", "note": {"ended": {"fate": {"ended": "succeeded"}, "name": name}}}}),
            2 => json!({"comment": {"gate": "a", "note": {"expired": {"entry": "7", "valid_for": 1}}}}),
            3 => json!({"label": {"gate": "a"}}),
            4 => json!({"move": {"gate": "a", "name": name, "milestone": "succeeded"}}),
            _ => json!({"link": {"gate": "a", "successor": "b"}}),
        };
        let text = changed(command.clone(), &change).to_string();
        match serde_json::from_str::<Command>(&text) {
            Ok(read) => {
                let again = to_json(&read);
                prop_assert_eq!(&serde_json::from_str::<Command>(&again).unwrap(), &read);
                let _ = read.gate();
            }
            Err(_) => prop_assert!(*text != *command.to_string()),
        }
    }

    /// Every change of an audit row changes its hash, also one that moves text from one field to the next.
    #[test]
    fn every_change_of_an_audit_row_changes_its_hash(
        id in 0..3_i64, at: i64, canary in "[ab/]{0,3}", kind in "[ab]{0,3}", detail in "[ab{}]{0,3}", other in "[ab/{}]{0,3}",
        field in 0..4_usize,
    ) {
        let row = audit::AuditRow { id, at: Millis(at), canary, kind, detail, prior: String::new(), hash: String::new() };
        let mut after = row.clone();
        match field {
            0 => after.canary = other,
            1 => after.kind = other,
            2 => after.detail = other,
            _ => after.prior = other,
        }
        prop_assert_eq!(row.computed_hash() == after.computed_hash(), row == after);
        let moved = audit::AuditRow { canary: row.kind.clone(), kind: row.canary.clone(), ..row.clone() };
        prop_assert_eq!(row.computed_hash() == moved.computed_hash(), row == moved);
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
