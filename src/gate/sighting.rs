//! PURE: what Jira showed of a ticket, and what that means for its gate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Cause, Decision, Doubt, Gate, GateId, Invalidation, Standing, Ticket, Trust, View, history, undone,
};
use crate::{
    millis::Millis,
    policy::{Author, Meaning, Person, Status, Statuses},
};

/// By how much two estimates of the age of a decision may differ: answers tell their time in whole seconds, and take a while.
const ESTIMATES_AGREE: Duration = Duration::from_secs(2);

/// Why a decision settles nothing that was seen only after it had been asked who decided.
const NOT_JUDGED: &str =
    "the ticket was moved after it was looked up whose decision counts; that is looked up again";

/// Why a move settles nothing yet.
const UNTOLD: &str = "Jira did not say which statuses the workflow has, so it is asked again";
/// Why a rejection rolls nothing back any more.
const LEFT: &str = "the ticket left that status otherwise than by a transition of its workflow";

/// One change of an issue's status, as its changelog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The id of the changelog entry: a number in both kinds of Jira, rising with time on each of its nodes.
    pub changelog_id: String,
    /// Who.
    pub by: Person,
    /// When, by Jira's clock.
    pub at: Millis,
    /// The id of the status it left.
    pub from: String,
    /// The status it came to.
    pub to: Status,
}

/// What Jira showed of a ticket, in an answer that was proven to be authenticated.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// The issue is there.
    Issue {
        /// Its key today.
        key: String,
        /// The key of the project it is in today.
        project: String,
        /// The id of its issue type today.
        issue_type: String,
        /// Where it stands.
        status: Status,
        /// Whether it carries the label that tickets get when their rollout ends.
        ended: bool,
        /// The gates whose ticket it says that it is.
        marks: Vec<GateId>,
        /// All changes of its status, in any order.
        moves: Vec<Move>,
        /// What undoes those before it.
        invalidations: Vec<Invalidation>,
        /// When Jira answered, by Jira's clock.
        answered: Millis,
    },
    /// Asked for by its id alone, Jira showed no such issue, and knew us afterwards.
    Missing {
        /// Whether our account could see it, if it is there.
        browse: Browse,
    },
}

impl Sighting {
    /// When the ticket of this gate was last moved, by Jira's clock, as far as this shows.
    #[must_use]
    pub fn newest_move(&self, gate: &GateId) -> Option<Millis> {
        match self {
            Self::Issue { marks, moves, .. } if marks.contains(gate) => {
                moves.iter().map(|entry| entry.at).max()
            }
            // The moves of somebody else's issue say nothing about this one.
            Self::Issue { .. } | Self::Missing { .. } => None,
        }
    }

    /// Whether the ticket of this gate was moved at `known`, and this is how it was before. A history only grows: what ends
    /// sooner was said sooner, and kept on the way or in an index; or Jira was restored, and then only what happens since counts.
    /// Where the status is not the one with which the history ends that proves nothing, now or then.
    #[must_use]
    pub fn is_older_than(&self, gate: &GateId, known: Option<Millis>) -> bool {
        match self {
            Self::Issue { marks, status, moves, .. } => {
                let ends = |order: &[&Move]| order.last().is_some_and(|last| last.to.id == status.id);
                marks.contains(gate)
                    && self.newest_move(gate) < known
                    && history::orders(moves).iter().any(|(_, order)| ends(order))
            }
            Self::Missing { .. } => false,
        }
    }
}

/// Whether our account may browse the project that an issue is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browse {
    /// Jira says so.
    Proven,
    /// It may not, or that was not asked.
    Unproven,
}

