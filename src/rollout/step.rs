//! PURE: what an event does to a canary.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Beginning, Budget, Called, Canary, Change, Command, Course, End, Event, Fact, Fate, Left, Message, Note,
    Phase, Refusal, Report, Rollout, Rules, Subject,
    edge::{self, Edge, Heard},
    event::Room,
};
use crate::{
    gate::{Closed, Doubt, Gate, GateId, GateName, Pace, Said, Stage, Standing, Ticket, Used, Verdict, View},
    millis::Millis,
    policy::{Author, DENIES_OTHERS, Milestone, Statuses},
};

mod replaced;
mod unasked;

/// What the budget counts by.
const HOUR: Duration = Duration::from_secs(3600);
/// So many gates of one rollout count once. More of them are more than people set up, and count again.
const GATES_AT_ONCE: usize = 4;
/// More different messages of one rollout are not told.
const MOST_REPORTS: usize = 100;

impl Canary {
    /// Which limit keeps a ticket from being opened now, if one does.
    #[must_use]
    pub fn refusal(&self, name: &GateName, now: Millis, budget: &Budget) -> Option<Refusal> {
        let lately = self.budget.iter().filter(|at| now.since(**at) < HOUR).count();
        match budget.room {
            _ if self.counts(name) && lately >= budget.per_hour => Some(Refusal::PerCanary),
            Room::NamespaceFull => Some(Refusal::PerNamespace),
            Room::None => Some(Refusal::Overall),
            Room::Left => None,
        }
    }

    /// Whether a ticket for this gate is one more for the budget: the first ones of a rollout count once, and each that
    /// takes the place of another counts.
    fn counts(&self, name: &GateName) -> bool {
        let gates = self.rollout.as_ref().map_or(0, |rollout| rollout.gates.len());
        gates.is_multiple_of(GATES_AT_ONCE) || self.gate(name).is_some()
    }

    /// Whether revisions of this canary take turns, as those of two clusters under one name do.
    #[must_use]
    pub fn takes_turns(&self, now: Millis) -> bool {
        Left::take_turns(&self.left, now)
    }

    /// Whether this question cannot be told from one about another revision: it brings no checksum, and others did.
    #[must_use]
    pub const fn misses_checksum(&self, message: &Message) -> bool {
        self.sends_checksums && message.checksum.is_none()
    }

