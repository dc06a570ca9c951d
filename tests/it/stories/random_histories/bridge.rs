//! The bridge's pure core, with the state that the gatekeeper and the store keep, and a Jira that shows each move at
//! once.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use flagger_jira_bridge::{
    gate::{GateId, GateName, Hours, IssueSnapshot, Move, OtherAuthors, Pace, TargetProof, Ticket, Validity},
    millis::Millis,
    policy::{ApprovalMode, Author, Fingerprint, Person, Status, Statuses},
    rollout::{
        AuditEvent, Budget, Canary, CanaryId, CanaryStatus, Change, Command, Denials, Event, Headroom,
        HoursOf, Message, Observed, Report, Rollout, Rules,
    },
};

use super::workloads::revision_shown;

/// The defaults, but approvals are valid for longer: histories do not test expiry.
pub(super) const RULES: Rules = Rules {
    validity: Validity {
        trust_for: Duration::from_secs(600),
        valid_for: Duration::from_secs(365 * 86_400),
        judged_by: Fingerprint(1),
        reject_after: None,
        target: TargetProof::NotNeeded,
        hours: Hours::Open,
        mode: ApprovalMode::Required,
    },
    idle_after: Duration::from_secs(600),
    abandon_after: Duration::from_secs(7 * 86_400),
    budget: Budget { per_hour: 1_000, headroom: Headroom::Available },
    binds: false,
};

/// The interval in milliseconds at which the store writes the times of messages.
const WRITES_BACK_EVERY: i64 = 60_000;

/// A ticket's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    ToDo,
    Approved,
    Rejected,
}

impl Place {
    const fn id(self) -> &'static str {
        match self {
            Self::ToDo => "1",
            Self::Approved => "3",
            Self::Rejected => "4",
        }
    }

    fn status(self) -> Status {
        Status { id: self.id().into(), name: format!("{self:?}") }
    }
}

/// A ticket that the bridge opened.
pub(super) struct ModelTicket {
    pub(super) name: GateName,
    /// The attempt for which it was opened: known to the model, never to the bridge.
    pub(super) attempt: u64,
    /// The course of that attempt, if the model needs it.
    pub(super) course: u64,
    /// The revision that it says would run, if it says one.
    pub(super) shows: Option<u32>,
    /// The revision that it is about if it says none, as far as its approver can know.
    pub(super) named: Option<u32>,
    pub(super) place: Place,
    moves: Vec<Move>,
}

/// The answer to a question at a gate.
pub(super) struct Answer {
    pub(super) open: bool,
    /// The ticket that the answer shows.
    pub(super) ticket: Option<usize>,
    /// Whether this question opened the ticket.
    pub(super) fresh: bool,
    /// The time since the previous message.
    pub(super) silent_for: Duration,
}

/// State that is kept in memory and written in batches.
#[derive(Clone, Default)]
struct Batched {
    last_message_at: Option<Millis>,
    paces: HashMap<GateId, Pace>,
}

pub(super) struct Bridge {
    pub(super) canary: Canary,
    pub(super) tickets: Vec<ModelTicket>,
    /// How often it recorded that something else was started than approved.
    pub(super) unapproved: u64,
    memory: Batched,
    written: Batched,
    statuses: Statuses,
}

impl Bridge {
    pub(super) fn new() -> Self {
        let id = CanaryId { cluster: "default".into(), namespace: "default".into(), name: "podinfo".into() };
        Self {
            canary: Canary::new(id),
            tickets: Vec::new(),
            unapproved: 0,
            memory: Batched::default(),
            written: Batched::default(),
            statuses: Statuses {
                approved: [Place::Approved.id().to_owned()].into(),
                rejected: [Place::Rejected.id().to_owned()].into(),
                names: [Place::Approved, Place::Rejected]
                    .map(|place| (place.id().to_owned(), place.status().name))
                    .into(),
                workflow: Some(
                    [Place::ToDo, Place::Approved, Place::Rejected].map(|place| place.id().to_owned()).into(),
                ),
                ..Statuses::default()
            },
        }
    }

    fn apply(&mut self, event: &Event<'_>, now: Millis) -> Vec<Command> {
        match self.canary.apply(event, now, &RULES) {
            Change::Unchanged => Vec::new(),
            Change::To { canary, commands, audit_events } => {
                self.canary = canary;
                let unapproved = audit_events.iter().filter(|it| matches!(it, AuditEvent::Unapproved { .. }));
                self.unapproved += unapproved.count() as u64;
                commands
            }
        }
    }

    /// Records a message. Returns the time since the previous one.
    fn receives(&mut self, now: Millis) -> Duration {
        self.writes_back(now);
        let silent_for = self.memory.last_message_at.map_or(Duration::ZERO, |at| now.since(at));
        self.memory.last_message_at = Some(now);
        silent_for
    }

    fn writes_back(&mut self, now: Millis) {
        if self.memory.last_message_at.is_some_and(|at| at.0 / WRITES_BACK_EVERY != now.0 / WRITES_BACK_EVERY)
        {
            self.written = self.memory.clone();
        }
    }

    /// The process restarts; its downtime is no silence. After a crash, state that was not written is lost.
    pub(super) fn restarts(&mut self, died: Millis, away: Duration, crashed: bool) {
        self.writes_back(died);
        if crashed {
            self.memory = self.written.clone();
        }
        self.memory.last_message_at = self.memory.last_message_at.map(|at| at + away);
        // A pause continues from there: the downtime is not measured.
        if let Some(last_message_at) = self.memory.last_message_at {
            self.memory.paces.values_mut().for_each(|pace| pace.resumed(last_message_at));
        }
    }