impl Gate {
    /// What the gate becomes by this sighting of its ticket; `None` if it is no news. `now` is when Jira was asked, `arrived`
    /// when it answered.
    ///
    /// The time of an unchanged sighting is news only of an approval, which is trusted for so long, and only when the
    /// stored one is getting old: within a sixth of `trust_for`. A poll of every ticket does not write every ticket.
    #[must_use]
    pub fn see(
        &self,
        sighting: &Sighting,
        statuses: &Statuses,
        author: &Author,
        now: Millis,
        arrived: Millis,
        Trust { trust_for, judged_by, .. }: Trust,
    ) -> Option<Self> {
        let Standing::Watched { ticket, seen, view } = &self.standing else { return None };
        if sighting.is_older_than(&self.id, self.newest_move) {
            return None;
        }
        let newest_move = sighting.newest_move(&self.id).max(self.newest_move);
        let (key, new) = match sighting {
            // What a person rejected stays rejected, whether it can be seen or not.
            Sighting::Missing { .. } if matches!(view, View::Rejected { .. }) => return None,
            Sighting::Missing { browse } => {
                let lately = now.apart(*seen) <= trust_for;
                (&ticket.key, View::Gone { doubt: missing(view, lately, *browse, now, trust_for) })
            }
            Sighting::Issue { key, status, marks, moves, .. } if !marks.contains(&self.id) => {
                // Whoever takes the mark away erases no rejection that was read before.
                let is_known = |decision: &Decision| {
                    decisive(status, moves, statuses).is_some_and(|entry| *entry == decision.entry)
                };
                let view = match view {
                    View::Rejected { decision, .. } if is_known(decision) => view.clone(),
                    View::Rejected { .. }
                    | View::Waiting { .. }
                    | View::Approved { .. }
                    | View::NotAllowed { .. }
                    | View::Unjudged { .. }
                    | View::Gone { .. } => View::Gone { doubt: Doubt::Unmarked { gate: self.id.clone() } },
                };
                // The key of somebody else's issue is not this ticket's.
                (&ticket.key, view)
            }
            Sighting::Issue {
                key,
                project,
                issue_type,
                status,
                ended,
                marks: _,
                moves,
                invalidations,
                answered,
            } => {
                let is_home = *project == ticket.project && *issue_type == ticket.issue_type;
                let shown = if is_home {
                    let history = (moves.as_slice(), invalidations.as_slice());
                    let read =
                        read(status, history, statuses, author, |entry| arrived - answered.since(entry.at));
                    self.by_their_names(read, statuses)
                } else {
                    View::Gone { doubt: Doubt::MovedElsewhere { project: project.clone() } }
                };
                let was_taken_back = |decision: &Decision| {
                    let workflow = statuses.workflow.as_ref()?;
                    Some(history::was_moved_since(&decision.entry, moves, invalidations, workflow))
                };
                let view = match (&shown, view) {
                    (_, View::Rejected { decision, .. })
                        if let Some(stays) = view.stays_rejected(&shown, || was_taken_back(decision)) =>
                    {
                        stays
                    }
                    (View::Rejected { .. }, _) => shown,
                    (_, View::Rejected { status: known, .. }) if *ended && known.id == status.id => {
                        view.clone()
                    }
                    _ if *ended => View::Gone { doubt: Doubt::LabelledEnded { status: status.clone() } },
                    _ => shown,
                };
                (key, view)
            }
        };
        let new = match (sighting, view, &new) {
            // A no that was read and judged stays what it was until somebody moves the ticket.
            (
                Sighting::Issue { status, moves, .. },
                View::Rejected { status: known, decision, .. },
                View::Gone { .. } | View::Rejected { author: Author::NotAccepted { .. }, .. },
            ) if is_newest(&decision.entry, moves)
                && view.is_no_less_than(&new)
                && (status.id == known.id
                    || matches!(&new, View::Gone { doubt: Doubt::NoChangelogEntry { .. } })) =>
            {
                view.clone()
            }
            _ => new,
        };
        // What was renamed is not among those that bore their names when the ticket was opened.
        let is_told = match &new {
            View::Waiting { .. }
            | View::Approved { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. } => true,
            View::Rejected { decision, .. } => !statuses.renames(&decision.entry.to),
            View::Gone { .. } => false,
        };
        let pinned = match sighting {
            Sighting::Issue { ended: false, .. } if !statuses.approved.is_empty() && is_told => {
                self.statuses.clone().or_else(|| Some(statuses.pinned()))
            }
            Sighting::Issue { .. } | Sighting::Missing { .. } => self.statuses.clone(),
        };
        if new.is_unjudged() && new.entry() == view.entry() && !view.is_unjudged() {
            // Nobody could be asked just now; what was found out before holds for as long as it is trusted.
            return None;
        }
        let new = if new.same(view) && !new.is_older(view) { view.clone() } else { new.no_younger(view) };
        let holds_on = matches!(
            view,
            View::Approved { .. } | View::Gone { doubt: Doubt::Missing { confirmed: false, .. } }
        );
        let is_judged_anew = self.judged_by != Some(judged_by) && matches!(new, View::Approved { .. });
        let is_renewed = is_judged_anew || holds_on && (now.apart(*seen) >= trust_for / 6 || now < *seen);
        let is_moved = newest_move != self.newest_move;
        if new == *view && *key == ticket.key && !is_renewed && !is_moved && pinned == self.statuses {
            return None;
        }
        let ticket = Ticket { key: key.clone(), ..ticket.clone() };
        let standing = Standing::Watched { ticket, seen: now, view: new };
        Some(Self { standing, statuses: pinned, judged_by: Some(judged_by), newest_move, ..self.clone() })
    }

