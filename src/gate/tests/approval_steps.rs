//! Approvals in several steps: who made which, and what opens the gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use crate::{
    gate::{
        Gate, GateId, GateName, GateState, Hours, Invalidation, InvalidationCause, IssueSnapshot, Move,
        OtherAuthors, Stage, StepState, TargetProof, Ticket, TicketState, Validity, steps_made,
        steps_need_history_since,
    },
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Status, Statuses},
};

const VALIDITY: Validity = Validity {
    trust_for: Duration::MAX,
    valid_for: Duration::MAX,
    judged_by: Fingerprint(0),
    reject_after: None,
    target: TargetProof::NotNeeded,
    hours: Hours::Open,
    mode: ApprovalMode::Required,
};
/// Later than every move.
const NOW: Millis = Millis(1_000_000_000);
/// Longer than one action takes.
const PACE: i64 = 60_000;

/// The statuses of a workflow: those of the steps, two before them, another approved one, and a rejected one.
fn statuses(steps: &[&str]) -> Statuses {
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    let all = ["new", "work", "checked", "tested", "yes", "done", "no"];
    Statuses {
        approved: set(&["yes", "done"]),
        rejected: set(&["no"]),
        steps: steps.iter().map(|id| (*id).to_owned()).collect(),
        names: all.map(|id| (id.to_owned(), id.to_owned())).into(),
        workflow: Some(set(&all)),
        ..Statuses::default()
    }
}

fn status(id: &str) -> Status {
    Status { id: id.into(), name: id.into() }
}

fn person(id: &str) -> Person {
    Person { id: id.into(), name: id.into(), app: false }
}

/// Mallory may not approve, and of Una it is not known.
fn judgment(by: &str) -> Author {
    match by {
        "mallory" => Author::NotAccepted { why: "mallory is not among the approvers of this gate".into() },
        "una" => Author::Unknown { why: "Jira is down".into() },
        _ => Author::Accepted,
    }
}

/// What happened to a ticket, in order.
#[derive(Clone, Debug, Default)]
struct History {
    moves: Vec<Move>,
    invalidations: Vec<Invalidation>,
}

impl History {
    fn at(&self) -> &str {
        self.moves.last().map_or("new", |last| &last.to.id)
    }

    fn next(&self) -> (String, i64) {
        let nth = self.moves.len() + self.invalidations.len() + 1;
        (nth.to_string(), i64::try_from(nth).unwrap() * PACE)
    }

    fn moved(&mut self, by: &str, to: &str) {
        let ((changelog_id, at), from) = (self.next(), self.at().to_owned());
        self.moves.push(Move { changelog_id, by: person(by), at: Millis(at), from, to: status(to) });
    }

    fn relocated(&mut self, by: &str) {
        let (changelog_id, at) = self.next();
        self.invalidations.push(Invalidation {
            changelog_id,
            by: by.into(),
            at: Some(Millis(at)),
            cause: InvalidationCause::Relocated,
        });
    }

    /// `mia checked, bob yes`; `mia !` relocates the ticket.
    fn read(text: &str) -> Self {
        let mut history = Self::default();
        for action in text.split(", ") {
            match action.split_once(' ').unwrap() {
                (by, "!") => history.relocated(by),
                (by, to) => history.moved(by, to),
            }
        }
        history
    }

    fn snapshot(&self, gate: &GateId) -> IssueSnapshot {
        IssueSnapshot::Issue {
            key: "OPS-1".into(),
            project: "OPS".into(),
            issue_type: "10".into(),
            status: status(self.at()),
            ended: false,
            marks: vec![gate.clone()],
            moves: self.moves.clone(),
            invalidations: self.invalidations.clone(),
            planned: BTreeMap::new(),
            exceptions: Vec::new(),
            approval: None,
            answered: NOW,
        }
    }

