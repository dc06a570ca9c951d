//! What an approval depends on: the accounts that questions ruled out, and what statuses meant when the ticket was
//! opened.

use super::*;
use crate::gate::{GateState, Invalidation, InvalidationCause, TicketState};

const STAGE: GateName = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };

/// Statuses, each as `id=name`.
fn named(approved: &str, rejected: &str) -> Statuses {
    let read = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split(", ").filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap()).map(|(id, name)| (id.into(), name.into())).collect()
    };
    let (approved, rejected) = (read(approved), read(rejected));
    let ids = |pairs: &[(String, String)]| pairs.iter().map(|(id, _)| id.clone()).collect();
    Statuses {
        approved: ids(&approved),
        rejected: ids(&rejected),
        names: approved.into_iter().chain(rejected).collect(),
        workflow: Some(["1", "2", "3", "4", "5"].map(str::to_owned).into()),
        ..Statuses::default()
    }
}

/// Changes a snapshot.
type ChangeSnapshot = fn(&mut IssueSnapshot);

/// A canary with one gate, which only one person moves.
struct One {
    canary: Canary,
    now: Millis,
    moves: Vec<Move>,
    at: Status,
    /// Changes each snapshot of the ticket.
    odd: ChangeSnapshot,
}

impl One {
    /// A gate with an opened ticket; `statuses` is what they meant then, if known.
    fn opened(statuses: Option<Statuses>, denials: &[&str]) -> Self {
        let (canary, now) = (Canary::new(id()), Millis(1_000));
        let at = Status { id: "1".into(), name: "To Do".into() };
        let mut one = Self { canary, now, moves: vec![], at, odd: |_| {} };
        one.asks(denials);
        let gate = one.gate().id.clone();
        one.apply(&Event::Opened { gate: &gate, ticket: ticket("7"), statuses, shows: None });
        one
    }

    fn gate(&self) -> &Gate {
        self.canary.gate(&STAGE).unwrap()
    }

    fn apply(&mut self, event: &Event<'_>) {
        self.now = self.now + Duration::from_secs(1);
        if let Change::To { canary, .. } = self.canary.apply(event, self.now, &RULES) {
            self.canary = canary;
        }
    }

    /// A question that rules these out by its metadata. Returns whether it was answered open.
    fn asks(&mut self, denials: &[&str]) -> bool {
        let denials: Vec<String> = denials.iter().map(|entry| (*entry).to_owned()).collect();
        self.apply(&Event::Asked {
            gate: &STAGE,
            message: &message(Phase::Progressing, "r"),
            metadata: &BTreeMap::new(),
            names: None,
            deny: &denials,
            denials: &denials,
            new_id: GateId("g".into()),
            silent_for: Duration::ZERO,
            pace: Pace::default(),
            observed: Observed::Unread,
            analysis: None,
            hours: HoursOf::OPEN,
            step: None,
        });
        self.gate().verdict(self.now, RULES.validity).is_open()
    }

    fn moves(&mut self, id: &str, name: &str) {
        let to = Status { id: id.into(), name: name.into() };
        let from = std::mem::replace(&mut self.at, to.clone()).id;
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let changelog_id = (self.moves.len() + 1).to_string();
        self.moves.push(Move { changelog_id, by, at: self.now, from, to });
    }

    /// A reading that was judged by these denials. `today` are the statuses with the configured names.
    fn sees_as_of(&mut self, denials: &Denials, today: Statuses) {
        let mut snapshot = IssueSnapshot::Issue {
            approval: None,
            key: "OPS-7".into(),
            project: "OPS".into(),
            issue_type: "10004".into(),
            status: self.at.clone(),
            ended: false,
            marks: vec![self.gate().id.clone()],
            moves: self.moves.clone(),
            invalidations: vec![],
            planned: BTreeMap::new(),
            exceptions: Vec::new(),
            answered: self.now,
        };
        (self.odd)(&mut snapshot);
        let (gate, statuses) = (self.gate().id.clone(), self.gate().statuses(today));
        self.apply(&Event::Seen {
            gate: &gate,
            snapshot: &snapshot,
            statuses: &statuses,
            author: &Author::Accepted,
            authors: &OtherAuthors::default(),
            denials,
            arrived: self.now,
        });
    }

    fn sees(&mut self, today: Statuses) {
        let denials = self.canary.denials(self.gate());
        self.sees_as_of(&denials, today);
    }

    /// The state of its ticket, as a word.
    fn says(&self) -> &'static str {
        let GateState::Watched { ticket_state, .. } = &self.gate().state else { panic!("it has a ticket") };
        match ticket_state {
            TicketState::Waiting { .. } => "waiting",
            TicketState::Approved { .. } => "approved",
            TicketState::Rejected { author: Author::Accepted, .. } => "rejected",
            TicketState::Rejected { .. } => "rejected, not counted",
            TicketState::NotAllowed { .. } => "not allowed",
            TicketState::JudgmentPending { .. } => "unjudged",
            TicketState::Invalid { reason: InvalidReason::Renamed { .. } } => "renamed",
            TicketState::Invalid { .. } => "gone",
        }
    }
}

