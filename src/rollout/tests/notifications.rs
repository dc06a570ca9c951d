//! What channels are told: each turn of a gate once.

use super::*;

fn gate_name() -> GateName {
    GateName { stage: Stage::ConfirmPromotion, approver: None, step: None }
}

/// A canary whose promotion gate has a ticket.
fn canary() -> Canary {
    let mut canary = Canary::new(id());
    let mut rollout =
        Rollout::new(Millis(0), Some(Label("v2".into())), Progress::Asked(Base::Outgoing(None)));
    let mut gate = Gate::new(GateId("g1".into()), gate_name(), Vec::new(), Millis(0));
    gate.state = GateState::Watched {
        ticket: ticket("OPS-1"),
        seen: Millis(0),
        ticket_state: TicketState::Waiting { status: None },
    };
    rollout.gates.push(gate);
    canary.rollout = Some(rollout);
    canary
}

fn seen(entry: &str, approved: bool) -> AuditEvent {
    let name = if approved { "Approved" } else { "Rejected" };
    let by = Person { id: "mia".into(), name: "Mia\nChange <!channel>".into(), app: false };
    let changelog_entry =
        Move { changelog_id: entry.into(), by, at: Millis(5), from: "1".into(), to: status(name) };
    let decision =
        crate::gate::Decision { changelog_entry, since: Millis(5), steps: Vec::new(), approval: None };
    let ticket_state = if approved {
        TicketState::Approved { status: status(name), decision }
    } else {
        TicketState::Rejected { status: status(name), decision, author: Author::Accepted }
    };
    AuditEvent::TicketSeen { gate: gate_name(), ticket: ticket("OPS-1"), ticket_state }
}

fn told(canary: &mut Canary, audit_event: AuditEvent) -> Vec<(String, Turn)> {
    let before = canary.clone();
    let found = notifications(&[audit_event], &before, canary, |_| true, Millis(9));
    found.into_iter().map(|(gate, about)| (gate.0, about.turn)).collect()
}

#[test]
fn each_turn_is_told_once() {
    let mut canary = canary();
    let opened = || AuditEvent::TicketOpened { gate: gate_name(), ticket: ticket("OPS-1") };
    assert_eq!(told(&mut canary, opened()), [("g1".to_owned(), Turn::Waiting)]);
    assert_eq!(told(&mut canary, opened()), []);
    let by = || "Mia Change <!channel>".to_owned();
    let approved = |entry: &str| Turn::Approved { entry: entry.into(), by: by() };
    assert_eq!(told(&mut canary, seen("1", true)), [("g1".to_owned(), approved("1"))]);
    // It was not known for a while whether that counts.
    assert_eq!(told(&mut canary, seen("1", true)), []);
    assert_eq!(told(&mut canary, seen("2", true)), [("g1".to_owned(), approved("2"))]);
    let rejected = Turn::Rejected { entry: "3".into(), by: by() };
    assert_eq!(told(&mut canary, seen("3", false)), [("g1".to_owned(), rejected)]);
    let stuck = || AuditEvent::TicketStuck { gate: gate_name(), why: "no project".into() };
    assert_eq!(told(&mut canary, stuck()), [("g1".to_owned(), Turn::Stuck { why: "no project".into() })]);
    assert_eq!(told(&mut canary, stuck()), []);
    assert_eq!(told(&mut canary, AuditEvent::Began), []);
}

#[test]
fn a_gate_whose_rollout_has_ended_is_told_as_it_was() {
    let before = canary();
    let mut canary = Canary::new(id());
    let how = End::Succeeded;
    let bypassed = AuditEvent::Bypassed { gate: gate_name(), ticket: Some(ticket("OPS-1")), how };
    let [(gate, about)] =
        notifications(&[bypassed], &before, &mut canary, |_| true, Millis(9)).try_into().unwrap();
    assert_eq!((gate.0.as_str(), about.turn), ("g1", Turn::ShippedWithoutApproval));
    assert_eq!((about.ticket.as_deref(), about.label.as_deref()), (Some("OPS-1"), Some("v2")));
    assert_eq!(canary, Canary::new(id()));
}

#[test]
fn a_gate_that_has_its_ticket_by_now_is_not_stuck() {
    let stuck = Turn::Stuck { why: "no".into() };
    let canary = canary();
    let mut gate = canary.rollout.as_ref().unwrap().gates[0].clone();
    assert!(!is_still_true(&stuck, Some(&gate)) && !is_still_true(&stuck, None));
    assert!(is_still_true(&Turn::Waiting, None));
    gate.state = GateState::Stuck { why: "no".into() };
    assert!(is_still_true(&stuck, Some(&gate)));
}