    /// The judgments of those who made the steps, and of the one who decided.
    fn judgments(&self, statuses: &Statuses) -> (Author, OtherAuthors) {
        let at = status(self.at());
        let decided = crate::gate::decisive(&at, &self.moves, statuses);
        let author = decided.map_or(Author::NoDecision, |entry| judgment(&entry.by.id));
        let mut authors = OtherAuthors::default();
        for entry in steps_made(&at, &self.moves, statuses).into_iter().flatten() {
            authors.add(entry.clone(), judgment(&entry.by.id));
        }
        (author, authors)
    }
}

fn waiting(pinned: Option<Statuses>) -> Gate {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let ticket = Ticket {
        id: "1".into(),
        key: "OPS-1".into(),
        project: "OPS".into(),
        issue_type: "10".into(),
        taken_at: None,
    };
    let ticket_state = TicketState::Waiting { status: None };
    Gate {
        state: GateState::Watched { ticket, seen: Millis(0), ticket_state },
        statuses: pinned,
        ..Gate::new(GateId("g".into()), name, vec![], Millis(0))
    }
}

fn seen(gate: &Gate, history: &History, today: &Statuses) -> Gate {
    let statuses = gate.statuses(today.clone());
    let (author, authors) = history.judgments(&statuses);
    let snapshot = history.snapshot(&gate.id);
    let after = gate.after_snapshot(&snapshot, &statuses, (&author, &authors), NOW, NOW, VALIDITY);
    after.unwrap_or_else(|| gate.clone())
}

/// The verdict, the steps, and why an approval does not count.
fn told(history: &str, steps: &[&str]) -> String {
    let today = statuses(steps);
    let gate = seen(&waiting(Some(today.pinned())), &History::read(history), &today);
    let step = |state: &StepState| match state {
        StepState::Missing => "-".to_owned(),
        StepState::Done { entry } => entry.by.id.clone(),
        StepState::NotCounted { entry, .. } => format!("not {}", entry.by.id),
        StepState::JudgmentPending { entry, .. } => format!("{}?", entry.by.id),
    };
    let made: Vec<String> = gate.steps.iter().map(|it| step(&it.state)).collect();
    let GateState::Watched { ticket_state, .. } = &gate.state else { panic!() };
    let why = match ticket_state {
        TicketState::NotAllowed { why, .. } | TicketState::JudgmentPending { why, .. } => format!(": {why}"),
        TicketState::Approved { decision, .. } => {
            let before: Vec<_> = decision.steps.iter().map(|entry| entry.by.id.as_str()).collect();
            format!(" by {} after {}", decision.changelog_entry.by.id, before.join(", "))
        }
        TicketState::Waiting { .. } | TicketState::Rejected { .. } | TicketState::Invalid { .. } => {
            String::new()
        }
    };
    format!("{history} = {} [{}]{why}", gate.verdict(NOW, VALIDITY).as_str(), made.join(", "))
}

