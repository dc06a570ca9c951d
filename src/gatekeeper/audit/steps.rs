//! The steps of an approval, as the record has them.

use serde_json::{Map, Value, json};

use crate::{
    gate::{Gate, Move, StepState},
    view::Rfc3339,
};

/// The same with the steps that a gate's ticket shows, if its approval has several.
pub(super) fn with_steps(mut detail: Map<String, Value>, gate: Option<&Gate>) -> Map<String, Value> {
    let steps = gate.map(|gate| gate.steps.as_slice()).unwrap_or_default();
    if steps.is_empty() {
        return detail;
    }
    let steps = steps.iter().map(|step| {
        let (state, why) = match &step.state {
            StepState::Missing => ("missing", None),
            StepState::Done { .. } => ("done", None),
            StepState::NotCounted { why, .. } => ("not_counted", Some(why)),
            StepState::JudgmentPending { why, .. } => ("unjudged", Some(why)),
        };
        let mut json = step.entry().map_or_else(|| json!({}), move_json);
        json["status"] = json!({ "id": step.status.id, "name": step.status.name });
        json["shows"] = json!(state);
        if let Some(why) = why {
            json["why"] = json!(why);
        }
        json
    });
    detail.insert("steps".into(), steps.collect());
    detail
}

/// A move, with the entry that proves it.
pub(super) fn move_json(entry: &Move) -> Value {
    json!({
        "changelog_id": entry.changelog_id,
        "at": Rfc3339(entry.at),
        "by": { "id": entry.by.id, "name": entry.by.name, "app": entry.by.app },
        "from": entry.from,
        "status": { "id": entry.to.id, "name": entry.to.name },
    })
}