    /// What `event` does to this canary.
    pub fn apply(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> Change {
        if self.is_repeated(event, now, rules) {
            debug_assert_eq!(self.apply_in_full(event, now, rules), Change::Unchanged);
            return Change::Unchanged;
        }
        self.apply_in_full(event, now, rules)
    }

    /// Whether this is a question that was answered alike before, as nearly all are: it changes nothing, which is told
    /// without a copy of the canary. False proves nothing.
    fn is_repeated(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> bool {
        let Event::Asked { gate: name, message, silent_for, pace, deny, denials, .. } = event else {
            return false;
        };
        let (Some(rollout), Some(gate)) = (&self.rollout, self.gate(name)) else { return false };
        if self.misses_checksum(message) || (message.checksum.is_some() && !self.sends_checksums) {
            return false;
        }
        let heard = self.heard_at(name, *pace, rules);
        let is_untyped = matches!(heard, Heard::ConfirmRollout { .. }) && message.phase == Phase::Progressing;
        if is_untyped && !rollout.looks_untyped {
            return false;
        }
        let stays = match edge::between(rollout, heard, message, *silent_for) {
            Edge::Stays => true,
            Edge::Moves(course) => course == rollout.course,
            Edge::Ignored | Edge::Ends(_) => false,
        };
        let is_news = *silent_for > rules.idle_after.min(rules.abandon_after)
            || (rollout.label.is_none() && message.label.is_some())
            || gate.is_spent()
            || denials.iter().any(|entry| is_denial(rollout, entry))
            || deny.iter().any(|entry| is_own_denial(rollout, gate, entry, denials));
        let alike = match gate.verdict(now, rules.trust) {
            Verdict::Open { .. } => {
                let admits = matches!(rollout.course, Course::Asked(_) | Course::Waiting(_));
                gate.used.is_some() && gate.was_open(*pace) && !admits
            }
            Verdict::Closed(Closed::Expired { .. }) => false,
            Verdict::Closed(_) => !gate.was_open(*pace),
        };
        stays && !is_news && alike
    }

    /// What a question at a gate is to the rollout.
    fn heard_at(&self, name: &GateName, pace: Pace, rules: &Rules) -> Heard {
        match name.stage {
            Stage::ConfirmRollout => {
                Heard::ConfirmRollout { used: self.gate(name).is_some_and(|gate| gate.used.is_some()) }
            }
            Stage::ConfirmTrafficIncrease | Stage::ConfirmPromotion | Stage::Gate => {
                let patience = self.gate(name).and_then(|gate| gate.used).map(|used| {
                    let longest = used.longest_gap.max(pace.longest_gap_before());
                    rules.idle_after.max(longest.saturating_mul(3))
                });
                Heard::OtherGate { patience }
            }
        }
    }

    pub(super) fn apply_in_full(&self, event: &Event<'_>, now: Millis, rules: &Rules) -> Change {
        let mut step = Step { canary: self.clone(), commands: Vec::new(), facts: Vec::new(), now };
        match event {
            Event::Asked { gate, message, metadata, deny, denials, fresh, silent_for, pace } => {
                let asked = Asked { name: gate, message, metadata, deny, denials, fresh, pace: *pace };
                step.asked(&asked, *silent_for, rules);
            }
            Event::RollbackAsked { message, silent_for } => {
                if step.heard(Heard::Rollback, message, *silent_for, rules) {
                    step.rollback_asked();
                }
            }
            Event::Reported { report, message, words, silent_for } => {
                let heard = match report {
                    Report::PostRollout => Heard::PostRollout,
                    Report::Event => Heard::Event,
                };
                step.heard(heard, message, *silent_for, rules);
                step.progress(*words);
            }
            Event::Opened { gate, ticket, statuses } => step.opened(gate, ticket, statuses.as_ref()),
            Event::NotOpened { gate, why } => step.not_opened(gate, why),
            Event::Seen { gate, sighting, statuses, author, denials, arrived } => {
                // A question may have ruled somebody out while Jira was asked.
                let is_judged = self.gate_by_id(gate).is_some_and(|gate| self.denials(gate) == **denials);
                let doubted = Author::Unknown { why: DENIES_OTHERS.into() };
                let author = if is_judged || **author != Author::Accepted { *author } else { &doubted };
                step.seen(gate, |gate| gate.see(sighting, statuses, author, now, *arrived, rules.trust));
            }
            Event::TimePassed { silent_for } => step.silence(*silent_for, rules),
        }
        if step.canary == *self && step.commands.is_empty() && step.facts.is_empty() {
            return Change::Unchanged;
        }
        Change::To { canary: step.canary, commands: step.commands, facts: step.facts }
    }
}

/// What comes with a question at a gate.
struct Asked<'a> {
    name: &'a GateName,
    message: &'a Message,
    metadata: &'a BTreeMap<String, String>,
    deny: &'a [String],
    denials: &'a [String],
    fresh: &'a GateId,
    pace: Pace,
}

/// A change in the making.
struct Step {
    canary: Canary,
    commands: Vec<Command>,
    facts: Vec<Fact>,
    now: Millis,
}

impl Step {
    fn asked(&mut self, asked: &Asked<'_>, silent_for: Duration, rules: &Rules) {
        if self.canary.misses_checksum(asked.message) {
            return self.silence(silent_for, rules);
        }
        let heard = self.canary.heard_at(asked.name, asked.pace, rules);
        self.looks_untyped(asked);
        if self.heard(heard, asked.message, silent_for, rules) {
            self.rule_out(asked);
            if self.ensure_gate(asked, rules) {
                self.pass(asked, rules);
            }
        }
        self.answers(asked, rules);
    }