    /// The view, where the statuses that decide may have got their names after the ticket was opened. Where it is not known
    /// what they were called then, the history has to call the status as it is called now.
    fn by_their_names(&self, view: View, statuses: &Statuses) -> View {
        let is_known = |entry: &Move| match &self.statuses {
            Some(then) => then.rejected.contains(&entry.to.id),
            None => !statuses.renames(&entry.to),
        };
        match view {
            View::Approved { status, decision }
            | View::NotAllowed { status, decision, .. }
            | View::Unjudged { status, decision, .. }
                if self.statuses.is_none() && statuses.renames(&decision.entry.to) =>
            {
                View::Gone { doubt: Doubt::Renamed { status } }
            }
            // A no stays a no, but nobody may have meant it.
            View::Rejected {
                status,
                decision,
                author: Author::Accepted | Author::NotJudged | Author::Unknown { .. },
            } if !is_known(&decision.entry) => {
                let why = "the status did not mean rejected when this ticket was opened".into();
                View::Rejected { status, decision, author: Author::NotAccepted { why } }
            }
            View::Approved { .. }
            | View::Rejected { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
            | View::Waiting { .. }
            | View::Gone { .. } => view,
        }
    }
}

/// Whether this is among these moves, and none of them is later by its time or its number.
fn is_newest(entry: &Move, moves: &[Move]) -> bool {
    let place = |entry: &Move| (entry.at, history::number(&entry.changelog_id));
    let (at, id) = place(entry);
    let is_it = |other: &Move| other.changelog_id == entry.changelog_id && other.at == entry.at;
    moves.iter().any(is_it) && moves.iter().map(place).all(|other| other.0 <= at && other.1 <= id)
}

impl View {
    /// What this rejection is where the ticket shows something else by now, unless it was taken back. A transition alone does that,
    /// of a ticket that is where it belongs: no label, no field, and no answer that lacks the rejection. None: it shows one, or
    /// this one was taken back. `taken_back` tells whether somebody did, if that is known.
    fn stays_rejected(&self, shown: &Self, taken_back: impl Fn() -> Option<bool>) -> Option<Self> {
        let Self::Rejected { status, decision, .. } = self else { return None };
        let is_taken_back = match shown {
            Self::Rejected { .. } => return None,
            Self::Gone { doubt: Doubt::MovedElsewhere { .. } } => Some(false),
            Self::Waiting { .. }
            | Self::Approved { .. }
            | Self::NotAllowed { .. }
            | Self::Unjudged { .. }
            | Self::Gone { .. } => taken_back(),
        };
        match (shown, is_taken_back) {
            (_, Some(true)) => None,
            // A wizard or Jira mapped the status. But the ticket does not stand rejected, so nothing is rolled back.
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::NotAllowed { .. }
                | Self::Unjudged { .. }
                | Self::Gone { doubt: Doubt::Relocated { .. } | Doubt::Mapped { .. } },
                Some(false),
            ) => {
                let (status, decision) = (status.clone(), decision.clone());
                Some(Self::Rejected { status, decision, author: Author::NotAccepted { why: LEFT.into() } })
            }
            (Self::Gone { .. } | Self::Rejected { .. }, Some(false)) | (_, None) => Some(self.clone()),
        }
    }

