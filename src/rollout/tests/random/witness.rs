//! A canary, its tickets, and a witness that knows independently of the bridge which approvals count.

use serde_json::json;

use super::super::*;
use crate::{
    flagger,
    gate::{Browse, LastAnswer},
    mutation,
};

const PHASES: [&str; 11] = [
    "Initializing",
    "Initialized",
    "Waiting",
    "Progressing",
    "WaitingPromotion",
    "Promoting",
    "Finalising",
    "Succeeded",
    "Failed",
    "",
    "Terminating",
];
const CHECKSUMS: [&str; 4] = ["", "100000001", "100000002", "100000003"];
const LABELS: [&str; 3] = ["", "v1", "v2"];
/// Status ids: two that wait, two that mean yes, one that means no.
const STATUSES: [&str; 5] = ["1", "2", "3", "30", "4"];
/// Mia may approve, Max may not, and for Eve it is not known.
const PEOPLE: [&str; 3] = ["mia", "max", "eve"];

/// What happens next. Numbers are taken modulo the number of choices.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Message { path: u8, phase: u8, checksum: u8, label: u8, garbled: Vec<mutation::Change> },
    Moved { ticket: u8, to: u8, by: u8 },
    Looked { ticket: u8, how: u8 },
    NotOpened { gate: u8 },
    Later { millis: i64 },
    Silence { seconds: u32 },
}

/// A ticket as Jira has it, and what the witness knows of it.
struct Issue {
    gate: GateId,
    name: GateName,
    moves: Vec<Move>,
    at: &'static str,
    /// The last snapshot that the bridge accepted: when it was taken, its moves, and whether it was complete and in the
    /// right project.
    seen: Option<(Millis, Vec<Move>, bool)>,
    /// The time of the newest move that a snapshot has shown.
    newest: Option<Millis>,
    used: bool,
    checksums: Vec<String>,
    labels: Vec<String>,
    ended: bool,
}

impl Issue {
    /// The move that approves: the last into the approved statuses, with none out of them since.
    fn approval(moves: &[Move]) -> Option<&Move> {
        let yes = |id: &str| id == "3" || id == "30";
        let out = moves.iter().rposition(|entry| !yes(&entry.to.id));
        let since = &moves[out.map_or(0, |at| at + 1)..];
        since.iter().rev().find(|entry| !yes(&entry.from))
    }
}

pub(super) struct Witness {
    canary: Canary,
    now: Millis,
    last_message: Millis,
    paces: BTreeMap<GateId, Pace>,
    issues: Vec<Issue>,
    /// How far Jira's clock is ahead of the bridge's, in ms.
    ahead: i64,
    /// Whether the clock never jumps.
    time_is_plausible: bool,
    /// The checksums of all messages but questions at the first gate.
    named: BTreeSet<String>,
    /// The gates are closed by a window while a clock of so many ms is in its second half.
    pub(super) window: Option<i64>,
    /// How often a question was answered open.
    pub(super) opened: usize,
}

impl Witness {
    fn statuses() -> Statuses {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let names = ["3", "30", "4"].map(|id| (id.to_owned(), id.to_owned()));
        Statuses {
            approved: ids(&["3", "30"]),
            rejected: ids(&["4"]),
            names: names.into(),
            workflow: Some(STATUSES.map(str::to_owned).into()),
            ..Statuses::default()
        }
    }

    fn is_closed(&self) -> bool {
        self.window.is_some_and(|length| self.now.0.rem_euclid(length) >= length / 2)
    }

    fn rules(&self) -> Rules {
        let hours = if self.is_closed() { Hours::Closed } else { Hours::Open };
        Rules { validity: Validity { hours, ..RULES.validity }, ..RULES }
    }

    fn apply(&mut self, event: &Event<'_>) -> Vec<Command> {
        let change = self.canary.apply(event, self.now, &self.rules());
        let Change::To { canary, commands, audit_events } = change else { return Vec::new() };
        self.canary = canary;
        let is_closed = self.is_closed();
        for audit_event in audit_events {
            assert!(!is_closed || !matches!(audit_event, AuditEvent::Passed { .. }), "outside of its window");
            let AuditEvent::Ended { gates, .. } = audit_event else { continue };
            for gate in gates {
                self.issues
                    .iter_mut()
                    .filter(|issue| issue.gate == gate.id)
                    .for_each(|issue| issue.ended = true);
            }
        }
        commands
    }