    /// Flagger asks at a gate; `attempt` is known to the model only. A ticket is opened at once.
    pub(super) fn asked(
        &mut self,
        name: &GateName,
        message: &Message,
        observed: &Observed,
        now: Millis,
        attempt: u64,
    ) -> Answer {
        let silent_for = self.receives(now);
        let pace = self.canary.gate(name).and_then(|known| self.memory.paces.get(&known.id)).copied();
        let event = Event::Asked {
            gate: name,
            message,
            metadata: &BTreeMap::new(),
            names: None,
            new_id: GateId(self.tickets.len().to_string()),
            silent_for,
            deny: &[],
            denials: &[],
            pace: pace.unwrap_or_default(),
            observed: observed.clone(),
            analysis: None,
            hours: HoursOf::OPEN,
            step: None,
        };
        let opens = |command: Command| match command {
            Command::Open { gate, subject, .. } => {
                Some((gate, subject.change.as_ref().and_then(revision_shown)))
            }
            // The other commands open no ticket.
            Command::FindDuplicates { .. }
            | Command::Comment { .. }
            | Command::Label { .. }
            | Command::Move { .. }
            | Command::Link { .. }
            | Command::Publish { .. }
            | Command::Notify { .. } => None,
        };
        let gates: Vec<_> = self.apply(&event, now).into_iter().filter_map(opens).collect();
        let fresh = !gates.is_empty();
        for (gate, shows) in gates {
            let ticket = Ticket {
                id: gate.0.clone(),
                key: format!("OPS-{gate}"),
                project: "OPS".into(),
                issue_type: "10004".into(),
                taken_at: None,
            };
            self.tickets.push(ModelTicket {
                name: name.clone(),
                attempt,
                course: 0,
                shows,
                named: None,
                place: Place::ToDo,
                moves: Vec::new(),
            });
            let _: Vec<Command> =
                self.apply(&Event::Opened { gate: &gate, ticket, statuses: None, shows: None }, now);
            self.reads_ticket(self.tickets.len() - 1, now);
        }
        let Some(gate) = self.canary.gate(name) else {
            return Answer { open: false, ticket: None, fresh, silent_for };
        };
        let validity = Validity { target: observed.proof(name.stage, Some(gate)), ..RULES.validity };
        let open = gate.verdict(now, validity).is_open();
        let ticket = gate.id.0.parse().ok();
        self.memory.paces.entry(gate.id.clone()).or_default().answered(open, now);
        Answer { open, ticket, fresh, silent_for }
    }

    /// Flagger asks whether to roll back.
    pub(super) fn asked_to_roll_back(&mut self, message: &Message, observed: Observed, now: Millis) -> bool {
        let silent_for = self.receives(now);
        self.apply(&Event::RollbackAsked { message, silent_for, observed }, now);
        self.canary.rolls_back().is_some()
    }

    /// Flagger reports. Before the first question a report is dropped.
    pub(super) fn reported(&mut self, report: Report, message: &Message, observed: Observed, now: Millis) {
        if self.tickets.is_empty() {
            return;
        }
        let silent_for = self.receives(now);
        self.apply(&Event::Reported { report, message, event_message: None, silent_for, observed }, now);
    }

    /// Whether what a watch shows of the Canary would change anything.
    pub(super) fn would_change(&self, was: &Rollout, watched: Option<&CanaryStatus>, now: Millis) -> bool {
        let event = Event::CanaryRead { was, status: watched, observed: &Observed::Unread };
        self.canary.apply(&event, now, &RULES) != Change::Unchanged
    }

    /// The bridge reads the Canary. `was` is the rollout before that.
    pub(super) fn canary_read(
        &mut self,
        was: &Rollout,
        status: Option<&CanaryStatus>,
        observed: &Observed,
        now: Millis,
    ) {
        self.apply(&Event::CanaryRead { was, status, observed }, now);
    }

    /// A person moves a ticket. The bridge has not read that yet.
    pub(super) fn moved(&mut self, ticket: usize, to: Place, now: Millis) {
        let entry = &mut self.tickets[ticket];
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let changelog_id = (entry.moves.len() + 1).to_string();
        let from = entry.place.id().to_owned();
        entry.moves.push(Move { changelog_id, by, at: now, from, to: to.status() });
        entry.place = to;
    }

    /// Reads a ticket, if its gate still exists.
    pub(super) fn reads_ticket(&mut self, ticket: usize, now: Millis) {
        let gate = GateId(ticket.to_string());
        if self.canary.gate_by_id(&gate).is_none() {
            return;
        }
        let entry = &self.tickets[ticket];
        let snapshot = IssueSnapshot::Issue {
            approval: None,
            key: format!("OPS-{gate}"),
            project: "OPS".into(),
            issue_type: "10004".into(),
            status: entry.place.status(),
            ended: false,
            marks: vec![gate.clone()],
            moves: entry.moves.clone(),
            invalidations: Vec::new(),
            planned: BTreeMap::new(),
            exceptions: Vec::new(),
            answered: now,
        };
        let statuses = std::mem::take(&mut self.statuses);
        self.apply(
            &Event::Seen {
                gate: &gate,
                snapshot: &snapshot,
                statuses: &statuses,
                author: &Author::Accepted,
                authors: &OtherAuthors::default(),
                denials: &Denials::default(),
                arrived: now,
            },
            now,
        );
        self.statuses = statuses;
    }

    /// Reads the ticket of every gate.
    pub(super) fn polls(&mut self, now: Millis) {
        let gates = self.canary.rollout.iter().flat_map(|rollout| &rollout.gates);
        let live: Vec<usize> = gates.filter_map(|gate| gate.id.0.parse().ok()).collect();
        for ticket in live {
            self.reads_ticket(ticket, now);
        }
    }
}
