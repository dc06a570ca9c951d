//! The verdict of a gate that asks nobody.

use std::time::Duration;

use crate::{
    gate::{
        Decision, Gate, GateId, GateName, GateState, Hours, InvalidReason, Move, Passage, Stage, TargetProof,
        Ticket, TicketState, Used, Validity, Verdict,
    },
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Status},
};

const NOW: Millis = Millis(1_790_000_000_000);

fn validity(mode: ApprovalMode) -> Validity {
    Validity {
        trust_for: Duration::from_mins(10),
        valid_for: Duration::from_hours(1),
        judged_by: Fingerprint(0),
        reject_after: None,
        target: TargetProof::Missing,
        hours: Hours::Open,
        mode,
    }
}

fn verdict(state: GateState, mode: ApprovalMode) -> Verdict {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    Gate { state, ..Gate::new(GateId("g".into()), name, vec![], NOW) }.verdict(NOW, validity(mode))
}

fn status() -> Status {
    Status { id: "3".into(), name: "S".into() }
}

fn decision() -> Decision {
    let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
    let entry = Move { changelog_id: "7".into(), by, at: NOW, from: "1".into(), to: status() };
    Decision { changelog_entry: entry, since: NOW, steps: Vec::new(), approval: None }
}

fn watched(ticket_state: TicketState) -> GateState {
    let ticket = Ticket {
        id: "1".into(),
        key: "OPS-1".into(),
        project: "OPS".into(),
        issue_type: "1".into(),
        taken_at: None,
    };
    // Long ago: how old a reading is does not matter where nobody is asked.
    GateState::Watched { ticket, seen: Millis(0), ticket_state }
}

/// Only a rejection closes it, or a ticket that is gone, and the record with it.
#[test]
fn each_state_of_its_ticket() {
    let (status, decision, why, entry) = (status, decision, || "?".to_owned(), || "7".to_owned());
    let invalid = |reason| watched(TicketState::Invalid { reason });
    let rejected = |author| watched(TicketState::Rejected { status: status(), decision: decision(), author });
    let states = [
        (GateState::Opening, Verdict::Recorded),
        (GateState::Stuck { why: why() }, Verdict::Recorded),
        (watched(TicketState::Waiting { status: None }), Verdict::Recorded),
        (watched(TicketState::Approved { status: status(), decision: decision() }), Verdict::Recorded),
        (
            watched(TicketState::NotAllowed { status: status(), decision: decision(), why: why() }),
            Verdict::Recorded,
        ),
        (
            watched(TicketState::JudgmentPending { status: status(), decision: decision(), why: why() }),
            Verdict::Recorded,
        ),
        (rejected(Author::Accepted), Verdict::Rejected),
        (rejected(Author::NotAccepted { why: why() }), Verdict::Rejected),
        (rejected(Author::Unknown { why: why() }), Verdict::Rejected),
        (rejected(Author::NoDecision), Verdict::Rejected),
        (invalid(InvalidReason::Relocated { status: status(), entry: entry() }), Verdict::Recorded),
        (invalid(InvalidReason::Mapped { status: status(), entry: entry() }), Verdict::Recorded),
        (invalid(InvalidReason::Renamed { status: status() }), Verdict::Recorded),
        (invalid(InvalidReason::NoChangelogEntry { status: status() }), Verdict::Gone),
        (invalid(InvalidReason::LabelledEnded { status: status() }), Verdict::Gone),
        (invalid(InvalidReason::MovedElsewhere { project: "PAY".into() }), Verdict::Gone),
        (invalid(InvalidReason::Unmarked { gate: GateId("g".into()) }), Verdict::Gone),
        (invalid(InvalidReason::Missing { confirmed: true, since: None }), Verdict::Gone),
        (invalid(InvalidReason::Missing { confirmed: false, since: None }), Verdict::Gone),
    ];
    for (state, expected) in states {
        assert_eq!(verdict(state.clone(), ApprovalMode::Record), expected, "{state:?}");
        // It is a state of its own: where an approval is required, there is none.
        assert_ne!(verdict(state.clone(), ApprovalMode::Required), Verdict::Recorded, "{state:?}");
    }
}

/// What was stored by an approval is stored as before, and reads as that.
#[test]
fn how_flagger_passed_is_stored() {
    let used = |by| Used { at: NOW, longest_gap: Duration::from_secs(1), by };
    let stored = |by| serde_json::to_string(&used(by)).unwrap();
    let before = r#"{"at":1790000000000,"longest_gap":{"secs":1,"nanos":0}}"#;
    assert_eq!(stored(Passage::Approval), before);
    assert_eq!(serde_json::from_str::<Used>(before).unwrap(), used(Passage::Approval));
    assert_eq!(serde_json::from_str::<Used>(&stored(Passage::Record)).unwrap(), used(Passage::Record));
}
