//! Interprets what a round read of its tickets.

use std::time::Duration;

use super::{
    round::{ReadMode, Round},
    seen::{RecheckReason, SeenTicket},
};
use crate::{
    gate::{self, DeskApproval, Gate, GateId, IssueSnapshot, Move, OtherAuthors},
    gatekeeper::TicketReading,
    jira,
    millis::Millis,
    policy::{ApprovalSource, Author, Meaning, Route, Statuses, too_many_denials},
    rollout::{Denials, MOST_DENIALS},
    worker::{
        desk::{Decided, judge_approval},
        judge::judge,
        poll_queue::{DueTicket, MAX_ALONE},
        read_health::ReadTrigger,
        statuses::{self, UnclearStatuses},
    },
};

/// The reason that is shown if an answer is older than an earlier one.
const SHOWN_BEFORE: &str = "Jira showed more of this ticket's history before, so this answer is an old one, or Jira was restored; \
                            only a move that is newer than what was seen counts";

/// The approvals of a request, or why they cannot be read.
type Approvals = Result<Vec<DeskApproval>, jira::Error>;

/// A ticket to be interpreted, with its gate and the gate's settings.
#[derive(Clone, Copy)]
struct WatchedGate<'t> {
    due: &'t DueTicket,
    gate: &'t Gate,
    route: &'t Route,
}

impl<'a> Round<'a> {
    /// Reads the tickets and interprets them. A ticket is read alone if it is missing from the combined answer, if
    /// that shows less than is known, if its reading would give up a gate, or if only an index shows a change.
    pub(super) async fn see(&mut self, how: ReadMode) -> Result<Vec<SeenTicket>, jira::Error> {
        let (due, now) = (self.due.iter().collect::<Vec<&DueTicket>>(), self.started.at);
        let (alone, together): (Vec<&DueTicket>, Vec<&DueTicket>) = due
            .iter()
            .copied()
            .partition(|due| how == ReadMode::Alone || self.health.is_alone(&due.gate, now));
        if !together.is_empty() {
            self.read_together(&together).await?;
        }
        let arrived = self.context.clock.now();
        let absent = together
            .into_iter()
            .filter(|due| !self.findings.readings.contains_key(&due.ticket.id))
            .chain(alone);
        let (resting, absent): (Vec<&DueTicket>, Vec<&DueTicket>) = absent.partition(|due| {
            self.started.trigger == ReadTrigger::Poll
                && self.health.failed_recently(&due.gate, self.context.clock.now())
        });
        self.findings.backing_off.extend(resting.iter().map(|due| due.gate.clone()));
        self.read_alone(&absent).await?;
        let mut seen = self.interpret(&due, arrived).await?;
        seen.retain(|seen| {
            self.was_read_directly(seen.gate()) || self.recheck(seen) != RecheckReason::Renews
        });
        let to_recheck: Vec<&DueTicket> = due
            .into_iter()
            .filter(|due| !self.findings.directly.contains(&due.ticket.id))
            .filter(|due| {
                seen.iter().any(|seen| seen.is_of(due) && self.recheck(seen) != RecheckReason::None)
            })
            .collect();
        if to_recheck.is_empty() {
            return Ok(seen);
        }
        if !self.still_leads().await {
            // Another replica is the leader now. Without a second reading no gate is given up, and a reading that
            // opens a gate is not stored.
            seen.retain(|seen| self.recheck(seen) != RecheckReason::Gone);
            return Ok(seen);
        }
        self.read_alone(&to_recheck).await?;
        let better = self.interpret(&to_recheck, self.context.clock.now()).await?;
        seen.retain(|seen| {
            let Some(due) = to_recheck.iter().find(|due| seen.is_of(due)) else { return true };
            let found = &mut self.findings;
            if better.iter().any(|better| better.gate() == seen.gate()) || found.deferred.contains(&due.gate)
            {
                return false;
            }
            // If the issue itself cannot be read, the index counts, but no gate is given up for it. If Jira answered,
            // but the answer does not show what is needed, the index does not prove it either.
            let id = &due.ticket.id;
            let is_answered = found.directly.contains(id) || found.unexpected.contains(id);
            let stays = !is_answered && seen.recheck(self.context, self.health) == RecheckReason::Index;
            if stays {
                found.unread.remove(id);
            }
            stays
        });
        seen.extend(better);
        Ok(seen)
    }

