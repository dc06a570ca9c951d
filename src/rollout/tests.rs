//! Stories of one canary, with simulated questions and decisions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::*;
use crate::{
    gate::{
        Gate, GateId, GateName, GateState, Hours, InvalidReason, IssueSnapshot, Move, OtherAuthors, Pace,
        Stage, TargetProof, Ticket, TicketState, Validity, Verdict,
    },
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Status, Statuses},
};

mod binding;
mod canary_status;
mod cells;
mod ended_label;
mod limits;
mod notifications;
mod obstacles;
mod random;
mod readings;
mod recorded;
mod traces;
mod traffic_steps;

const RULES: Rules = Rules {
    validity: Validity {
        trust_for: Duration::from_secs(600),
        valid_for: Duration::from_secs(72 * 3600),
        judged_by: Fingerprint(1),
        reject_after: None,
        target: TargetProof::NotNeeded,
        hours: Hours::Open,
        mode: ApprovalMode::Required,
    },
    idle_after: Duration::from_secs(600),
    abandon_after: Duration::from_secs(7 * 24 * 3600),
    budget: Budget { per_hour: 1_000, headroom: Headroom::Available },
    binds: false,
};

fn id() -> CanaryId {
    CanaryId { cluster: "default".into(), namespace: "default".into(), name: "podinfo".into() }
}

fn message(phase: Phase, checksum: &str) -> Message {
    let checksum = (!checksum.is_empty()).then(|| Revision(checksum.into()));
    Message { phase, checksum, label: None }
}

fn statuses() -> Statuses {
    Statuses {
        approved: ["3".to_owned()].into(),
        rejected: ["4".to_owned()].into(),
        names: [("3".to_owned(), "Approved".to_owned()), ("4".to_owned(), "Rejected".to_owned())].into(),
        workflow: Some(["1", "2", "3", "4"].map(str::to_owned).into()),
        ..Statuses::default()
    }
}

fn status(name: &str) -> Status {
    let id = match name {
        "Approved" => "3",
        "Rejected" => "4",
        _ => "1",
    };
    Status { id: id.into(), name: name.into() }
}

fn ticket(key: &str) -> Ticket {
    Ticket {
        id: format!("1{key}"),
        key: key.into(),
        project: "OPS".into(),
        issue_type: "10004".into(),
        taken_at: None,
    }
}

/// A canary with its tickets, which the test moves.
struct World {
    canary: Canary,
    now: Millis,
    last_message: Millis,
    paces: BTreeMap<GateId, Pace>,
    moves: BTreeMap<GateId, Vec<Move>>,
    gates: usize,
    ended: Vec<(End, Vec<Gate>)>,
    rules: Rules,
    audit_events: Vec<AuditEvent>,
    /// What is known of the step of traffic, if each has a gate of its own.
    step: Option<StepReading>,
}

impl World {
    fn new() -> Self {
        Self {
            canary: Canary::new(id()),
            now: Millis(0),
            last_message: Millis(0),
            paces: BTreeMap::new(),
            moves: BTreeMap::new(),
            gates: 0,
            ended: Vec::new(),
            rules: RULES,
            audit_events: Vec::new(),
            step: None,
        }
    }

    fn apply(&mut self, event: &Event<'_>) -> Vec<Command> {
        match self.canary.apply(event, self.now, &self.rules) {
            Change::Unchanged => Vec::new(),
            Change::To { canary, commands, audit_events } => {
                self.canary = canary;
                self.audit_events.extend(audit_events.iter().cloned());
                for audit_event in audit_events {
                    if let AuditEvent::Ended { how, gates } = audit_event {
                        self.ended.push((how, gates));
                    }
                }
                commands
            }
        }
    }

    fn silent_for(&mut self) -> Duration {
        let silent_for = self.now.since(self.last_message);
        self.last_message = self.now;
        silent_for
    }

    fn asked_about(&self, name: &GateName) -> Option<&Gate> {
        if self.step.is_some() { self.canary.step_gate(name) } else { self.canary.gate(name) }
    }

    /// Asks at a gate; its ticket is opened at once. Returns whether it is open, and the gate.
    fn asks(&mut self, name: &GateName, message: &Message) -> (bool, Option<GateId>) {
        let known = self.asked_about(name).map(|gate| gate.id.clone());
        let pace = known.as_ref().and_then(|id| self.paces.get(id)).copied().unwrap_or_default();
        let silent_for = self.silent_for();
        let fresh = GateId(format!("gate-{}", self.gates));
        let commands = self.apply(&Event::Asked {
            gate: name,
            message,
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
            step: self.step.clone(),
        });
        for command in commands {
            let Command::Open { gate, .. } = command else { continue };
            self.gates += 1;
            self.apply(&Event::Opened {
                gate: &gate,
                ticket: ticket(&gate.0),
                statuses: Some(statuses()),
                shows: None,
            });
            self.sees(&gate, "To Do");
        }
        let Some(gate) = self.asked_about(name) else { return (false, None) };
        let open = gate.verdict(self.now, self.rules.validity).is_open();
        let id = gate.id.clone();
        self.paces.entry(id.clone()).or_default().answered(open, self.now);
        (open, Some(id))
    }