    fn silent_for(&mut self) -> Duration {
        let silent_for = self.now.since(self.last_message);
        self.last_message = self.now;
        silent_for
    }

    fn message(&mut self, path: u8, body: &[u8]) {
        let Ok(read) = flagger::parse(body) else { return };
        // Most are questions at the first gate.
        if !(0..110).contains(&path) {
            self.named.extend(read.message.checksum.as_ref().map(|checksum| checksum.0.clone()));
        }
        let stage = match path {
            0..110 => Stage::ConfirmRollout,
            110..170 => Stage::ConfirmPromotion,
            170..190 => Stage::ConfirmTrafficIncrease,
            190..210 => {
                let silent_for = self.silent_for();
                self.apply(&Event::RollbackAsked {
                    message: &read.message,
                    silent_for,
                    observed: Observed::Unread,
                });
                return self.rolls_back();
            }
            210.. => {
                let report = if path < 235 { Report::Event } else { Report::PostRollout };
                let silent_for = self.silent_for();
                let words = read.event_message.as_deref();
                self.apply(&Event::Reported {
                    report,
                    message: &read.message,
                    event_message: words,
                    silent_for,
                    observed: Observed::Unread,
                });
                return;
            }
        };
        let approver = (path % 8 == 7).then(|| "qa".to_owned());
        self.asks(&GateName { stage, approver, step: None }, &read.message, read.metadata);
    }

    fn asks(&mut self, name: &GateName, message: &Message, metadata: BTreeMap<String, String>) {
        let known = self.canary.gate(name).map(|gate| gate.id.clone());
        let pace = known.and_then(|id| self.paces.get(&id).copied()).unwrap_or_default();
        let silent_for = self.silent_for();
        let fresh = GateId(format!("g{}", self.issues.len()));
        let commands = self.apply(&Event::Asked {
            gate: name,
            message,
            metadata: &metadata,
            names: None,
            deny: &[],
            denials: &[],
            new_id: fresh.clone(),
            silent_for,
            pace,
            observed: Observed::Unread,
            analysis: None,
            hours: HoursOf::OPEN,
            step: None,
        });
        for command in commands {
            let Command::Open { gate, .. } = command else { continue };
            assert_eq!(gate, fresh);
            self.issues.push(Issue {
                gate: gate.clone(),
                name: name.clone(),
                moves: Vec::new(),
                at: "1",
                seen: None,
                newest: None,
                used: false,
                checksums: Vec::new(),
                labels: Vec::new(),
                ended: false,
            });
            self.apply(&Event::Opened { gate: &gate, ticket: ticket(&gate.0), statuses: None, shows: None });
        }
        if self.canary.misses_checksum(message) {
            // Answered closed, whatever the gate.
            return;
        }
        let Some(gate) = self.canary.gate(name) else { return };
        let is_open = gate.verdict(self.now, self.rules().validity).is_open();
        // What is stored for the record says the same.
        let stored = gate.last_answer == LastAnswer::Open;
        assert!(
            !(self.is_closed() && (is_open || stored)),
            "open outside of its window: {:?} {name}",
            gate.id
        );
        let open = is_open.then(|| {
            let (ticket, decision) = gate.approval().unwrap();
            (ticket.clone(), decision.clone())
        });
        let (now, ahead, timed, id) = (self.now, self.ahead, self.time_is_plausible, gate.id.clone());
        self.paces.entry(id.clone()).or_default().answered(open.is_some(), now);
        let issue = self.issues.iter_mut().find(|issue| issue.gate == id).unwrap();
        let checksum = message.checksum.as_ref().map(|checksum| checksum.0.clone());
        // In phase Progressing the first gate may be asked about the running revision, which other messages name.
        let names_what_runs = name.stage == Stage::ConfirmRollout
            && message.phase == Phase::Progressing
            && !issue.checksums.is_empty();
        let named = |checksum: &String| names_what_runs && self.named.contains(checksum);
        issue.checksums.extend(checksum.filter(|checksum| !named(checksum)));
        issue.labels.extend(message.label.as_ref().map(|label| label.0.clone()));
        let Some((ticket, decision)) = open else { return };
        self.opened += 1;
        let wrong = |what: &str| panic!("{what}: {id:?} {name} opened by {decision:?}");
        if ticket.id != format!("1{}", id.0) || issue.name != *name {
            wrong("another ticket");
        }
        if issue.ended {
            wrong("a rollout that is over");
        }
        if issue.checksums.iter().any(|it| *it != issue.checksums[0])
            || issue.labels.iter().any(|it| *it != issue.labels[0])
        {
            wrong("another revision");
        }
        let Some((seen, moves, whole)) = &issue.seen else { return wrong("never seen") };
        if !whole {
            wrong("not proven");
        }
        let Some(approval) = Issue::approval(moves) else { return wrong("not approved") };
        if approval.by.id != "mia" {
            wrong("not by an approver");
        }
        let age = |since: i64| i128::from(now.0) - i128::from(since);
        if timed && age(seen.0) > 600_000 {
            wrong("too long ago");
        }
        if timed && !issue.used && age(approval.at.0) + i128::from(ahead) > 72 * 3_600_000 {
            wrong("too old");
        }
        issue.used = true;
    }

