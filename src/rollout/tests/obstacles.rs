//! Why no approval of a ticket counts.

use super::*;
use crate::rollout::{MOST_DENIALS, Obstacle};

#[test]
fn obstacles_are_those_of_the_ticket() {
    let many: Vec<String> = (0..=MOST_DENIALS).map(|number| format!("somebody-{number}")).collect();
    for (stage, denied, deny, binds, expected) in [
        (Stage::ConfirmRollout, &[][..], "mia", false, None),
        (Stage::ConfirmRollout, &[], "mia", true, Some(Obstacle::NothingShown)),
        (Stage::ConfirmPromotion, &[], "mia", true, None),
        (Stage::ConfirmPromotion, &many[1..], "mia", true, None),
        (Stage::ConfirmPromotion, &many[..], "mia", true, Some(Obstacle::TooManyDenials)),
        (Stage::ConfirmRollout, &many[..], "mia", true, Some(Obstacle::TooManyDenials)),
        (Stage::ConfirmRollout, &many[..], " ", true, Some(Obstacle::EmptyDenial)),
        (Stage::ConfirmPromotion, &[], "", false, Some(Obstacle::EmptyDenial)),
    ] {
        let mut world = World::new();
        let phase = if stage == Stage::ConfirmRollout { Phase::Succeeded } else { Phase::WaitingPromotion };
        world.asks(&GateName { stage, approver: None, step: None }, &message(phase, "new"));
        let rollout = world.canary.rollout.as_mut().unwrap();
        rollout.denied = denied.to_vec();
        let found = Obstacle::of(rollout, &rollout.gates[0], &[deny.to_owned()], binds);
        assert_eq!(found, expected, "{stage:?} {deny:?} {binds}");
    }
}
