//! What the tickets of a round show, and what that means.

use std::time::Duration;

use super::{
    round::{How, Round},
    seen::{Recheck, Seen},
};
use crate::{
    gate::{self, Gate, GateId, Move, IssueSnapshot},
    gatekeeper::Reading,
    jira,
    millis::Millis,
    policy::{Author, Route, Statuses, denies_all},
    rollout::{Denials, MOST_DENIALS},
    worker::{
        judge::judge,
        poll_queue::Due,
        read_health::Why,
        statuses::{self, Unclear},
    },
};

/// Shown when an answer is older than what was already seen.
const SHOWN_BEFORE: &str = "Jira showed more of this ticket's history before, so this answer is an old one, or Jira was restored; \
                            only a move that is newer than what was seen counts";

/// A ticket that is to be understood, with the gate that it belongs to and the settings of that.
#[derive(Clone, Copy)]
struct Watched<'t> {
    due: &'t Due,
    gate: &'t Gate,
    route: &'t Route,
}

impl<'a> Round<'a> {
    /// What Jira shows of the tickets, and what that means. What is missing from the answer for many, or is older than what is
    /// known, is asked for alone; and so is what would give up a gate, and what only an index says.
    pub(super) async fn see(&mut self, how: How) -> Result<Vec<Seen>, jira::Error> {
        let (due, now) = (self.due.iter().collect::<Vec<&Due>>(), self.begun.at);
        let (alone, together): (Vec<&Due>, Vec<&Due>) =
            due.iter().copied().partition(|due| how == How::Alone || self.health.is_alone(&due.gate, now));
        if !together.is_empty() {
            self.read_together(&together).await?;
        }
        let arrived = self.context.clock.now();
        let absent =
            together.into_iter().filter(|due| !self.found.readings.contains_key(&due.ticket.id)).chain(alone);
        let (resting, absent): (Vec<&Due>, Vec<&Due>) = absent.partition(|due| {
            self.begun.why == Why::Polled && self.health.is_tried(&due.gate, self.context.clock.now())
        });
        self.found.resting.extend(resting.iter().map(|due| due.gate.clone()));
        self.read_alone(&absent).await?;
        let mut seen = self.understand(&due, arrived).await?;
        seen.retain(|seen| self.is_direct(seen.gate()) || self.recheck(seen) != Recheck::Renews);
        let doubtful: Vec<&Due> = due
            .into_iter()
            .filter(|due| !self.found.directly.contains(&due.ticket.id))
            .filter(|due| seen.iter().any(|seen| seen.is_of(due) && self.recheck(seen) != Recheck::None))
            .collect();
        if doubtful.is_empty() {
            return Ok(seen);
        }
        if !self.still_leads().await {
            // Another replica asks Jira by now. No gate is given up for what was not asked again, and what opens one is not stored.
            seen.retain(|seen| self.recheck(seen) != Recheck::Gone);
            return Ok(seen);
        }
        self.read_alone(&doubtful).await?;
        let better = self.understand(&doubtful, self.context.clock.now()).await?;
        seen.retain(|seen| {
            let Some(due) = doubtful.iter().find(|due| seen.is_of(due)) else { return true };
            let found = &mut self.found;
            if better.iter().any(|better| better.gate() == seen.gate()) || found.later.contains(&due.gate) {
                return false;
            }
            // Where the issue itself cannot be read the index is what there is, but no gate is given up for it. What was
            // answered, and does not tell what has to be known, is not proven by the index either.
            let id = &due.ticket.id;
            let is_answered = found.directly.contains(id) || found.odd.contains(id);
            let stays = !is_answered && seen.recheck(self.context, self.health) == Recheck::Index;
            if stays {
                found.unread.remove(id);
            }
            stays
        });
        seen.extend(better);
        Ok(seen)
    }

    /// Whether the ticket of this gate was read past every index.
    fn is_direct(&self, gate: &GateId) -> bool {
        self.due.iter().any(|due| due.gate == *gate && self.found.directly.contains(&due.ticket.id))
    }

    fn recheck(&self, seen: &Seen) -> Recheck {
        seen.recheck(self.context, self.health)
    }