    /// A rollback is due only while a rejection by an approver is in force.
    fn rolls_back(&self) {
        let Some(gate) = self.canary.rolls_back() else { return };
        let issue = self.issues.iter().find(|issue| issue.gate == gate.id).unwrap();
        let (_, moves, whole) = issue.seen.as_ref().unwrap();
        let last = moves.last().unwrap();
        assert!(*whole && last.to.id == "4" && !issue.ended, "{:?}", issue.gate);
        let into = moves.iter().rev().take_while(|entry| entry.to.id == "4").find(|entry| entry.from != "4");
        assert_eq!(into.unwrap().by.id, "mia");
    }

    /// Any ticket, most often the newest.
    fn issue(&mut self, number: u8) -> Option<&mut Issue> {
        let count = self.issues.len();
        if number > 100 {
            self.issues.last_mut()
        } else {
            self.issues.get_mut(usize::from(number) % count.max(1))
        }
    }

    fn moved(&mut self, ticket: u8, to: u8, by: u8) {
        let (now, ahead) = (self.now, self.ahead);
        let Some(issue) = self.issue(ticket) else { return };
        // Mostly moves that could open a gate.
        let to = if to > 128 { "3" } else { STATUSES[usize::from(to) % STATUSES.len()] };
        let by = if by > 128 { "mia" } else { PEOPLE[usize::from(by) % PEOPLE.len()] };
        let from = std::mem::replace(&mut issue.at, to).to_owned();
        let by = Person { id: by.into(), name: by.into(), app: false };
        let at = Millis(now.0.saturating_add(ahead));
        let changelog_id = (issue.moves.len() + 1).to_string();
        issue.moves.push(Move { changelog_id, by, at, from, to: Status { id: to.into(), name: to.into() } });
    }