    /// Whether this rejection says no less than the other view: it was judged to roll back, or the other is none.
    const fn is_no_less_than(&self, other: &Self) -> bool {
        matches!(self, Self::Rejected { author: Author::Accepted, .. }) || matches!(other, Self::Gone { .. })
    }

    /// Whether both say the same of the ticket. A decision is known by its changelog entry: its place on our clock
    /// is estimated at each sighting, and the first estimate stays.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Approved { status: here, decision: a }, Self::Approved { status: there, decision: b })
            | (
                Self::Unjudged { status: here, decision: a, .. },
                Self::Unjudged { status: there, decision: b, .. },
            ) => here == there && a.entry == b.entry,
            (
                Self::Rejected { status: here, decision: a, author: judged },
                Self::Rejected { status: there, decision: b, author: before },
            ) => here == there && a.entry == b.entry && alike(judged, before),
            (
                Self::NotAllowed { status: here, decision: a, why },
                Self::NotAllowed { status: there, decision: b, why: before },
            ) => here == there && a.entry == b.entry && why == before,
            (
                Self::Waiting { .. }
                | Self::Approved { .. }
                | Self::Rejected { .. }
                | Self::NotAllowed { .. }
                | Self::Unjudged { .. }
                | Self::Gone { .. },
                _,
            ) => self == other,
        }
    }

    /// What was decided, if something was.
    const fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::Unjudged { decision, .. } => Some(decision),
            Self::Waiting { .. } | Self::Gone { .. } => None,
        }
    }

    /// The changelog entry that decided, if one did.
    fn entry(&self) -> Option<&Move> {
        self.decision().map(|decision| &decision.entry)
    }

    /// Whether the decision, which is also the other's, is older by this estimate: our clock was set back since.
    fn is_older(&self, other: &Self) -> bool {
        let since = |view: &Self| view.decision().map(|decision| decision.since);
        since(self)
            .zip(since(other))
            .is_some_and(|(here, there)| there.since(here) > ESTIMATES_AGREE && self.entry() == other.entry())
    }

    /// The same, with the decision as old as either estimate says.
    fn no_younger(mut self, other: &Self) -> Self {
        let before = other.decision().filter(|decision| Some(&decision.entry) == self.entry());
        let Some(before) = before.map(|decision| decision.since) else { return self };
        match &mut self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::Unjudged { decision, .. } => decision.since = decision.since.min(before),
            Self::Waiting { .. } | Self::Gone { .. } => {}
        }
        self
    }

    /// Whether it waits for a judgement of whoever decided.
    fn is_unjudged(&self) -> bool {
        match self {
            Self::Unjudged { .. }
            | Self::Rejected { author: Author::NotJudged | Author::Unknown { .. }, .. } => true,
            Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::NotAllowed { .. }
            | Self::Waiting { .. }
            | Self::Gone { .. } => false,
        }
    }
}

/// The move that decided, if the ticket stands where one does and its changelog tells how it came there.
///
/// Where the moves may have been made in more orders than one, those must name the same.
#[must_use]
pub fn decisive<'a>(status: &Status, moves: &'a [Move], statuses: &Statuses) -> Option<&'a Move> {
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return None;
    }
    let orders = history::orders(moves);
    let mut told = orders.iter().map(|(_, order)| last_into(meaning, status, order, statuses));
    let first = told.next()?;
    if told.all(|other| other == first) { first } else { None }
}

/// The last move of an order into the statuses of a meaning, with none out of them since.
fn last_into<'a>(
    meaning: Meaning,
    status: &Status,
    order: &[&'a Move],
    statuses: &Statuses,
) -> Option<&'a Move> {
    let mut decisive = None;
    for &entry in order {
        if statuses.meaning(&entry.to.id) != meaning {
            decisive = None;
        } else if statuses.meaning(&entry.from) != meaning {
            decisive = Some(entry);
        }
    }
    // A changelog that ends elsewhere than the issue stands is not the whole story.
    decisive.filter(|_| order.last().is_some_and(|last| last.to.id == status.id))
}

