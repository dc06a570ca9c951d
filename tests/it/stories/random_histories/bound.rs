//! The judge of answers where Kubernetes is read: an approval is for what its ticket shows, and for one attempt.

use flagger_jira_bridge::gate::{GateName, Stage};

use super::{
    bridge::{Answer, Place, RULES},
    cluster::Mode,
    connection::Connection,
    flagger::Flagger,
};

/// Flagger started something else than was approved: it was pushed between the answer and the start.
pub(super) struct Raced {
    attempt: u64,
    /// The revision that was approved.
    approved: u32,
    /// How often the bridge had recorded such a thing before.
    recorded: u64,
    /// Whether the bridge has read since that something else is deployed. If that is taken back before, or the API server
    /// is away, nothing shows it: Flagger's hash of a version is known only once that version was seen to run.
    is_shown: bool,
}

impl Connection {
    /// Judges an answer. What a ticket shows is read from the ticket.
    pub(super) fn judge_bound(&mut self, name: &GateName, flagger: &Flagger, answer: &Answer, unread: bool) {
        let starts = name.stage == Stage::ConfirmRollout;
        let target = self.cluster.target;
        // Questions after confirm-rollout name their revision. Before, an approver can find out what is deployed.
        let named = match self.cluster.sight.mode {
            _ if !starts => Some(flagger.status.applied),
            Mode::Off | Mode::Show => Some(target),
            Mode::Bind | Mode::TrustsWatches => None,
        };
        if let (true, Some(ticket)) = (answer.fresh, answer.ticket) {
            self.tally.tickets += 1;
            self.opened.entry((flagger.status.attempt, name.clone())).or_default().push(ticket);
            self.plan(ticket);
            let entry = &mut self.bridge.tickets[ticket];
            (entry.course, entry.named) = (flagger.status.course, named);
        }
        match answer.ticket {
            Some(ticket) if answer.open => self.judge_open(name, flagger, ticket, named),
            Some(_) | None => self.judge_closed(name, flagger.status.attempt, answer, unread),
        }
    }

    /// `named` is the revision that a ticket opened now would be about if it showed none.
    fn judge_open(&mut self, name: &GateName, flagger: &Flagger, ticket: usize, named: Option<u32>) {
        self.tally.opens += 1;
        let (attempt, course, target) = (flagger.status.attempt, flagger.status.course, self.cluster.target);
        let entry = &self.bridge.tickets[ticket];
        let (of, of_course, shows) = (entry.attempt, entry.course, entry.shows);
        let is_shown = match shows {
            // Nothing ships if the target is what runs already.
            Some(shown) => {
                shown == target || (name.stage != Stage::ConfirmRollout && self.cluster.ships_nothing())
            }
            None => named.is_some() && entry.named == named,
        };
        let is_missed = |raced: &Raced| raced.attempt == attempt && raced.is_shown;
        if name.stage != Stage::ConfirmRollout && self.raced.as_ref().is_some_and(is_missed) {
            self.raced = None;
            self.tally.missed += 1;
            self.note(|| "  !! what runs was not approved, and the bridge has not noticed".into());
        }
        if (of == attempt && is_shown) || !self.wrongly_opened.insert((ticket, attempt)) {
            return;
        }
        if !is_shown {
            self.tally.shows_another += 1;
            self.note(|| format!("  !! the ticket shows {shows:?}, and c{target} would start or ship"));
        } else if of_course == course {
            self.tally.one_wait += 1;
            self.note(|| format!("  !  what attempt {of} was approved for was pushed again"));
        } else {
            self.tally.alike += 1;
            self.note(|| format!("  !! the same revision, and approved for attempt {of}"));
        }
    }

    /// Counts what costs people another click.
    fn judge_closed(&mut self, name: &GateName, attempt: u64, answer: &Answer, unread: bool) {
        let own = self.opened.get(&(attempt, name.clone())).map_or(&[][..], Vec::as_slice);
        let target = self.cluster.target;
        let good = |ticket: &usize| {
            let entry = &self.bridge.tickets[*ticket];
            entry.place == Place::Approved && entry.shows == Some(target)
        };
        let long = answer.silent_for > RULES.idle_after.max(3 * self.interval);
        let (approved, last_is) = (own.iter().any(good), own.last().is_some_and(good));
        let (count, words) = match answer.ticket {
            Some(_) if answer.fresh && own.len() > 1 && long => {
                (&mut self.tally.after_silence, "asked again after a long silence")
            }
            Some(_) if answer.fresh && approved => (&mut self.tally.asked_again, "approved, and asked again"),
            Some(_) if !answer.fresh && last_is && !unread => (&mut self.tally.shut, "approved, and closed"),
            None => (&mut self.tally.unheard, "no ticket for this question"),
            Some(_) => return,
        };
        *count += 1;
        self.note(|| format!("  !  {words}"));
    }

    /// Flagger was answered open, and starts what is deployed. Somebody may push in between.
    pub(super) fn starts(&mut self, attempt: u64) {
        let approved = self.cluster.target;
        self.may_push();
        self.forget_raced();
        if self.cluster.target != approved {
            self.tally.raced += 1;
            let recorded = self.bridge.unapproved;
            self.raced = Some(Raced { attempt, approved, recorded, is_shown: false });
        }
    }

    /// The bridge has read what is deployed now.
    pub(super) fn deployed_is_shown(&mut self) {
        let target = self.cluster.target;
        if let Some(raced) = self.raced.as_mut().filter(|raced| raced.approved != target) {
            raced.is_shown = true;
        }
    }

    /// Flagger starts something else, without a question.
    pub(super) fn restarts(&mut self, attempt: u64) {
        let target = self.cluster.target;
        match &mut self.raced {
            // What was approved runs, after all.
            Some(raced) if raced.approved == target => self.forget_raced(),
            Some(raced) => raced.attempt = attempt,
            None => {}
        }
    }

    /// The start was not saved, so Flagger asks again; or the history ends before any message.
    pub(super) fn start_is_undone(&mut self) {
        if self.raced.take().is_some() {
            self.tally.raced -= 1;
        }
    }

    /// Whatever raced is over.
    pub(super) fn forget_raced(&mut self) {
        if self.raced.take().is_some() {
            self.tally.unnoticed += 1;
            self.note(|| "  !  what started was not approved, and the bridge did not notice".into());
        }
    }

    /// Whether the bridge has recorded that something else was started.
    pub(super) fn note_unapproved(&mut self) {
        if self.raced.as_ref().is_some_and(|raced| self.bridge.unapproved > raced.recorded) {
            self.raced = None;
            self.tally.noticed += 1;
            self.note(|| "  the bridge records that nobody approved what started".into());
        }
    }
}
