//! Tickets with the label `flagger-ended`.

use super::*;

/// A ticket labelled `flagger-ended` opens nothing and rolls nothing back, in any status and after any earlier state.
/// The next question opens another ticket, once.
#[test]
fn a_ticket_labelled_as_ended_proves_nothing() {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let question = message(Phase::Progressing, "r");
    for before in ["To Do", "Approved", "Approved and used", "Rejected"] {
        for (after, project) in
            [("To Do", "OPS"), ("Approved", "OPS"), ("Rejected", "OPS"), ("Approved", "ELSE")]
        {
            // A rejection stays.
            if after == "Rejected" || (before, project) == ("Rejected", "ELSE") {
                continue;
            }
            let case = format!("{before}, then {after} in {project}");
            let mut world = World::new();
            let old = world.asks(&name, &question).1.unwrap();
            if before != "To Do" {
                world.decides(&old, before.trim_end_matches(" and used"));
            }
            if before == "Approved and used" {
                assert!(world.asks(&name, &question).0, "{case}");
            }
            if (before, after) != ("To Do", "To Do") {
                world.decides(&old, after);
            }
            world.sees_labelled(&old, after, project, true);
            let gate = world.canary.gate(&name).unwrap();
            assert_eq!(gate.verdict(world.now, RULES.validity), Verdict::Gone, "{case}");
            let GateState::Watched { ticket_state, .. } = &gate.state else { panic!("{case}") };
            let reason = InvalidReason::LabelledEnded { status: status(after) };
            assert_eq!(*ticket_state, TicketState::Invalid { reason }, "{case}");
            assert!(!world.rolls_back(&question), "{case}");

            let (open, new) = world.asks(&name, &question);
            let new = new.unwrap();
            assert!(!open && new != old, "{case}");
            assert_eq!(world.canary.rollout.as_ref().unwrap().gates.len(), 1, "{case}");
            // Nothing that happens to the old one matters any more, also without its label.
            world.decides(&old, "To Do");
            world.decides(&old, "Approved");
            assert_eq!(world.asks(&name, &question), (false, Some(new.clone())), "{case}");
            world.decides(&new, "Approved");
            assert_eq!(world.asks(&name, &question), (true, Some(new)), "{case}");
            assert!(world.ended.is_empty(), "{case}");
        }
    }
}

/// Neither a label nor a project erases a rejection, read before or with it; a move back does.
#[test]
fn a_rejection_outlives_labels_and_projects() {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let question = message(Phase::Progressing, "r");
    for (known, project, ended) in
        [(true, "OPS", true), (false, "OPS", true), (true, "ELSE", false), (true, "ELSE", true)]
    {
        let case = format!("known {known}, {project}, labelled {ended}");
        let mut world = World::new();
        let gate = world.asks(&name, &question).1.unwrap();
        world.moves.insert(gate.clone(), Vec::new());
        world.decides(&gate, "Rejected");
        if !known {
            world.canary.rollout.as_mut().unwrap().gates[0].state = GateState::Watched {
                ticket: ticket(&gate.0),
                seen: world.now,
                ticket_state: TicketState::Waiting { status: None },
            };
        }
        world.sees_labelled(&gate, "Rejected", project, ended);
        assert!(world.rolls_back(&question), "{case}");
        assert_eq!(world.asks(&name, &question), (false, Some(gate.clone())), "{case}: no fresh ticket");
        world.decides(&gate, "To Do");
        assert!(!world.rolls_back(&question), "{case}: moved back");
    }
}

/// The label only closes: if it is removed before Flagger asks again, the ticket counts as before.
#[test]
fn a_label_that_is_taken_off_in_time_changes_nothing() {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let question = message(Phase::Progressing, "r");
    for (at, open) in [("To Do", false), ("Rejected", false), ("Approved", true)] {
        let mut world = World::new();
        let gate = world.asks(&name, &question).1.unwrap();
        world.decides(&gate, at);
        world.sees_labelled(&gate, at, "OPS", true);
        world.sees(&gate, at);
        assert_eq!(world.asks(&name, &question), (open, Some(gate)), "{at}");
    }
}

/// If the limits allow no other ticket, the gate of a labelled ticket stays closed, without a comment.
#[test]
fn a_labelled_ticket_is_not_replaced_beyond_the_limits() {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let question = message(Phase::Progressing, "r");
    let mut world = World::new();
    let gate = world.asks(&name, &question).1.unwrap();
    world.decides(&gate, "Approved");
    world.sees_labelled(&gate, "Approved", "OPS", true);
    let rules = Rules { budget: Budget { per_hour: 1, headroom: Headroom::Available }, ..RULES };
    let (fresh, silent_for, pace) = (GateId("fresh".into()), Duration::ZERO, Pace::default());
    let event = Event::Asked {
        gate: &name,
        message: &question,
        metadata: &BTreeMap::new(),
        names: None,
        deny: &[],
        denials: &[],
        new_id: fresh,
        silent_for,
        pace,
        observed: Observed::Unread,
        analysis: None,
        hours: HoursOf::OPEN,
        step: None,
    };
    let Change::To { canary, commands, .. } = world.canary.apply(&event, world.now, &rules) else {
        panic!("the refusal is noted");
    };
    assert_eq!(commands, []);
    let kept = canary.gate(&name).unwrap();
    assert_eq!(kept.id, gate);
    assert_eq!(kept.verdict(world.now, RULES.validity), Verdict::Gone);
}