/// What it means that Jira does not show the issue, after what was seen before, perhaps `lately`. Jira says the same of an
/// issue that was deleted and of one that our account may not see. So it is given up only when Jira has said so, to
/// an account that may browse the project, again and again for as long as an approval is trusted.
fn missing(before: &View, lately: bool, browse: Browse, now: Millis, trust_for: Duration) -> Doubt {
    let before = match before {
        View::Gone { doubt: Doubt::Missing { confirmed: true, since: since @ Some(_) } } => {
            return Doubt::Missing { confirmed: true, since: *since };
        }
        View::Gone { doubt: Doubt::Missing { confirmed: false, since } } if lately => *since,
        View::Gone { .. }
        | View::Waiting { .. }
        | View::Approved { .. }
        | View::Rejected { .. }
        | View::NotAllowed { .. }
        | View::Unjudged { .. } => None,
    };
    let since = match browse {
        Browse::Proven => Some(before.unwrap_or(now)),
        Browse::Unproven => None,
    };
    let confirmed = since.is_some_and(|since| now.since(since) >= trust_for);
    Doubt::Missing { confirmed, since }
}

/// Reads a status together with the changelog that must explain it, and the judgement of whoever decided.
///
/// `on_our_clock` tells when an entry was made, by our clock.
fn read(
    status: &Status,
    (moves, invalidations): (&[Move], &[Invalidation]),
    statuses: &Statuses,
    author: &Author,
    on_our_clock: impl Fn(&Move) -> Millis,
) -> View {
    let status = status.clone();
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting && statuses.late.contains(&status.id) {
        return View::Gone { doubt: Doubt::Renamed { status } };
    }
    if meaning == Meaning::Waiting {
        return View::Waiting { status: Some(status) };
    }
    let Some(entry) = decisive(&status, moves, statuses) else {
        return View::Gone { doubt: Doubt::NoChangelogEntry { status } };
    };
    let undone = match (undone(entry, moves, invalidations), &statuses.workflow) {
        (Some(cause), _) => Some(Undone::By(cause)),
        (None, Some(workflow)) => (!workflow.contains(&entry.from)).then_some(Undone::Mapped),
        (None, None) => Some(Undone::Untold),
    };
    let decision = Decision { entry: entry.clone(), since: on_our_clock(entry) };
    match (meaning, author, undone) {
        (Meaning::Rejected, author, None) => {
            let author = match author {
                Author::NotJudged => Author::Unknown { why: NOT_JUDGED.into() },
                Author::Accepted | Author::NotAccepted { .. } | Author::Unknown { .. } => author.clone(),
            };
            View::Rejected { status, decision, author }
        }
        (Meaning::Rejected, _, Some(Undone::Untold)) => {
            View::Rejected { status, decision, author: Author::Unknown { why: UNTOLD.into() } }
        }
        // A no stays a no, but it is not known by whose rules it was said.
        (Meaning::Rejected, _, Some(cause @ (Undone::By(_) | Undone::Mapped))) => {
            View::Rejected { status, decision, author: Author::NotAccepted { why: rejected_before(cause) } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::Untold)) => {
            View::Unjudged { status, decision, why: UNTOLD.into() }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::By(Cause::Unreadable))) => {
            View::Gone { doubt: Doubt::NoChangelogEntry { status } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::By(Cause::Relocated))) => {
            let entry = decision.entry.changelog_id;
            View::Gone { doubt: Doubt::Relocated { status, entry } }
        }
        (Meaning::Approved | Meaning::Waiting, _, Some(Undone::Mapped)) => {
            let entry = decision.entry.changelog_id;
            View::Gone { doubt: Doubt::Mapped { status, entry } }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Accepted, None) => View::Approved { status, decision },
        (Meaning::Approved | Meaning::Waiting, Author::NotAccepted { why }, None) => {
            View::NotAllowed { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Unknown { why }, None) => {
            View::Unjudged { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::NotJudged, None) => {
            View::Unjudged { status, decision, why: NOT_JUDGED.into() }
        }
    }
}

/// Why a move proves nothing.
#[derive(Clone, Copy)]
enum Undone {
    /// An entry of the history.
    By(Cause),
    /// The status that it left is none of the workflow: Jira mapped it when that was taken out.
    Mapped,
    /// Jira did not say which statuses the workflow has.
    Untold,
}

/// Why a rejection that was undone rolls nothing back.
fn rejected_before(cause: Undone) -> String {
    match cause {
        Undone::By(Cause::Relocated) => {
            "the ticket was moved between projects, issue types or workflows with it or since".into()
        }
        Undone::By(Cause::Unreadable) => "the ticket's history cannot be read from there on".into(),
        Undone::Mapped => "the ticket came there out of a status that is not in its workflow".into(),
        Undone::Untold => UNTOLD.into(),
    }
}

/// Whether both judgements come to the same: why one is not known changes from look to look.
fn alike(a: &Author, b: &Author) -> bool {
    match (a, b) {
        (Author::Unknown { .. }, Author::Unknown { .. }) => true,
        (Author::Accepted | Author::NotAccepted { .. } | Author::NotJudged | Author::Unknown { .. }, _) => {
            a == b
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Fingerprint;

    const TRUST: Trust =
        Trust { trust_for: Duration::from_mins(10), valid_for: Duration::MAX, judged_by: Fingerprint(0) };

    /// A changelog of `id@time from>to` entries, and the id of the one that decided where the ticket stands.
    fn decided(at: &str, moves: &str) -> Option<String> {
        let entry = |text: &str| {
            let (id, rest) = text.split_once('@').unwrap();
            let (at, rest) = rest.split_once(' ').unwrap();
            let (from, to) = rest.split_once('>').unwrap();
            Move {
                changelog_id: id.into(),
                by: Person { id: "mia".into(), name: "Mia".into(), app: false },
                at: Millis(at.parse().unwrap()),
                from: from.into(),
                to: Status { id: to.into(), name: to.into() },
            }
        };
        let moves: Vec<Move> = moves.split(", ").filter(|text| !text.is_empty()).map(entry).collect();
        let ids = |id: &str| std::iter::once(id.to_owned()).collect();
        let statuses = Statuses { approved: ids("yes"), rejected: ids("no"), ..Statuses::default() };
        let status = Status { id: at.into(), name: at.into() };
        decisive(&status, &moves, &statuses).map(|entry| entry.changelog_id.clone())
    }

    /// A gate that stands approved at minute 0, after what Jira said at these minutes: `404`, or `shut` where the account may
    /// not browse the project either.
    fn after(said: &str) -> Gate {
        use crate::gate::{GateId, GateName, Stage};
        let minute = |minutes: i64| Millis(1_790_000_000_000 + minutes * 60_000);
        let (id, key, project, issue_type) = ("1".into(), "OPS-1".into(), "OPS".into(), "10004".into());
        let ticket = Ticket { id, key, project, issue_type };
        let name = GateName { stage: Stage::ConfirmPromotion, approver: None };
        let mut gate = Gate::new(GateId("g".into()), name, vec![], minute(0));
        let view = View::Waiting { status: None };
        gate.standing = Standing::Watched { ticket, seen: minute(0), view };
        for word in said.split(", ") {
            let (at, what) = word.split_once(' ').unwrap();
            let browse = if what == "404" { Browse::Proven } else { Browse::Unproven };
            let (at, sighting) = (minute(at.parse().unwrap()), Sighting::Missing { browse });
            let (statuses, author) = (Statuses::default(), Author::Accepted);
            if let Some(next) = gate.see(&sighting, &statuses, &author, at, at, TRUST) {
                gate = next;
            }
        }
        gate
    }

    /// What a ticket that was moved means, by the judgement of whoever moved it.
    fn judged(to: &str, author: &Author) -> Gate {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let names = ["yes", "no"].map(|name| (name.to_owned(), name.to_owned())).into();
        let (approved, rejected, workflow) = (ids(&["yes"]), ids(&["no"]), ids(&["new", "yes", "no"]));
        let statuses =
            Statuses { approved, rejected, workflow: Some(workflow), names, ..Statuses::default() };
        let mut gate = after("0 404");
        gate.statuses = Some(statuses.pinned());
        let by = Person { id: "mia".into(), name: "Mia".into(), app: false };
        let (status, at) = (Status { id: to.into(), name: to.into() }, Millis(1_790_000_000_000));
        let entry = Move { changelog_id: "1".into(), by, at, from: "new".into(), to: status.clone() };
        let sighting = Sighting::Issue {
            key: "OPS-1".into(),
            project: "OPS".into(),
            issue_type: "10004".into(),
            status,
            ended: false,
            marks: vec![gate.id.clone()],
            moves: vec![entry],
            invalidations: vec![],
            answered: at,
        };
        gate.see(&sighting, &statuses, author, at, at, TRUST).unwrap()
    }

    #[test]
    fn a_move_that_nobody_judged_decides_nothing() {
        use super::super::Verdict;
        let why = || String::from("?");
        for (author, opens) in [
            (Author::Accepted, true),
            (Author::NotAccepted { why: why() }, false),
            (Author::Unknown { why: why() }, false),
            (Author::NotJudged, false),
        ] {
            let gate = judged("yes", &author);
            let verdict = gate.verdict(Millis(1_790_000_000_000), TRUST);
            assert_eq!(matches!(verdict, Verdict::Open { .. }), opens, "{author:?}: {verdict:?}");
            let gate = judged("no", &author);
            assert!(gate.rejection().is_some(), "{author:?}");
            assert_eq!(gate.rollback().is_some(), opens, "{author:?}");
            // An earlier version reads what is stored.
            assert!(!serde_json::to_string(&gate).unwrap().contains("not_judged"), "{author:?}");
        }
    }

    #[test]
    fn a_ticket_is_given_up_only_after_long_and_constant_denial() {
        for (said, spent) in [
            ("1 404", false),
            ("1 404, 2 404", false),
            ("1 404, 6 404, 10 404", false),
            ("1 404, 6 404, 11 404", true),
            ("1 404, 6 404, 11 404, 12 shut", true),
            // Nobody looked for longer than what was seen is trusted.
            ("1 404, 61 404", false),
            ("1 404, 61 404, 66 404, 71 404", true),
            // An account that may not browse the project learns nothing from a 404.
            ("1 shut, 6 shut, 11 shut, 16 shut", false),
            ("1 404, 6 shut, 11 404", false),
            ("1 404, 6 shut, 11 404, 16 404, 21 404", true),
            // A clock that was set back does not count.
            ("11 404, 1 404, 12 404", false),
        ] {
            assert_eq!(after(said).is_spent(), spent, "{said}");
        }
    }

    #[test]
    fn the_move_that_decided_is_the_last_by_every_order_that_can_be() {
        for (at, moves, expected) in [
            ("yes", "", None),
            ("new", "1@1 yes>new", None),
            ("yes", "1@1 new>yes", Some("1")),
            ("no", "1@1 new>no", Some("1")),
            ("yes", "3@3 new>yes, 1@1 new>yes, 2@2 yes>new", Some("3")),
            // It stands elsewhere than its changelog ends.
            ("yes", "1@1 new>yes, 2@2 yes>new", None),
            ("yes", "1@1 new>no", None),
            // A node of a cluster took its ids from a later block: by id, moves do not follow each other.
            ("yes", "20@1 new>yes, 21@2 yes>new, 10@3 new>yes", Some("10")),
            // The clock was set back: by time, moves do not follow each other, and the last of all is out of it.
            ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>no", None),
            ("yes", "1@9 new>yes, 2@3 yes>new, 3@4 new>yes", Some("3")),
            // Both could be, and do not agree on who decided.
            ("yes", "1@9 new>yes, 2@8 yes>new, 3@7 new>yes", None),
            // Neither can be: a move is missing. They agree, or they do not.
            ("yes", "1@1 new>no, 2@2 new>yes", Some("2")),
            ("yes", "2@1 new>yes, 1@2 other>yes", None),
            // Ids that are no numbers leave the time.
            ("yes", "a@1 new>yes, b@2 yes>new, c@3 new>yes", Some("c")),
            ("yes", "c@3 new>yes, b@2 yes>new, a@1 new>yes", Some("c")),
        ] {
            assert_eq!(decided(at, moves).as_deref(), expected, "{at}: {moves}");
        }
    }
}
