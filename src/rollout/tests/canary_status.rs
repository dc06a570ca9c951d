//! What is kept of the checks that failed, as the Canary shows them.

use super::*;
use crate::rollout::{CanaryStatus, FailedChecks, FailureCause, Notice, TicketOutcome};

fn failed(count: u64, threshold: u64) -> FailedChecks {
    FailedChecks { count, threshold }
}

/// A rollout that waits for its promotion.
fn running() -> World {
    let mut world = World::new();
    let promotion = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    world.asks(&promotion, &message(Phase::WaitingPromotion, "new"));
    world
}

fn reads(world: &mut World, phase: Phase, failed_checks: Option<FailedChecks>) -> Vec<Command> {
    let status =
        CanaryStatus { uid: "u".into(), phase, applied: Some("a".into()), promoted: None, failed_checks };
    let was = world.canary.rollout.clone().unwrap();
    world.apply(&Event::CanaryRead { was: &was, status: Some(&status), observed: &Observed::Unread })
}

/// What the comment says that a failed rollout had.
fn fails_with(world: &mut World) -> Option<FailedChecks> {
    let commands = reads(world, Phase::Failed, None);
    let causes = commands.into_iter().find_map(|command| {
        let Command::Comment {
            notice: Notice::Ended { outcome: TicketOutcome::Ended(End::Failed), cause, .. },
            ..
        } = command
        else {
            return None;
        };
        Some(cause)
    });
    match causes.expect("a comment says how it ended") {
        Some(FailureCause::Checks { failed, .. }) => failed,
        _ => None,
    }
}

/// The threshold may be changed during a rollout: the count that counted is the last one.
#[test]
fn a_newer_count_replaces_an_older_one() {
    let mut world = running();
    reads(&mut world, Phase::Progressing, Some(failed(3, 3)));
    reads(&mut world, Phase::Progressing, None);
    reads(&mut world, Phase::Progressing, Some(failed(5, 5)));
    assert_eq!(fails_with(&mut world), Some(failed(5, 5)));
}

/// An earlier version stored each count. A low one says nothing about the end.
#[test]
fn a_low_count_of_an_earlier_version_is_not_shown() {
    let mut world = running();
    reads(&mut world, Phase::Progressing, Some(failed(1, 5)));
    assert!(world.canary.rollout.as_ref().unwrap().canary_seen.as_ref().unwrap().failed_checks.is_some());
    assert_eq!(fails_with(&mut world), None);
}