    fn rolls_back(&mut self, message: &Message) -> bool {
        let silent_for = self.silent_for();
        self.apply(&Event::RollbackAsked { message, silent_for, observed: Observed::Unread });
        self.canary.rolls_back().is_some()
    }

    fn reports(&mut self, report: Report, message: &Message) {
        let silent_for = self.silent_for();
        self.apply(&Event::Reported {
            report,
            message,
            event_message: None,
            silent_for,
            observed: Observed::Unread,
        });
    }

    fn decides(&mut self, gate: &GateId, to: &str) {
        let moves = self.moves.entry(gate.clone()).or_default();
        let from = moves.last().map_or_else(|| "1".into(), |last| last.to.id.clone());
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let changelog_id = (moves.len() + 1).to_string();
        moves.push(Move { changelog_id, by, at: self.now, from, to: status(to) });
        self.sees(gate, to);
    }

    fn sees(&mut self, gate: &GateId, at: &str) -> Vec<Command> {
        self.sees_labelled(gate, at, "OPS", false)
    }

    fn sees_labelled(&mut self, gate: &GateId, at: &str, project: &str, ended: bool) -> Vec<Command> {
        let snapshot = IssueSnapshot::Issue {
            approval: None,
            key: gate.0.clone(),
            project: project.into(),
            issue_type: "10004".into(),
            status: status(at),
            ended,
            marks: vec![gate.clone()],
            moves: self.moves.get(gate).cloned().unwrap_or_default(),
            invalidations: Vec::new(),
            planned: BTreeMap::new(),
            exceptions: Vec::new(),
            answered: self.now,
        };
        let arrived = self.now;
        self.apply(&Event::Seen {
            gate,
            snapshot: &snapshot,
            statuses: &statuses(),
            author: &Author::Accepted,
            authors: &OtherAuthors::default(),
            denials: &Denials::default(),
            arrived,
        })
    }

    /// Reads all current tickets again, in the status they have.
    fn polls(&mut self) {
        let live: Vec<GateId> = self
            .canary
            .rollout
            .iter()
            .flat_map(|rollout| &rollout.gates)
            .map(|gate| gate.id.clone())
            .collect();
        for gate in live {
            let at = self.moves.get(&gate).and_then(|moves| moves.last()).map(|last| last.to.name.clone());
            self.sees(&gate, at.as_deref().unwrap_or("To Do"));
        }
    }
}

fn stage(word: &str) -> Stage {
    Stage::ALL.into_iter().find(|stage| stage.as_str() == word).unwrap()
}

/// A call by hand without a checksum, and then Flagger's own: the first checksum that comes is the base.
#[test]
fn a_base_that_came_late_is_the_base() {
    let name = GateName { stage: Stage::ConfirmRollout, approver: None, step: None };
    let mut world = World::new();
    for (phase, checksum) in [(Phase::Waiting, ""), (Phase::Waiting, "1")] {
        world.asks(&name, &message(phase, checksum));
    }
    let gate = world.canary.gate(&name).unwrap().id.clone();
    world.decides(&gate, "Approved");
    assert!(!world.asks(&name, &message(Phase::Waiting, "2")).0, "asked about another base");
    assert!(world.canary.gate_by_id(&gate).is_none());
}

/// However far the clock is set back, an approval counts for at most `trust_for`; the next reading renews it.
#[test]
fn a_clock_that_is_set_back_makes_nothing_hold_longer() {
    let (name, question) = (
        GateName { stage: Stage::ConfirmPromotion, approver: None, step: None },
        message(Phase::Progressing, "r1"),
    );
    let mut world = World::new();
    let gate = world.asks(&name, &question).1.unwrap();
    world.decides(&gate, "Approved");
    world.sees(&gate, "Approved");
    assert!(world.asks(&name, &question).0);
    let trusted = i64::try_from(RULES.validity.trust_for.as_millis()).unwrap();
    for (back, open) in [(1_000, true), (trusted, true), (trusted + 1, false), (i64::MAX, false)] {
        let now = std::mem::replace(&mut world.now, Millis(0));
        world.now = Millis(now.0.saturating_sub(back));
        let verdict = world.canary.gate(&name).unwrap().verdict(world.now, RULES.validity);
        assert_eq!(verdict.is_open(), open, "{back} ms");
        world.now = now;
    }
    world.now = Millis(world.now.0 - 2 * trusted);
    world.sees(&gate, "Approved");
    assert!(world.canary.gate(&name).unwrap().verdict(world.now, RULES.validity).is_open());
}

/// The status of a ticket that its history does not explain: a comment says so once that has lasted for a while, and
/// only once.
#[test]
fn a_history_that_explains_nothing_is_told() {
    let name = GateName { stage: Stage::ConfirmPromotion, approver: None, step: None };
    let mut world = World::new();
    let (_, gate) = world.asks(&name, &message(Phase::Progressing, "1"));
    let gate = gate.unwrap();
    let mut told = Vec::new();
    for second in [0, 1, 119, 120, 121, 600] {
        world.now = Millis(second * 1000);
        let commands = world.sees(&gate, "Approved");
        let notices = commands.into_iter().filter(|command| {
            matches!(command, Command::Comment { notice: Notice::NoHistory { status }, .. } if status == "3")
        });
        told.push(notices.count());
    }
    assert_eq!(told, [0, 0, 0, 1, 0, 0]);
}
