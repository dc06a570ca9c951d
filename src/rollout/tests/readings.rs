//! What is read when a message arrives, if approvals are bound to what their tickets show.

use serde_json::json;

use super::*;
use crate::workload::{Change as Diff, Configs, Shown, Shows, change};

fn diff(image: &str) -> Diff {
    let canary = json!({ "spec": { "targetRef": { "kind": "Deployment", "name": "podinfo" } } });
    let containers = json!([{ "name": "podinfo", "image": image }]);
    change(
        &canary,
        &json!({ "spec": { "template": { "spec": { "containers": containers } } } }),
        None,
        &|_| false,
    )
}

fn shows(configs: bool) -> Option<Shows> {
    let change = Diff { configs: configs.then(Configs::default), ..diff("podinfo:1") };
    Shown::Change { change, as_of: None }.shows()
}

fn gate(stage: Stage, approver: Option<&str>) -> GateName {
    GateName { stage, approver: approver.map(str::to_owned), step: None }
}

/// A canary that waits at confirm-rollout, with what its ticket shows.
fn waiting(shows: Option<Shows>, is_approved: bool) -> Canary {
    let mut world = World::new();
    let (_, id) = world.asks(&gate(Stage::ConfirmRollout, None), &message(Phase::Succeeded, "old"));
    if is_approved {
        world.decides(&id.unwrap(), "Approved");
    }
    world.canary.rollout.as_mut().unwrap().gates[0].shows = shows;
    world.canary
}

#[test]
fn a_question_reads_no_more_than_it_needs() {
    use Reading::{Configs, ConfigsIfAllowed, Target};
    let start = gate(Stage::ConfirmRollout, None);
    for (shown, is_approved, watched, expected) in [
        // It is asked again.
        (shows(false), false, "podinfo:1", None),
        (shows(true), false, "podinfo:1", None),
        // It may be answered open.
        (shows(false), true, "podinfo:1", Some(Target)),
        (shows(true), true, "podinfo:1", Some(Configs)),
        // Another ticket may be opened.
        (shows(false), false, "podinfo:2", Some(ConfigsIfAllowed)),
        (shows(false), true, "podinfo:2", Some(ConfigsIfAllowed)),
        (shows(true), false, "podinfo:2", Some(ConfigsIfAllowed)),
        (shows(true), true, "podinfo:2", Some(ConfigsIfAllowed)),
        (None, false, "podinfo:1", Some(ConfigsIfAllowed)),
    ] {
        let canary = waiting(shown.clone(), is_approved);
        let reading = canary.reading(Some(&start), Some(&diff(watched)));
        assert_eq!(reading, expected, "{shown:?} {is_approved} {watched}");
    }
}

#[test]
fn the_first_question_at_a_gate() {
    let canary = Canary::new(id());
    let reading = |stage| canary.reading(Some(&gate(stage, None)), None);
    assert_eq!(reading(Stage::ConfirmRollout), Some(Reading::ConfigsIfAllowed));
    assert_eq!(reading(Stage::ConfirmPromotion), Some(Reading::Target));
    assert_eq!(canary.reading(None, None), None);
    // A further ticket of the same stage: the first one must still show what would start.
    let qa = gate(Stage::ConfirmRollout, Some("qa"));
    let of_second = |configs| waiting(shows(configs), false).reading(Some(&qa), Some(&diff("podinfo:1")));
    assert_eq!(of_second(true), Some(Reading::Configs));
    assert_eq!(of_second(false), Some(Reading::ConfigsIfAllowed));
}

#[test]
fn the_first_message_after_the_answer() {
    for (configs, expected) in [(false, Reading::Target), (true, Reading::ConfigsIfAllowed)] {
        let mut canary = waiting(shows(configs), true);
        let promotion = gate(Stage::ConfirmPromotion, None);
        assert_eq!(canary.reading(None, None), None);
        canary.rollout.as_mut().unwrap().start = Start::Unverified;
        assert_eq!(canary.reading(None, None), Some(expected));
        assert_eq!(canary.reading(Some(&promotion), None), Some(expected));
    }
}