#[test]
fn who_made_which_step() {
    let two = |history: &str| told(history, &["checked", "yes"]);
    let three = |history: &str| told(history, &["checked", "tested", "yes"]);
    let lines = [
        two("mia checked"),
        two("mia checked, bob yes"),
        two("mia work, bob work, mia checked, bob yes"),
        // One person makes both, in any case of the name.
        two("mia checked, mia yes"),
        two("mia checked, MIA yes"),
        // A step is skipped, and made up for.
        two("mia yes"),
        two("mia yes, bob checked"),
        two("mia yes, bob checked, mia yes"),
        two("mia checked, bob done"),
        two("mia checked, bob yes, eve done"),
        two("mia checked, bob done, eve yes"),
        // Taken back to the earlier step, which stays; and to another status.
        two("mia checked, bob yes, eve checked"),
        two("mia checked, bob yes, bob checked, bob yes"),
        two("mia checked, bob yes, mia checked, mia yes"),
        two("mia checked, bob yes, eve work"),
        two("mia checked, bob yes, eve work, bob yes"),
        two("mia checked, eve work, eve checked, mia yes"),
        two("mia checked, eve no, mia yes"),
        two("mia checked, eve no"),
        // Who may not, and of whom it is not known.
        two("mallory checked"),
        two("mallory checked, bob yes"),
        two("mia checked, mallory yes"),
        two("una checked, bob yes"),
        two("mia checked, una yes"),
        two("una checked, una yes"),
        // The ticket is relocated.
        two("mia checked, eve !, bob yes"),
        two("mia checked, bob yes, eve !"),
        two("eve !, mia checked, bob yes"),
        three("mia checked, bob tested, eve yes"),
        three("mia checked, bob tested, mia yes"),
        three("mia checked, eve yes"),
        three("mia checked, eve yes, bob tested, eve yes"),
        three("mia checked, bob tested, eve yes, ann checked, bob tested"),
        three("mia checked, bob tested, eve yes, ann tested, ann yes"),
        three("bob tested, mia checked"),
        three("bob tested, mia checked, bob tested, eve yes"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    mia checked = waiting [mia, -]
    mia checked, bob yes = approved [mia, bob] by bob after mia
    mia work, bob work, mia checked, bob yes = approved [mia, bob] by bob after mia
    mia checked, mia yes = not_allowed [mia, not mia]: step 2 of 2 ("yes") does not count: mia made an earlier step, and each step needs another person
    mia checked, MIA yes = not_allowed [mia, not MIA]: step 2 of 2 ("yes") does not count: MIA made an earlier step, and each step needs another person
    mia yes = not_allowed [-, mia]: step 1 of 2 ("checked") is missing; the ticket must be moved to "checked" and "yes", in this order, each time by another person
    mia yes, bob checked = waiting [bob, -]
    mia yes, bob checked, mia yes = approved [bob, mia] by mia after bob
    mia checked, bob done = not_allowed [mia, -]: step 2 of 2 ("yes") is missing; the ticket must be moved to "checked" and "yes", in this order, each time by another person
    mia checked, bob yes, eve done = approved [mia, bob] by bob after mia
    mia checked, bob done, eve yes = not_allowed [mia, -]: step 2 of 2 ("yes") is missing; the ticket must be moved to "checked" and "yes", in this order, each time by another person
    mia checked, bob yes, eve checked = waiting [mia, -]
    mia checked, bob yes, bob checked, bob yes = approved [mia, bob] by bob after mia
    mia checked, bob yes, mia checked, mia yes = not_allowed [mia, not mia]: step 2 of 2 ("yes") does not count: mia made an earlier step, and each step needs another person
    mia checked, bob yes, eve work = waiting [-, -]
    mia checked, bob yes, eve work, bob yes = not_allowed [-, bob]: step 1 of 2 ("checked") is missing; the ticket must be moved to "checked" and "yes", in this order, each time by another person
    mia checked, eve work, eve checked, mia yes = approved [eve, mia] by mia after eve
    mia checked, eve no, mia yes = not_allowed [-, mia]: step 1 of 2 ("checked") is missing; the ticket must be moved to "checked" and "yes", in this order, each time by another person
    mia checked, eve no = rejected [-, -]
    mallory checked = waiting [not mallory, -]
    mallory checked, bob yes = not_allowed [not mallory, bob]: step 1 of 2 ("checked") does not count: mallory is not among the approvers of this gate
    mia checked, mallory yes = not_allowed [mia, not mallory]: mallory is not among the approvers of this gate
    una checked, bob yes = stuck [una?, bob]: step 1 of 2 ("checked"): Jira is down
    mia checked, una yes = stuck [mia, una?]: Jira is down
    una checked, una yes = stuck [una?, not una]: Jira is down
    mia checked, eve !, bob yes = not_allowed [not mia, bob]: step 1 of 2 ("checked") does not count: the ticket was moved between projects, issue types or workflows with it or since
    mia checked, bob yes, eve ! = gone [not mia, not bob]
    eve !, mia checked, bob yes = approved [mia, bob] by bob after mia
    mia checked, bob tested, eve yes = approved [mia, bob, eve] by eve after mia, bob
    mia checked, bob tested, mia yes = not_allowed [mia, bob, not mia]: step 3 of 3 ("yes") does not count: mia made an earlier step, and each step needs another person
    mia checked, eve yes = not_allowed [mia, -, eve]: step 2 of 3 ("tested") is missing; the ticket must be moved to "checked", "tested" and "yes", in this order, each time by another person
    mia checked, eve yes, bob tested, eve yes = approved [mia, bob, eve] by eve after mia, bob
    mia checked, bob tested, eve yes, ann checked, bob tested = waiting [mia, bob, -]
    mia checked, bob tested, eve yes, ann tested, ann yes = approved [mia, bob, ann] by ann after mia, bob
    bob tested, mia checked = waiting [mia, -, -]
    bob tested, mia checked, bob tested, eve yes = approved [mia, bob, eve] by eve after mia, bob
    "#);
}

/// An approval that is in order opens nothing under settings that ask for more steps, and its steps are not needed under
/// settings that ask for one.
#[test]
fn the_steps_of_today_count() {
    let (one, two) = (statuses(&[]), statuses(&["checked", "yes"]));
    let history = History::read("mia checked, bob yes");
    let opens = |pinned: &Statuses, today: &Statuses| {
        seen(&waiting(Some(pinned.pinned())), &history, today).verdict(NOW, VALIDITY).is_open()
    };
    assert!(opens(&two, &two) && opens(&two, &one) && opens(&one, &one));
    // The ticket was opened before there were steps: the history shows what the statuses were called.
    assert!(opens(&one, &two));
    let renamed = Statuses {
        names: [("checked", "checked now"), ("yes", "yes")].map(|(id, name)| (id.into(), name.into())).into(),
        ..two.clone()
    };
    assert!(!opens(&one, &renamed));
    // The status of a step that was pinned may be renamed, but another one does not take its place.
    assert!(opens(&two, &renamed));
    assert!(!opens(&statuses(&["tested", "yes"]), &two));
}

/// A part of a history is enough only if it shows where the steps begin.
#[test]
fn as_much_history_as_needed_is_read() {
    let statuses = statuses(&["checked", "yes"]);
    let history = History::read("mia checked, eve work, mia checked, bob yes, eve checked, bob yes");
    let since = |newest: usize| {
        let moves = &history.moves[history.moves.len() - newest..];
        steps_need_history_since(&status(history.at()), moves, &statuses)
    };
    assert_eq!([0, 1, 2, 3].map(since), [None, None, None, None]);
    assert_eq!(since(4), Some(Some(Millis(3 * PACE - 5_000))));
    assert_eq!(since(6), since(4));
    // A step that is missing is missing, whatever came before.
    let skipped = History::read("mia checked, eve work, bob yes");
    let newest = &skipped.moves[2..];
    assert_eq!(
        steps_need_history_since(&status("yes"), newest, &statuses),
        Some(Some(Millis(3 * PACE - 5_000)))
    );
    let outside = |at: &str| steps_need_history_since(&status(at), &[], &statuses);
    assert_eq!((outside("work"), outside("no"), outside("checked")), (Some(None), Some(None), None));
}

/// An action in a random history.
#[derive(Clone, Debug)]
enum Action {
    Move { by: &'static str, to: &'static str, relocates: bool },
    Relocate { by: &'static str },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let people = || prop::sample::select(vec!["mia", "bob", "eve", "mallory", "una", "MIA"]);
    let to = prop::sample::select(vec![
        "checked", "checked", "tested", "tested", "yes", "yes", "yes", "done", "work", "new", "no",
    ]);
    let action = prop_oneof![
        12 => (people(), to, prop::bool::weighted(0.05))
            .prop_map(|(by, to, relocates)| Action::Move { by, to, relocates }),
        1 => people().prop_map(|by| Action::Relocate { by }),
    ];
    prop::collection::vec(action, 1..12)
}

/// How an order of entries is disturbed: for each entry, by how many places it moves back.
fn disturbed(entries: usize, shifts: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entries).collect();
    for (at, shift) in shifts.iter().enumerate().take(entries) {
        order.swap(at, at.saturating_sub(*shift));
    }
    let mut places = vec![0; entries];
    for (place, entry) in order.into_iter().enumerate() {
        places[entry] = place;
    }
    places
}

/// Independent of the code that it judges: who moved the ticket where, since it was last outside of all steps, as it
/// really happened.
#[derive(Default)]
struct Witness {
    /// The accepted people who moved the ticket into each step, by a transition that nothing has invalidated.
    made: BTreeMap<String, BTreeSet<String>>,
}

impl Witness {
    fn sees(&mut self, by: &str, (from, to): (&str, &str), counts: bool, steps: &[&str]) {
        let is_approved = |at: &str| ["yes", "done"].contains(&at);
        if is_approved(from) && is_approved(to) {
            return;
        }
        // Only the last approval counts, until it is taken back.
        self.made.remove("yes");
        if !steps.contains(&to) && !is_approved(to) {
            self.made.clear();
        }
        if counts && judgment(by) == Author::Accepted {
            self.made.entry(to.into()).or_default().insert(by.to_lowercase());
        }
    }

    /// Whether different people can be found for all steps.
    fn suffices(&self, steps: &[&str], taken: &BTreeSet<String>) -> bool {
        let Some((step, rest)) = steps.split_first() else { return true };
        self.made.get(*step).into_iter().flatten().filter(|by| !taken.contains(*by)).any(|by| {
            let mut taken = taken.clone();
            taken.insert(by.clone());
            self.suffices(rest, &taken)
        })
    }
}

proptest! {
    /// Whatever happens to a ticket, and whichever of the two orders of its history is disturbed: no gate opens with fewer
    /// accepted people than steps.
    #[test]
    fn random_histories_open_nothing_with_fewer_people_than_steps(
        actions in actions(),
        three: bool,
        disturbs_ids: bool,
        shifts in prop::collection::vec(prop_oneof![4 => Just(0_usize), 1 => 1_usize..4], 12),
    ) {
        let steps: &[&str] = if three { &["checked", "tested", "yes"] } else { &["checked", "yes"] };
        let today = statuses(steps);
        let places = disturbed(actions.len(), &shifts);
        let (mut gate, mut history, mut witness) = (waiting(Some(today.pinned())), History::default(), Witness::default());
        for (nth, action) in actions.iter().enumerate() {
            let place = |disturbs: bool| 1 + if disturbs { places[nth] } else { nth };
            let (id, at) = (place(disturbs_ids).to_string(), Millis(i64::try_from(place(!disturbs_ids)).unwrap() * PACE));
            let mut relocates = |by: &str| {
                let (changelog_id, by, cause) = (id.clone(), by.into(), InvalidationCause::Relocated);
                history.invalidations.push(Invalidation { changelog_id, by, at: Some(at), cause });
            };
            match action {
                Action::Relocate { by } => {
                    relocates(by);
                    witness.made.clear();
                }
                Action::Move { by, to, relocates: with } => {
                    if *with {
                        relocates(by);
                        witness.made.clear();
                    }
                    let from = history.at().to_owned();
                    witness.sees(by, (&from, to), !with, steps);
                    history.moves.push(Move { changelog_id: id, by: person(by), at, from, to: status(to) });
                }
            }
            gate = seen(&gate, &history, &today);
            if gate.verdict(NOW, VALIDITY).is_open() {
                prop_assert!(witness.suffices(steps, &BTreeSet::new()), "{history:?}");
                let Some((_, decision)) = gate.approval() else { panic!() };
                prop_assert_eq!(decision.steps.len() + 1, steps.len());
            }
        }
    }
}