    /// Whether the ticket of this gate was read without an index.
    fn was_read_directly(&self, gate: &GateId) -> bool {
        self.due.iter().any(|due| due.gate == *gate && self.findings.directly.contains(&due.ticket.id))
    }

    fn recheck(&self, seen: &SeenTicket) -> RecheckReason {
        seen.recheck(self.context, self.health)
    }

    /// Whether this replica is still the leader, as far as known. Asks the database if its last answer is too old:
    /// Jira may have taken long. If the database fails, the round goes on: a decision that closes a gate closes it in
    /// memory.
    async fn still_leads(&self) -> bool {
        let lease = &self.context.lease;
        if lease.holds(self.started.term) {
            return true;
        }
        match self.context.begin_if_leading().await {
            Ok(Some(tx)) => {
                tx.commit().await.ok();
                lease.term() == self.started.term
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Interprets readings. A ticket whose statuses are unclear stays as last seen.
    async fn interpret(
        &mut self,
        due: &[&'a DueTicket],
        arrived: Millis,
    ) -> Result<Vec<SeenTicket>, jira::Error> {
        let mut seen = Vec::new();
        for &due in due {
            let Some(reading) = self.findings.readings.remove(&due.ticket.id) else { continue };
            let Some(gate) = due.canary.gate_by_id(&due.gate) else { continue };
            let route = self.context.gatekeeper.route(&due.canary.id, &gate.name);
            let watched = WatchedGate { due, gate, route };
            let deciding = may_be_decided_by(gate, &reading.snapshot).map(|entry| entry.changelog_id.clone());
            match self.interpret_one(watched, reading, arrived).await? {
                Ok(one) => seen.extend(one),
                Err(why) => self.log_unclear_statuses(watched, why),
            }
            if let Some(entry) = deciding.filter(|_| self.findings.unread.contains_key(&due.ticket.id)) {
                self.findings.not_judged.insert(due.ticket.id.clone(), entry);
            }
        }
        Ok(seen)
    }

    async fn interpret_one(
        &mut self,
        watched: WatchedGate<'_>,
        mut reading: jira::Reading,
        arrived: Millis,
    ) -> Result<Result<Option<SeenTicket>, UnclearStatuses>, jira::Error> {
        let WatchedGate { due, gate, route } = watched;
        let statuses = match self.statuses(watched, &reading.snapshot, None).await {
            Ok(statuses) => statuses,
            Err(why) => return Ok(Err(why)),
        };
        if !self.read_back(due, &mut reading, &statuses).await? {
            return Ok(Ok(None));
        }
        let statuses = match self.as_of_the_move(watched, &reading.snapshot, statuses, arrived).await {
            Ok(statuses) => statuses,
            Err(why) => return Ok(Err(why)),
        };
        self.health.mark_route_good(&route.key);
        // By the statuses' meaning today, more of the changelog may be needed.
        if !self.read_back(due, &mut reading, &statuses).await? {
            return Ok(Ok(None));
        }
        let Some(approvals) = self.approvals(watched, &mut reading, &statuses).await? else {
            return Ok(Ok(None));
        };
        let mut snapshot = reading.snapshot;
        if self.context.gatekeeper.knows_newer(&due.canary, &due.gate, &snapshot) {
            self.findings.unread.insert(due.ticket.id.clone(), SHOWN_BEFORE.into());
            if self.findings.directly.contains(&due.ticket.id) {
                self.health.back_off_incomplete(&due.gate);
            }
            return Ok(Ok(None));
        }
        self.health.is_up_to_date(&due.gate);
        let denials = due.canary.denials(gate);
        let author = match &approvals {
            None => self.author(watched, &denials, &snapshot, &statuses).await,
            Some(approvals) => {
                self.desk_author(watched, &denials, (&mut snapshot, approvals), &statuses).await
            }
        };
        let mut authors = self.step_authors(watched, &denials, &snapshot, &statuses).await;
        self.judge_exceptions(watched, &denials, &snapshot, &mut authors).await;
        let unknown = match &author {
            Author::Unknown { why } => Some(why.as_str()),
            Author::Accepted => authors.unknown_reason(),
            Author::NotAccepted { .. } | Author::NoDecision => None,
        };
        if let Some(why) = unknown {
            self.findings.unread.insert(due.ticket.id.clone(), why.to_owned());
        }
        let (canary, gate, at) = (due.canary.id.clone(), due.gate.clone(), self.started.at);
        Ok(Ok(Some(SeenTicket {
            canary,
            reading: TicketReading { gate, snapshot, statuses, author, authors, denials, at, arrived },
        })))
    }

    /// What the statuses mean today; `moved` is the deciding move and how long ago it was made, if that is known.
    async fn statuses(
        &mut self,
        WatchedGate { due, gate, route }: WatchedGate<'_>,
        snapshot: &IssueSnapshot,
        moved: Option<(&Move, Duration)>,
    ) -> Result<Statuses, UnclearStatuses> {
        let IssueSnapshot::Issue { status, .. } = snapshot else { return Ok(Statuses::default()) };
        match statuses::of(&mut self.lookups, route, &due.ticket, status, moved).await {
            Ok(today) => Ok(gate.statuses(today)),
            Err(why) => closing_statuses(gate, snapshot, &why).ok_or(why),
        }
    }

    /// The same, by a workflow that was read after the deciding move, if there is one: before the move the workflow
    /// may have been another.
    async fn as_of_the_move(
        &mut self,
        watched: WatchedGate<'_>,
        snapshot: &IssueSnapshot,
        statuses: Statuses,
        arrived: Millis,
    ) -> Result<Statuses, UnclearStatuses> {
        let IssueSnapshot::Issue { status, moves, answered, .. } = snapshot else { return Ok(statuses) };
        let Some(entry) = gate::decisive(status, moves, &statuses) else { return Ok(statuses) };
        let ago = self.context.clock.now().since(arrived - answered.since(entry.at));
        self.statuses(watched, snapshot, Some((entry, ago))).await
    }

    fn log_unclear_statuses(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        why: UnclearStatuses,
    ) {
        let (why, is_told) = match why {
            // Logged for each ticket: another one of the route may need less of Jira.
            UnclearStatuses::Jira(error) => {
                (self.context.explain(&error), self.context.gatekeeper.unread_tickets().has(&due.gate))
            }
            UnclearStatuses::Config { why, .. } => (why, !self.health.mark_route_bad(&route.key)),
        };
        self.findings.unread.insert(due.ticket.id.clone(), why.clone());
        if !is_told {
            let ticket = due.ticket.key.as_str();
            tracing::error!(
                canary = %due.canary.id,
                ticket,
                "{why}; the bridge cannot interpret its tickets, so its gates close"
            );
        }
    }

    /// The approvals of a decided ticket where an approval in Jira Service Management decides, with as much of its history as they
    /// need. The inner `None`: they do not matter. The outer `None`: the ticket is read in another round.
    async fn approvals(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        reading: &mut jira::Reading,
        statuses: &Statuses,
    ) -> Result<Option<Option<Approvals>>, jira::Error> {
        let IssueSnapshot::Issue { status, moves, .. } = &reading.snapshot else { return Ok(Some(None)) };
        let is_decided = gate::decisive(status, moves, statuses).is_some();
        match route.approval.source {
            ApprovalSource::Jsm if is_decided => {}
            ApprovalSource::Status | ApprovalSource::Jsm => return Ok(Some(None)),
        }
        if self.findings.approvals == MAX_ALONE {
            self.findings.deferred.push(due.gate.clone());
            return Ok(None);
        }
        self.findings.approvals += 1;
        let approvals = match self.context.jira.approvals(&due.ticket.id).await {
            Err(error) if !error.is_about_object() => return Err(error),
            approvals => approvals,
        };
        let since = approvals.as_deref().ok().and_then(gate::moves_needed_since);
        if let Some(since) = since
            && !self.read_back_to(due, reading, since).await?
        {
            return Ok(None);
        }
        Ok(Some(Some(approvals)))
    }

    /// Whether the approval counts that decided about the ticket, which is then added to the snapshot.
    async fn desk_author(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        denials: &Denials,
        (snapshot, approvals): (&mut IssueSnapshot, &Approvals),
        statuses: &Statuses,
    ) -> Author {
        let IssueSnapshot::Issue { status, moves, approval, .. } = snapshot else {
            return Author::NoDecision;
        };
        let Some(entry) = gate::decisive(status, moves, statuses) else { return Author::NoDecision };
        if denials.too_many {
            return too_many_denials(MOST_DENIALS);
        }
        let (ticket, meaning, approvals) = (&due.ticket, statuses.meaning(&status.id), approvals.as_deref());
        let decided = Decided { ticket, entry, moves, meaning, approvals };
        let judging = judge_approval(self.context, &mut self.lookups, route, &denials.entries, decided);
        let (author, found) = judging.await;
        *approval = found;
        author
    }

    /// Whether the move counts that decided about the ticket, if one did.
    async fn author(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        denials: &Denials,
        snapshot: &IssueSnapshot,
        statuses: &Statuses,
    ) -> Author {
        let IssueSnapshot::Issue { status, moves, .. } = snapshot else { return Author::NoDecision };
        match gate::decisive(status, moves, statuses) {
            Some(_) if denials.too_many => too_many_denials(MOST_DENIALS),
            Some(entry) => {
                let (context, lookups) = (self.context, &mut self.lookups);
                judge(context, lookups, route, &denials.entries, &due.ticket.project, &entry.by).await
            }
            None => Author::NoDecision,
        }
    }

    /// Whether the moves count that made the steps before the deciding one.
    async fn step_authors(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        denials: &Denials,
        snapshot: &IssueSnapshot,
        statuses: &Statuses,
    ) -> OtherAuthors {
        let mut authors = OtherAuthors::default();
        let IssueSnapshot::Issue { status, moves, .. } = snapshot else { return authors };
        let mut made = gate::steps_made(status, moves, statuses);
        // The deciding move is judged for itself.
        made.truncate(statuses.steps.len().saturating_sub(1));
        for entry in made.into_iter().flatten() {
            let (context, lookups) = (self.context, &mut self.lookups);
            let author = match denials.too_many {
                true => too_many_denials(MOST_DENIALS),
                false => {
                    judge(context, lookups, route, &denials.entries, &due.ticket.project, &entry.by).await
                }
            };
            authors.add(entry.clone(), author);
        }
        authors
    }

    /// Adds whether those may approve who set what lifts a freeze or a window.
    async fn judge_exceptions(
        &mut self,
        WatchedGate { due, route, .. }: WatchedGate<'_>,
        denials: &Denials,
        snapshot: &IssueSnapshot,
        authors: &mut OtherAuthors,
    ) {
        let IssueSnapshot::Issue { exceptions, .. } = snapshot else { return };
        for entry in exceptions.iter().filter_map(|shown| shown.entry.as_ref()) {
            let (context, lookups) = (self.context, &mut self.lookups);
            let author = match denials.too_many {
                true => too_many_denials(MOST_DENIALS),
                false => {
                    judge(context, lookups, route, &denials.entries, &due.ticket.project, &entry.by).await
                }
            };
            authors.add_exception(entry.clone(), author);
        }
    }
}

/// The newest move, if a person may have decided about the ticket: it was moved, and not only to a status that meant nothing
/// when the ticket was opened.
fn may_be_decided_by<'s>(gate: &Gate, snapshot: &'s IssueSnapshot) -> Option<&'s Move> {
    let IssueSnapshot::Issue { status, moves, marks, ended: false, .. } = snapshot else { return None };
    let means_nothing = |then: &Statuses| then.meaning(&status.id) == Meaning::Waiting;
    let newest = moves.iter().max_by_key(|entry| entry.at)?;
    (marks.contains(&gate.id) && !gate.statuses.as_ref().is_some_and(means_nothing)).then_some(newest)
}

/// What the statuses mean while it is unknown which of them have the configured names. A rejection by the statuses of
/// the ticket's opening still counts; a status that was not approved then opens nothing, nor does a ticket with the
/// label `flagger-ended`. `None` if the ticket might count as approved.
fn closing_statuses(gate: &Gate, snapshot: &IssueSnapshot, why: &UnclearStatuses) -> Option<Statuses> {
    // Without `..`: whatever else of a snapshot closes a gate must close it here, too.
    let IssueSnapshot::Issue {
        status,
        ended,
        key: _,
        project: _,
        issue_type: _,
        marks: _,
        moves: _,
        invalidations: _,
        planned: _,
        exceptions: _,
        answered: _,
        approval: _,
    } = snapshot
    else {
        return None;
    };
    let then = gate.statuses.as_ref();
    let workflow = match why {
        UnclearStatuses::Config { workflow, .. } => Some(workflow.clone()),
        UnclearStatuses::Jira(_) => None,
    };
    let closes = *ended || then.is_some_and(|then| !then.approved.contains(&status.id));
    let rejected = then.map(|then| then.rejected.clone()).unwrap_or_default();
    closes.then(|| Statuses { rejected, workflow, ..Statuses::default() })
}