    /// Whom this question rules out stays ruled out, and what they decided is judged again before it counts.
    fn rule_out(&mut self, asked: &Asked<'_>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let mut doubted = Vec::new();
        for entry in asked.denials {
            if is_denial(rollout, entry) {
                rollout.denied.push(entry.clone());
                let all = rollout.denies_all();
                let doubts = rollout.gates.iter().filter(|gate| all || !gate.deny.contains(entry));
                doubted.extend(doubts.map(|gate| gate.id.clone()));
            }
        }
        if let Some(at) = rollout.gates.iter().position(|gate| gate.name == *asked.name) {
            for entry in asked.deny {
                if is_own_denial(rollout, &rollout.gates[at], entry, asked.denials) {
                    rollout.gates[at].deny.push(entry.clone());
                    doubted.push(rollout.gates[at].id.clone());
                }
            }
        }
        for gate in rollout.gates.iter_mut().filter(|gate| doubted.contains(&gate.id)) {
            if gate.doubt_author(DENIES_OTHERS)
                && let Standing::Watched { ticket, view, .. } = &gate.standing
            {
                let (ticket, view) = (ticket.clone(), view.clone());
                self.facts.push(Fact::TicketSeen { gate: gate.name.clone(), ticket, view });
            }
        }
    }

    /// Notes what Flagger is told, if that is not what it was told last.
    fn answers(&mut self, asked: &Asked<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let open = matches!(gate.verdict(self.now, rules.trust), Verdict::Open { .. });
        let was_open = gate.was_open(asked.pace);
        if open == was_open {
            return;
        }
        gate.said = if open { Said::Open } else { Said::Closed };
        // The first use of an approval is on record as that, with what it rests on.
        let first = |fact: &Fact| matches!(fact, Fact::Passed { gate, .. } if gate == asked.name);
        if !self.facts.iter().any(first) {
            self.facts.push(Fact::Turned { gate: asked.name.clone() });
        }
    }

    /// Moves the rollout by a message. Returns whether the message is about the rollout that lives now.
    fn heard(&mut self, heard: Heard, message: &Message, silent_for: Duration, rules: &Rules) -> bool {
        self.silence(silent_for, rules);
        self.canary.sends_checksums |= message.checksum.is_some();
        let before = self.canary.rollout.as_ref().map(|rollout| rollout.course.clone());
        self.unasked(heard, message);
        if let Some(rollout) = &mut self.canary.rollout {
            match edge::between(rollout, heard, message, silent_for) {
                Edge::Stays => {
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    return true;
                }
                Edge::Moves(course) => {
                    rollout.course = course;
                    if rollout.label.is_none() {
                        rollout.label.clone_from(&message.label);
                    }
                    self.starts(before.as_ref());
                    return true;
                }
                Edge::Ignored => return false,
                Edge::Ends(how) => self.ends(how, heard, message),
            }
        }
        let Some(course) = edge::begins(heard, message) else { return false };
        self.canary.rollout = Some(Rollout {
            began: self.now,
            label: message.label.clone(),
            course,
            gates: Vec::new(),
            rollback_asked: false,
            reports: Vec::new(),
            denied: Vec::new(),
            beginning: match (heard, message.phase) {
                (Heard::ConfirmRollout { .. }, Phase::Waiting) => Beginning::Missed,
                (
                    Heard::ConfirmRollout { .. }
                    | Heard::OtherGate { .. }
                    | Heard::Rollback
                    | Heard::PostRollout
                    | Heard::Event,
                    _,
                ) => Beginning::Heard,
            },
            looks_untyped: false,
            replaced: Vec::new(),
        });
        true
    }