/// A question rules out an account while a ticket is being read: a judgment without that denial does not open the gate.
#[test]
fn a_denial_is_not_overtaken_by_a_look_that_began_before_it() {
    let many: Vec<String> = (0..=MOST_DENIALS).map(|at| format!("user-{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (first, later) in
        [(&["bob"][..], &["mia"][..]), (&[], &["mia"]), (&[], &many), (&many[1..], &many[..1])]
    {
        for approved_before in [false, true] {
            let mut one = One::opened(Some(statuses()), first);
            one.moves("3", "Approved");
            if approved_before {
                one.sees(statuses());
                assert!(one.asks(first));
            }
            let began = one.canary.denials(one.gate());
            assert!(!one.asks(later));
            one.sees_as_of(&began, statuses());
            assert!(!one.asks(later), "{first:?}, then {later:?}");
            assert_eq!(one.says(), "unjudged");
            // Judged with it, it counts.
            one.sees(statuses());
            assert!(one.asks(later));
        }
    }
    // Nothing was ruled out meanwhile.
    let mut one = One::opened(Some(statuses()), &["bob"]);
    one.moves("3", "Approved");
    let began = one.canary.denials(one.gate());
    assert!(!one.asks(&["bob"]));
    one.sees_as_of(&began, statuses());
    assert!(one.asks(&["bob"]));
}

/// It was judged by other settings, or by a version that stored no fingerprint.
#[test]
fn an_approval_that_was_not_judged_by_these_settings_is_judged_again() {
    for judged_by in [Some(Fingerprint(2)), None] {
        let mut one = One::opened(Some(statuses()), &[]);
        one.moves("3", "Approved");
        one.sees(statuses());
        let rollout = one.canary.rollout.as_mut().unwrap();
        rollout.gates[0].judged_by = judged_by;
        assert_eq!(one.gate().verdict(one.now, RULES.validity), Verdict::Stuck);
        one.sees(statuses());
        assert!(one.asks(&[]));
    }
}

/// An earlier version stored a denial with one gate alone. The next question makes it valid for all gates.
#[test]
fn what_only_a_gate_knows_is_ruled_out_for_the_rollout() {
    let mut one = One::opened(Some(statuses()), &["bob"]);
    one.canary.rollout.as_mut().unwrap().denied.clear();
    one.moves("3", "Approved");
    one.sees(statuses());
    assert!(one.asks(&["bob"]), "it was judged with that");
    assert_eq!(one.canary.rollout.as_ref().unwrap().denied, ["bob"]);
}

/// An entry of a later question that cannot be evaluated closes its gate, like one of the first question.
#[test]
fn a_denial_that_comes_out_empty_later_closes_the_gate() {
    let mut one = One::opened(Some(statuses()), &["bob"]);
    one.moves("3", "Approved");
    one.sees(statuses());
    assert!(one.asks(&["bob"]));
    let asks_empty = |one: &mut One| {
        one.apply(&Event::Asked {
            gate: &STAGE,
            message: &message(Phase::Progressing, "r"),
            metadata: &BTreeMap::new(),
            names: None,
            deny: &[String::new()],
            denials: &[],
            new_id: GateId("g".into()),
            silent_for: Duration::ZERO,
            pace: Pace::default(),
            observed: Observed::Unread,
            analysis: None,
            hours: HoursOf::OPEN,
            step: None,
        });
    };
    asks_empty(&mut one);
    assert_eq!(one.says(), "unjudged");
    assert!(!one.asks(&["bob"]));
    assert_eq!(one.canary.denials(one.gate()).entries, ["bob", ""]);
    // It is kept once.
    asks_empty(&mut one);
    assert_eq!(one.canary.denials(one.gate()).entries, ["bob", ""]);
}

/// A status counts if it had a configured name when the ticket was opened, and has one today.
#[test]
fn statuses_mean_what_they_meant_and_still_mean() {
    let (then, none) = (named("3=Approved", "4=Rejected"), None);
    for (pinned, moved, today, expected) in [
        (Some(&then), "3=Approved", named("3=Approved", "4=Rejected"), "approved"),
        // The name went to another status, or the configuration names another.
        (Some(&then), "3=Approved", named("5=Approved", "4=Rejected"), "renamed"),
        (Some(&then), "5=In Review", named("5=Approved", "4=Rejected"), "renamed"),
        (Some(&then), "5=In Review", named("3=Approved, 5=Done", "4=Rejected"), "renamed"),
        (Some(&then), "4=Rejected", named("3=Approved", "4=Rejected"), "rejected"),
        (Some(&then), "4=Rejected", named("3=Approved", "5=Rejected"), "rejected"),
        // It closes the gate, but may not have been meant as a rejection.
        (Some(&then), "5=In Review", named("3=Approved", "4=Rejected, 5=Cancelled"), "rejected, not counted"),
        (Some(&then), "3=Approved", named("5=Approved", "3=Rejected"), "rejected, not counted"),
        // The names at that time are not known, so the history must show them.
        (none, "3=Approved", named("3=approved", "4=Rejected"), "approved"),
        (none, "3=In Review", named("3=Approved", "4=Rejected"), "renamed"),
        (none, "3=In Review, 5=Approved", named("3=Done, 5=Approved", "4=Rejected"), "renamed"),
        (none, "4=Rejected", named("3=Approved", "4=Rejected"), "rejected"),
        (none, "4=In Review", named("3=Approved", "4=Rejected"), "rejected, not counted"),
    ] {
        let mut one = One::opened(pinned.cloned(), &[]);
        for pair in moved.split(", ") {
            let (id, name) = pair.split_once('=').unwrap();
            one.moves(id, name);
        }
        // Every reading gives the same result.
        for look in 0..3 {
            one.sees(today.clone());
            assert_eq!(one.says(), expected, "look {look}: {moved}, today {today:?}");
            assert_eq!(one.asks(&[]), expected == "approved", "{moved}");
        }
    }
}

/// A move out of a status that is not in the workflow was not made by a person. If the workflow is not known, no move
/// counts.
#[test]
fn a_move_out_of_a_status_that_is_not_in_the_workflow_decides_nothing() {
    for (workflow, moved, expected) in [
        (Some(&["1", "2", "3", "4"][..]), "3=Approved", "approved"),
        (Some(&["3", "4"]), "3=Approved", "gone"),
        (Some(&["3", "4"]), "2=In Review, 3=Approved", "gone"),
        // Where it was before that does not matter.
        (Some(&["2", "3", "4"]), "2=In Review, 3=Approved", "approved"),
        (None, "3=Approved", "unjudged"),
        (Some(&["1", "3", "4"]), "4=Rejected", "rejected"),
        (Some(&["3", "4"]), "4=Rejected", "rejected, not counted"),
        (None, "4=Rejected", "rejected, not counted"),
        (None, "2=In Review", "waiting"),
    ] {
        let mut one = One::opened(Some(statuses()), &[]);
        for pair in moved.split(", ") {
            let (id, name) = pair.split_once('=').unwrap();
            one.moves(id, name);
        }
        let workflow = workflow.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        one.sees(Statuses { workflow, ..statuses() });
        assert_eq!(one.says(), expected, "{moved}");
        assert_eq!(one.asks(&[]), expected == "approved", "{moved}");
    }
}

/// An earlier version did not check the names of the statuses: the next reading does.
#[test]
fn what_an_earlier_version_judged_opens_after_the_next_look() {
    let mut one = One::opened(Some(statuses()), &[]);
    one.moves("3", "Approved");
    one.sees(statuses());
    one.canary.rollout.as_mut().unwrap().gates[0].statuses = None;
    assert!(!one.asks(&[]));
    assert_eq!(one.gate().verdict(one.now, RULES.validity), Verdict::Stale);
    one.sees(statuses());
    assert!(one.asks(&[]));
}

/// Only a later move takes back a rejection that was read and judged, or its rollback.
#[test]
fn a_rejection_is_erased_by_nothing_but_a_move() {
    let ways: [(&str, ChangeSnapshot); 6] = [
        ("labelled", |snapshot| {
            if let IssueSnapshot::Issue { ended, .. } = snapshot {
                *ended = true;
            }
        }),
        ("without its mark", |snapshot| {
            if let IssueSnapshot::Issue { marks, .. } = snapshot {
                marks.clear();
            }
        }),
        ("both", |snapshot| {
            if let IssueSnapshot::Issue { marks, ended, .. } = snapshot {
                marks.clear();
                *ended = true;
            }
        }),
        ("elsewhere", |snapshot| {
            if let IssueSnapshot::Issue { project, .. } = snapshot {
                *project = "PAY".into();
            }
        }),
        ("moved there and back", |snapshot| relocates(snapshot, InvalidationCause::Relocated)),
        ("unreadable", |snapshot| relocates(snapshot, InvalidationCause::Unreadable)),
    ];
    for (way, odd) in ways {
        let mut one = One::opened(Some(statuses()), &[]);
        one.moves("4", "Rejected");
        one.sees(statuses());
        assert_eq!(one.says(), "rejected", "{way}");
        one.odd = odd;
        for _ in 0..3 {
            one.sees(statuses());
            assert_eq!(one.says(), "rejected", "{way}");
            assert!(!one.asks(&[]), "{way}");
        }
        // A move does, if the issue carries its mark and is in its own project.
        one.odd = |_| {};
        one.moves("1", "To Do");
        one.sees(statuses());
        assert_eq!(one.says(), "waiting", "{way}");
        // Read for the first time in this form, a rejection rolls nothing back.
        let mut one = One::opened(Some(statuses()), &[]);
        one.odd = odd;
        one.moves("4", "Rejected");
        one.sees(statuses());
        assert!(one.says() != "rejected" || way == "labelled", "{way}");
    }
}

fn relocates(snapshot: &mut IssueSnapshot, cause: InvalidationCause) {
    let IssueSnapshot::Issue { invalidations, answered, .. } = snapshot else { return };
    let (changelog_id, by) = ("9".into(), "bob".into());
    invalidations.push(Invalidation { changelog_id, by, at: Some(*answered), cause });
}