    fn looked(&mut self, ticket: u8, how: u8) {
        let (now, ahead) = (self.now, self.ahead);
        let Some(issue) = self.issue(ticket) else { return };
        let mut moves = issue.moves.clone();
        let (mut project, mut issue_type, mut whole, mut ended) = ("OPS", "10004", true, false);
        match how % 16 {
            0 => (project, whole) = ("ELSE", false),
            1 => (issue_type, whole) = ("1", false),
            // No label erases a rejection.
            4 => (ended, whole) = (true, issue.at == "4"),
            2 if !moves.is_empty() => {
                // The newest entry is missing; the rest may still end with the issue's status.
                moves.pop();
                whole = moves.last().is_some_and(|last| last.to.id == issue.at);
            }
            _ => {}
        }
        let status = Status { id: issue.at.into(), name: issue.at.into() };
        let answered = Millis(now.0.saturating_add(ahead));
        let decides =
            crate::gate::decisive(&status, &moves, &Self::statuses()).map(|entry| entry.by.id.clone());
        let author = match decides.as_deref() {
            None | Some("mia") => Author::Accepted,
            Some("max") => Author::NotAccepted { why: "may not".into() },
            Some(_) => Author::Unknown { why: "not known".into() },
        };
        let key = issue.gate.0.clone();
        let shown = moves.clone();
        if how & 64 != 0 {
            moves.reverse();
        }
        let snapshot = if how % 16 == 3 {
            IssueSnapshot::Missing { browse: Browse::Proven }
        } else {
            let (project, issue_type) = (project.into(), issue_type.into());
            let marks = vec![issue.gate.clone()];
            let invalidations = Vec::new();
            IssueSnapshot::Issue {
                approval: None,
                key,
                project,
                issue_type,
                status,
                ended,
                marks,
                moves,
                invalidations,
                planned: BTreeMap::new(),
                exceptions: Vec::new(),
                answered,
            }
        };
        let missing = matches!(snapshot, IssueSnapshot::Missing { .. });
        let gate = issue.gate.clone();
        let rejected = self.canary.gate_by_id(&gate).is_some_and(|gate| gate.rejection().is_some());
        let statuses = Self::statuses();
        let event = Event::Seen {
            gate: &gate,
            snapshot: &snapshot,
            statuses: &statuses,
            author: &author,
            authors: &OtherAuthors::default(),
            denials: &Denials::default(),
            arrived: now,
        };
        self.apply(&event);
        let issue = self.issues.iter_mut().find(|issue| issue.gate == gate).unwrap();
        let contradicts = shown.last().map_or("1", |last| &last.to.id) != issue.at;
        let newest = shown.iter().map(|entry| entry.at).max();
        if !missing {
            if newest < issue.newest && !contradicts {
                // An older answer than an earlier one changes nothing.
                return;
            }
            issue.newest = newest.max(issue.newest);
        }
        let is_no = |moves: &[Move]| moves.last().is_some_and(|last| last.to.id == "4");
        if how % 16 < 2 && issue.seen.as_ref().is_some_and(|(_, moves, whole)| *whole && is_no(moves)) {
            // Nor does another project or issue type.
            return;
        }
        // A rejection that was read stays, even if Jira does not show the ticket or its history does not end with its
        // status.
        if !(rejected && (missing || contradicts)) {
            issue.seen = Some((now, shown, whole && !missing));
        }
    }

    pub(super) fn happens(&mut self, next: &Step) {
        match next {
            Step::Message { path, phase, checksum, label, garbled } => {
                let pick = |from: &[&'static str], at: u8| from[usize::from(at) % from.len()];
                let mut body = json!({
                    "name": "podinfo", "namespace": "default", "phase": if *phase > 60 { "Waiting" } else { pick(&PHASES, *phase) },
                    "metadata": { "eventMessage": format!("message {}", phase % 3), "token": "t" },
                });
                // Most messages are about one revision.
                let checksum = if *checksum > 60 { CHECKSUMS[1] } else { pick(&CHECKSUMS, *checksum) };
                let (checksum, label) = (checksum, pick(&LABELS, label.saturating_sub(200)));
                if !checksum.is_empty() {
                    body["checksum"] = checksum.into();
                }
                if !label.is_empty() {
                    body["metadata"]["revision"] = label.into();
                }
                let body = mutation::changed(body, garbled).to_string();
                self.message(*path, body.as_bytes());
            }
            Step::Moved { ticket, to, by } => self.moved(*ticket, *to, *by),
            Step::Looked { ticket, how } => self.looked(*ticket, *how),
            Step::NotOpened { gate } => {
                let gate = GateId(format!("g{}", usize::from(*gate) % (self.issues.len() + 1)));
                self.apply(&Event::NotOpened { gate: &gate, why: "no".into() });
            }
            Step::Later { millis } => self.now = Millis(self.now.0.saturating_add(*millis)),
            Step::Silence { seconds } => {
                self.apply(&Event::TimePassed { silent_for: Duration::from_secs((*seconds).into()) });
            }
        }
        let text = serde_json::to_string(&self.canary).unwrap();
        assert_eq!(serde_json::from_str::<Canary>(&text).unwrap(), self.canary);
    }
}

pub(super) fn witness(now: i64, ahead: i64, timed: bool) -> Witness {
    Witness {
        canary: Canary::new(id()),
        now: Millis(now),
        last_message: Millis(now),
        paces: BTreeMap::new(),
        issues: Vec::new(),
        ahead,
        time_is_plausible: timed,
        named: BTreeSet::new(),
        window: None,
        opened: 0,
    }
}