    /// Flagger has the hook; and if it is told to roll back, that is on record once for each rejection.
    fn rollback_asked(&mut self) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        rollout.rollback_asked = true;
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.rollback().is_some()) else { return };
        let Some((ticket, decision)) = gate.rollback() else { return };
        let tag = format!("rolled-back-{}", decision.entry.changelog_id);
        if !gate.told.contains(&tag) {
            let (gate_name, ticket, decision) = (gate.name.clone(), ticket.clone(), decision.clone());
            gate.told.push(tag);
            self.facts.push(Fact::RolledBack { gate: gate_name, ticket, decision });
        }
    }

    /// Ends a rollout of which nothing was heard for too long.
    fn silence(&mut self, silent_for: Duration, rules: &Rules) {
        let Some(rollout) = &self.canary.rollout else { return };
        match rollout.course {
            Course::Failing(_) if silent_for > rules.idle_after => self.end(End::Failed),
            Course::Failing(_)
            | Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_)
                if silent_for > rules.abandon_after =>
            {
                self.end(End::Abandoned);
            }
            Course::Failing(_)
            | Course::Asked(_)
            | Course::Waiting(_)
            | Course::Admitted(_)
            | Course::Running(_) => {}
        }
    }

    /// Ends the rollout: its gates end with it, and their tickets are told how.
    fn end(&mut self, how: End) {
        self.end_as(how, Fate::Ended(how));
    }

    /// The same; `used` is what becomes of the gates that were opened.
    fn end_as(&mut self, how: End, used: Fate) {
        let Some(rollout) = self.canary.rollout.take() else { return };
        // A rollout without a ticket of its own is nobody's successor.
        self.canary.superseded.retain(|_| how == End::Superseded);
        for gate in &rollout.gates {
            let fate = match (how, gate.used) {
                (End::Succeeded, None) => Fate::Bypassed,
                (End::Recreated, None) => Fate::Recreated,
                (End::Failed | End::Superseded | End::Abandoned, None) => Fate::Ended(how),
                (_, Some(_)) => used,
            };
            if let Fate::Bypassed | Fate::Recreated = fate {
                let (gate, ticket) = (gate.name.clone(), gate.ticket().cloned());
                self.facts.push(Fact::Bypassed { gate, ticket, how });
            }
            if gate.is_unmarked() {
                // What has its number may be somebody else's, who is told nothing.
                continue;
            }
            let (id, name) = (gate.id.clone(), gate.name.clone());
            self.commands.push(Command::Comment { gate: id.clone(), note: Note::Ended { fate, name } });
            self.commands.push(Command::Label { gate: id.clone() });
            // What a person rejected stays where that person put it.
            if gate.rejection().is_none() {
                let (gate, name, milestone) = (id.clone(), gate.name.clone(), fate.into());
                self.commands.push(Command::Move { gate, name, milestone });
            }
            if how == End::Superseded {
                self.canary.superseded.push(id);
            }
        }
        for gate in rollout.replaced.iter().filter(|gate| !gate.is_unmarked()) {
            self.buries(gate, Note::Ended { fate: Fate::Ended(how), name: gate.name.clone() }, how);
            if how == End::Superseded {
                self.canary.superseded.push(gate.id.clone());
            }
        }
        if let (End::Superseded, Some(checksum)) = (how, rollout.checksum())
            && !rollout.gates.is_empty()
        {
            Left::note(&mut self.canary.left, checksum, self.now);
        }
        if !rollout.gates.is_empty() {
            let gates = rollout.gates.into_iter().chain(rollout.replaced).collect();
            self.facts.push(Fact::Ended { how, gates });
        }
    }

    /// A gate that is asked about has a ticket, or one is being opened, if the budget allows. One whose ticket is
    /// certainly gone, or labelled as one whose rollout is over, begins anew, under a new id.
    fn ensure_gate(&mut self, asked: &Asked<'_>, rules: &Rules) -> bool {
        let refusal = self.canary.refusal(asked.name, self.now, &rules.budget);
        let counts = self.canary.counts(asked.name);
        let Some(rollout) = &mut self.canary.rollout else { return false };
        let known = rollout.gates.iter().position(|gate| gate.name == *asked.name);
        if known.is_some_and(|at| !rollout.gates[at].is_spent()) {
            return true;
        }
        if let Some(refusal) = refusal {
            if self.canary.refused.is_none_or(|at| self.now.since(at) >= HOUR) {
                self.canary.refused = Some(self.now);
                self.facts.push(Fact::Refused { gate: asked.name.clone(), refusal });
            }
            return false;
        }
        if rollout.gates.is_empty() {
            self.facts.push(Fact::Began);
        }
        let mut gate = Gate::new(asked.fresh.clone(), asked.name.clone(), asked.deny.to_vec(), self.now);
        if let Some(at) = known {
            // Flagger knows of no other gate: where it was told to go on, it is told otherwise now.
            let spent = rollout.gates.remove(at);
            gate.said = if spent.was_open(asked.pace) { Said::Open } else { Said::Closed };
            if spent.is_labelled() {
                self.commands.push(Command::Comment { gate: spent.id.clone(), note: Note::LabelledEnded });
                self.canary.superseded.push(spent.id.clone());
            }
            // Somebody may have said no to it since it was read.
            rollout.replaced.push(spent);
        }
        rollout.gates.push(gate);
        let revision = rollout.revision().cloned();
        let mut subject =
            Subject::new(self.canary.id.clone(), asked.name.clone(), asked.message, asked.metadata.clone());
        if asked.name.stage == Stage::ConfirmRollout {
            subject.know(&rollout.course, rollout.beginning);
        }
        if let (Some(revision), Some(label)) = (revision, asked.message.label.clone()) {
            let known =
                self.canary.called.replace(Called { revision: revision.clone(), label: label.clone() });
            let other = known.filter(|known| known.revision == revision && known.label != label);
            subject.called_before = other.map(|known| known.label.0);
        }
        self.commands.push(Command::Open { gate: asked.fresh.clone(), subject, sent_to: Vec::new() });
        self.facts.push(Fact::GateAsked { gate: asked.name.clone() });
        let now = self.now;
        self.canary.budget.retain(|at| now.since(*at) < HOUR);
        if counts {
            self.canary.budget.push(now);
        }
        true
    }

    /// What Flagger reports reaches the ticket that it waits for: each message once.
    fn progress(&mut self, words: Option<&str>) {
        let (Some(words), Some(rollout)) = (words, &mut self.canary.rollout) else { return };
        let Some(gate) = rollout.gates.last() else { return };
        if rollout.reports.len() >= MOST_REPORTS || rollout.reports.iter().any(|told| told == words) {
            return;
        }
        rollout.reports.push(words.to_owned());
        let note = Note::Progress { lines: vec![words.to_owned()] };
        self.commands.push(Command::Comment { gate: gate.id.clone(), note });
    }

    /// Notes the first time an approval lets Flagger pass.
    fn pass(&mut self, asked: &Asked<'_>, rules: &Rules) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.name == *asked.name) else { return };
        let (ticket, decision) = match gate.verdict(self.now, rules.trust) {
            Verdict::Open { ticket, decision } => (ticket, decision),
            Verdict::Closed(Closed::Expired { ticket, decision }) => {
                let entry = decision.entry.changelog_id.clone();
                let (name, ticket, decision) = (gate.name.clone(), ticket.clone(), decision.clone());
                if !gate.told.iter().any(|told| *told == format!("expired-{entry}")) {
                    self.facts.push(Fact::Expired { gate: name, ticket, decision });
                }
                let valid_for = u64::try_from(rules.trust.valid_for.as_millis()).unwrap_or(u64::MAX);
                tell(&mut self.commands, gate, Note::Expired { entry, valid_for });
                return;
            }
            Verdict::Closed(_) => return,
        };
        if gate.used.is_none() {
            self.facts.push(Fact::Passed {
                gate: gate.name.clone(),
                ticket: ticket.clone(),
                decision: decision.clone(),
            });
            gate.used = Some(Used { at: self.now, longest_gap: asked.pace.longest_gap(self.now) });
        }
        rollout.course = match (rollout.course.clone(), asked.name.stage) {
            (Course::Asked(base) | Course::Waiting(base), Stage::ConfirmRollout) => Course::Admitted(base),
            (course, _) => course,
        };
    }

    fn gate(&mut self, id: &GateId) -> Option<&mut Gate> {
        self.canary.rollout.as_mut()?.gates.iter_mut().find(|gate| gate.id == *id)
    }

    fn opened(&mut self, id: &GateId, ticket: &Ticket, statuses: Option<&Statuses>) {
        let now = self.now;
        let Some(gate) = self.gate(id) else { return };
        if gate.ticket().is_some() {
            return;
        }
        gate.standing =
            Standing::Watched { ticket: ticket.clone(), seen: now, view: View::Waiting { status: None } };
        gate.statuses = statuses.map(Statuses::pinned);
        let name = gate.name.clone();
        let (gate, milestone) = (id.clone(), Milestone::Opened);
        self.commands.push(Command::Move { gate, name: name.clone(), milestone });
        for gate in std::mem::take(&mut self.canary.superseded) {
            self.commands.push(Command::Link { gate, successor: id.clone() });
        }
        self.facts.push(Fact::TicketOpened { gate: name, ticket: ticket.clone() });
    }

    fn not_opened(&mut self, id: &GateId, why: &str) {
        let Some(gate) = self.gate(id) else { return };
        let stuck = Standing::Stuck { why: why.to_owned() };
        if gate.ticket().is_some() || gate.standing == stuck {
            return;
        }
        gate.standing = stuck;
        let fact = Fact::TicketStuck { gate: gate.name.clone(), why: why.to_owned() };
        self.facts.push(fact);
    }

    /// The ticket of a gate was looked at; `look` tells what the gate becomes by that, if it is news.
    fn seen(&mut self, id: &GateId, look: impl FnOnce(&Gate) -> Option<Gate>) {
        let Some(rollout) = &mut self.canary.rollout else { return };
        if let Some(at) = rollout.replaced.iter().position(|gate| gate.id == *id) {
            if let Some(after) = look(&rollout.replaced[at]) {
                self.seen_again(at, after);
            }
            return;
        }
        let (rollback_asked, denies_all) = (rollout.rollback_asked, rollout.denies_all());
        let has_begun = !matches!(rollout.course, Course::Asked(_) | Course::Waiting(_));
        let Some(gate) = rollout.gates.iter_mut().find(|gate| gate.id == *id) else { return };
        let Some(after) = look(gate) else { return };
        let before = std::mem::replace(gate, after);
        let (Standing::Watched { view: was, .. }, Standing::Watched { ticket, view, .. }) =
            (&before.standing, &gate.standing)
        else {
            return;
        };
        if was == view {
            return;
        }
        let fact = Fact::TicketSeen { gate: gate.name.clone(), ticket: ticket.clone(), view: view.clone() };
        self.facts.push(fact);
        let for_good = denies_all || gate.denies_for_good();
        if let View::NotAllowed { decision, why, .. } = view {
            let (entry, why) = (decision.entry.changelog_id.clone(), why.clone());
            tell(&mut self.commands, gate, Note::NotAllowed { entry, why, for_good });
        } else if let View::Gone { doubt: Doubt::Relocated { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Note::Relocated { entry });
        } else if let View::Gone { doubt: Doubt::Mapped { entry, .. } } = view {
            let entry = entry.clone();
            tell(&mut self.commands, gate, Note::Mapped { entry });
        } else if let View::Gone { doubt: Doubt::Renamed { status } } = view {
            let status = status.id.clone();
            tell(&mut self.commands, gate, Note::Renamed { status });
        } else if let View::Rejected { decision, author, .. } = view {
            let (entry, author) = (decision.entry.changelog_id.clone(), author.clone());
            if !has_begun {
                tell(&mut self.commands, gate, Note::RejectedAtStart { entry });
            } else if let Author::NotAccepted { why } = author {
                tell(&mut self.commands, gate, Note::RejectedByNobody { entry, why, for_good });
            } else if !rollback_asked {
                tell(&mut self.commands, gate, Note::RejectedWithoutRollback { entry });
            }
        }
    }
}

/// Whether this entry, which a question made by its own words, rules out more than is known of the rollout. What an earlier
/// version kept with a gate alone holds for the others, too.
fn is_denial(rollout: &Rollout, entry: &String) -> bool {
    !rollout.denied.contains(entry) && !rollout.denies_all()
}

/// Whether this entry of `approval.deny` was not there when the gate was asked about before. One that came out empty cannot be
/// evaluated, and closes this gate alone: it names nobody who could be ruled out at the others.
fn is_own_denial(rollout: &Rollout, gate: &Gate, entry: &String, denials: &[String]) -> bool {
    let known = denials.contains(entry) || gate.deny.contains(entry);
    !known && !rollout.denied.contains(entry)
}

/// Tells the ticket of a gate something, once.
fn tell(commands: &mut Vec<Command>, gate: &mut Gate, note: Note) {
    let tag = note.tag();
    if !gate.told.contains(&tag) {
        gate.told.push(tag);
        commands.push(Command::Comment { gate: gate.id.clone(), note });
    }
}