    /// Whether no other replica works, as far as known. That is asked of the database where it has not said so lately: an answer
    /// of Jira may have taken long. A database that cannot be asked stops no reading: what closes a gate closes it in memory.
    async fn still_leads(&self) -> bool {
        let lease = &self.context.lease;
        if lease.holds(self.begun.term) {
            return true;
        }
        match self.context.begin_if_leading().await {
            Ok(Some(tx)) => {
                tx.end().await.ok();
                lease.term() == self.begun.term
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Adds what the statuses mean. A ticket whose statuses cannot be told is left as it was last seen.
    async fn understand(&mut self, due: &[&'a Due], arrived: Millis) -> Result<Vec<Seen>, jira::Error> {
        let mut seen = Vec::new();
        for &due in due {
            let Some(reading) = self.found.readings.remove(&due.ticket.id) else { continue };
            let Some(gate) = due.canary.gate_by_id(&due.gate) else { continue };
            let route = self.context.gatekeeper.route(&due.canary.id, &gate.name);
            let watched = Watched { due, gate, route };
            match self.understand_one(watched, reading, arrived).await? {
                Ok(one) => seen.extend(one),
                Err(why) => self.does_not_understand(watched, why),
            }
        }
        Ok(seen)
    }

    async fn understand_one(
        &mut self,
        watched: Watched<'_>,
        mut reading: jira::Reading,
        arrived: Millis,
    ) -> Result<Result<Option<Seen>, Unclear>, jira::Error> {
        let Watched { due, gate, route } = watched;
        let statuses = match self.statuses(watched, &reading.sighting, None).await {
            Ok(statuses) => statuses,
            Err(why) => return Ok(Err(why)),
        };
        if !self.read_back(due, &mut reading, &statuses).await? {
            return Ok(Ok(None));
        }
        let statuses = match self.as_of_the_move(watched, &reading.sighting, statuses, arrived).await {
            Ok(statuses) => statuses,
            Err(why) => return Ok(Err(why)),
        };
        self.health.is_good(&route.key);
        // By what it means today, more of the changelog may be needed.
        if !self.read_back(due, &mut reading, &statuses).await? {
            return Ok(Ok(None));
        }
        let sighting = reading.sighting;
        if self.context.gatekeeper.knows_newer(&due.canary, &due.gate, &sighting) {
            self.found.unread.insert(due.ticket.id.clone(), SHOWN_BEFORE.into());
            if self.found.directly.contains(&due.ticket.id) {
                self.health.shows_less(&due.gate);
            }
            return Ok(Ok(None));
        }
        self.health.is_up_to_date(&due.gate);
        let denials = due.canary.denials(gate);
        let author = self.author(watched, &denials, &sighting, &statuses).await;
        if let Author::Unknown { why } = &author {
            self.found.unread.insert(due.ticket.id.clone(), why.clone());
        }
        let (canary, gate, at) = (due.canary.id.clone(), due.gate.clone(), self.begun.at);
        Ok(Ok(Some(Seen {
            canary,
            reading: Reading { gate, sighting, statuses, author, denials, at, arrived },
        })))
    }

    /// What the statuses mean today; `moved` is the move that decided and how long ago it was made, if that is known.
    async fn statuses(
        &mut self,
        Watched { due, gate, route }: Watched<'_>,
        sighting: &IssueSnapshot,
        moved: Option<(&Move, Duration)>,
    ) -> Result<Statuses, Unclear> {
        let IssueSnapshot::Issue { status, .. } = sighting else { return Ok(Statuses::default()) };
        match statuses::of(&mut self.lookups, route, &due.ticket, status, moved).await {
            Ok(today) => Ok(gate.statuses(today)),
            Err(why) => closing(gate, sighting, &why).ok_or(why),
        }
    }

    /// The same as of when the move was made that decided, if one did: until then the workflow may have been another.
    async fn as_of_the_move(
        &mut self,
        watched: Watched<'_>,
        sighting: &IssueSnapshot,
        statuses: Statuses,
        arrived: Millis,
    ) -> Result<Statuses, Unclear> {
        let IssueSnapshot::Issue { status, moves, answered, .. } = sighting else { return Ok(statuses) };
        let Some(entry) = gate::decisive(status, moves, &statuses) else { return Ok(statuses) };
        let ago = self.context.clock.now().since(arrived - answered.since(entry.at));
        self.statuses(watched, sighting, Some((entry, ago))).await
    }

    fn does_not_understand(&mut self, Watched { due, route, .. }: Watched<'_>, why: Unclear) {
        let (why, is_told) = match why {
            // Another ticket of the route may need less of Jira.
            Unclear::Jira(error) => {
                (self.context.explain(&error), self.context.gatekeeper.unread().has(&due.gate))
            }
            Unclear::Config { why, .. } => (why, !self.health.is_bad(&route.key)),
        };
        self.found.unread.insert(due.ticket.id.clone(), why.clone());
        if !is_told {
            let ticket = due.ticket.key.as_str();
            tracing::error!(
                canary = %due.canary.id,
                ticket,
                "{why}; what its tickets show cannot be understood, and its gates close"
            );
        }
    }

    /// Whether the move counts that decided about the ticket, if one did.
    async fn author(
        &mut self,
        Watched { due, route, .. }: Watched<'_>,
        denials: &Denials,
        sighting: &IssueSnapshot,
        statuses: &Statuses,
    ) -> Author {
        let IssueSnapshot::Issue { status, moves, .. } = sighting else { return Author::NotJudged };
        match gate::decisive(status, moves, statuses) {
            Some(_) if denials.all => denies_all(MOST_DENIALS),
            Some(entry) => {
                let (context, lookups) = (self.context, &mut self.lookups);
                judge(context, lookups, route, &denials.entries, &due.ticket.project, &entry.by).await
            }
            None => Author::NotJudged,
        }
    }
}

/// What statuses mean where it cannot be told which bear the configured names today. A no to the ticket as it was opened is one,
/// what is approved no more is not, and what carries the label of dead tickets opens nothing.
fn closing(gate: &Gate, sighting: &IssueSnapshot, why: &Unclear) -> Option<Statuses> {
    let IssueSnapshot::Issue { status, ended, .. } = sighting else { return None };
    let then = gate.statuses.as_ref();
    let workflow = match why {
        Unclear::Config { workflow, .. } => Some(workflow.clone()),
        Unclear::Jira(_) => None,
    };
    let closes = *ended || then.is_some_and(|then| !then.approved.contains(&status.id));
    let rejected = then.map(|then| then.rejected.clone()).unwrap_or_default();
    closes.then(|| Statuses { rejected, workflow, ..Statuses::default() })
}
