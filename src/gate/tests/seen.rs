//! How snapshots of its ticket change a gate.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    gate::{
        Browse, Gate, GateId, GateName, GateState, Hours, IssueSnapshot, Move, OtherAuthors, Stage,
        TargetProof, Ticket, TicketState, Validity,
    },
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Status, Statuses},
};

const VALIDITY: Validity = Validity {
    trust_for: Duration::from_mins(10),
    valid_for: Duration::MAX,
    judged_by: Fingerprint(0),
    reject_after: None,
    target: TargetProof::NotNeeded,
    hours: Hours::Open,
    mode: ApprovalMode::Required,
};

/// A gate that waits at minute 0, after what Jira answered at these minutes: `404`, or `shut` if the account may not
/// browse the project either.
fn after(answers: &str) -> Gate {
    let minute = |minutes: i64| Millis(1_790_000_000_000 + minutes * 60_000);
    let (id, key, project, issue_type) = ("1".into(), "OPS-1".into(), "OPS".into(), "10004".into());
    let ticket = Ticket { id, key, project, issue_type, taken_at: None };
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let mut gate = Gate::new(GateId("g".into()), name, vec![], minute(0));
    let ticket_state = TicketState::Waiting { status: None };
    gate.state = GateState::Watched { ticket, seen: minute(0), ticket_state };
    for word in answers.split(", ") {
        let (at, what) = word.split_once(' ').unwrap();
        let browse = if what == "404" { Browse::Proven } else { Browse::Unproven };
        let (at, snapshot) = (minute(at.parse().unwrap()), IssueSnapshot::Missing { browse });
        let (statuses, author) = (Statuses::default(), Author::Accepted);
        if let Some(next) =
            gate.after_snapshot(&snapshot, &statuses, (&author, &OtherAuthors::default()), at, at, VALIDITY)
        {
            gate = next;
        }
    }
    gate
}

/// The gate of a ticket that was moved, with this judgment of the author.
fn judged(to: &str, author: &Author) -> Gate {
    judged_of(to, author, None)
}

/// The same for a ticket that existed before, and was taken at this time.
fn judged_of(to: &str, author: &Author, taken_at: Option<Millis>) -> Gate {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    let names = ["yes", "no"].map(|name| (name.to_owned(), name.to_owned())).into();
    let (approved, rejected, workflow) = (ids(&["yes"]), ids(&["no"]), ids(&["new", "yes", "no"]));
    let statuses = Statuses { approved, rejected, workflow: Some(workflow), names, ..Statuses::default() };
    let mut gate = after("0 404");
    gate.statuses = Some(statuses.pinned());
    if let GateState::Watched { ticket, .. } = &mut gate.state {
        ticket.taken_at = taken_at;
    }
    let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
    let (status, at) = (Status { id: to.into(), name: to.into() }, Millis(1_790_000_000_000));
    let entry = Move { changelog_id: "1".into(), by, at, from: "new".into(), to: status.clone() };
    let snapshot = IssueSnapshot::Issue {
        approval: None,
        key: "OPS-1".into(),
        project: "OPS".into(),
        issue_type: "10004".into(),
        status,
        ended: false,
        marks: vec![gate.id.clone()],
        moves: vec![entry],
        invalidations: vec![],
        planned: BTreeMap::new(),
        exceptions: Vec::new(),
        answered: at,
    };
    gate.after_snapshot(&snapshot, &statuses, (author, &OtherAuthors::default()), at, at, VALIDITY).unwrap()
}

#[test]
fn a_move_that_was_not_judged_decides_nothing() {
    let why = || String::from("?");
    for (author, opens) in [
        (Author::Accepted, true),
        (Author::NotAccepted { why: why() }, false),
        (Author::Unknown { why: why() }, false),
        (Author::NoDecision, false),
    ] {
        let gate = judged("yes", &author);
        let verdict = gate.verdict(Millis(1_790_000_000_000), VALIDITY);
        assert_eq!(verdict.is_open(), opens, "{author:?}: {verdict:?}");
        let gate = judged("no", &author);
        assert!(gate.rejection().is_some(), "{author:?}");
        assert_eq!(gate.rollback().is_some(), opens, "{author:?}");
        // An earlier version can read what is stored.
        assert!(!serde_json::to_string(&gate).unwrap().contains("not_judged"), "{author:?}");
    }
}

/// An approval from before the bridge took an existing ticket opens nothing; a rejection closes the gate, whenever it was.
#[test]
fn an_approval_from_before_the_ticket_was_taken_does_not_count() {
    let moved = Millis(1_790_000_000_000);
    for (taken_at, opens) in [
        (None, true),
        (Some(Millis(moved.0 - 1)), true),
        (Some(moved), true),
        (Some(Millis(moved.0 + 1)), false),
    ] {
        for author in [Author::Accepted, Author::NotAccepted { why: "?".into() }] {
            let gate = judged_of("yes", &author, taken_at);
            let verdict = gate.verdict(moved, VALIDITY);
            assert_eq!(verdict.is_open(), opens && author == Author::Accepted, "{taken_at:?}: {verdict:?}");
            assert_eq!(verdict == crate::gate::Verdict::Gone, !opens, "{taken_at:?}: {verdict:?}");
        }
        assert!(judged_of("no", &Author::Accepted, taken_at).rejection().is_some());
    }
}

#[test]
fn a_ticket_is_given_up_only_after_long_and_constant_denial() {
    for (last_answer, spent) in [
        ("1 404", false),
        ("1 404, 2 404", false),
        ("1 404, 6 404, 10 404", false),
        ("1 404, 6 404, 11 404", true),
        ("1 404, 6 404, 11 404, 12 shut", true),
        // The bridge did not look for longer than `trust_for`.
        ("1 404, 61 404", false),
        ("1 404, 61 404, 66 404, 71 404", true),
        // A 404 proves nothing to an account that may not browse the project.
        ("1 shut, 6 shut, 11 shut, 16 shut", false),
        ("1 404, 6 shut, 11 404", false),
        ("1 404, 6 shut, 11 404, 16 404, 21 404", true),
        // A clock that was set back does not count.
        ("11 404, 1 404, 12 404", false),
    ] {
        assert_eq!(after(last_answer).needs_new_ticket(), spent, "{last_answer}");
    }
}
