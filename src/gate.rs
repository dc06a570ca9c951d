//! PURE: one gate of a rollout: where its ticket stands, and the verdict that follows.
//!
//! Nothing here waits, reads a clock or talks to anybody. What Jira showed comes in as a [`Sighting`], the time
//! as `now`; what goes out is a [`Verdict`], computed when Flagger asks and never stored.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    millis::Millis,
    policy::{Author, Meaning, Statuses},
};

/// A gate's name in the store and in Jira: 128 random bits in hexadecimal, never derived from anything, so that a
/// restored database cannot take an old ticket for its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GateId(pub String);

impl fmt::Display for GateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The point of a rollout at which Flagger asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before the new revision is started at all.
    ConfirmRollout,
    /// Before each step of traffic.
    ConfirmTrafficIncrease,
    /// Before the new revision replaces the old one.
    ConfirmPromotion,
    /// The load tester's `/gate/check`, asked while a rollout runs: it does not say which hook it is.
    Gate,
}

impl Stage {
    /// All stages, in the order of a rollout.
    pub const ALL: [Self; 4] =
        [Self::ConfirmRollout, Self::ConfirmTrafficIncrease, Self::ConfirmPromotion, Self::Gate];

    /// Flagger's word for it, as in the hook's type and in our paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::Gate => "gate",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which gate of a rollout: the stage, and the name that tells several approvers of one stage apart (`?gate=qa`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GateName {
    /// The stage Flagger asks at.
    pub stage: Stage,
    /// The value of `?gate=`, if there was one.
    pub approver: Option<String>,
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.approver {
            None => self.stage.fmt(f),
            Some(approver) => write!(f, "{} ({approver})", self.stage),
        }
    }
}

/// The Jira issue of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Jira's number; it survives a move to another project.
    pub id: String,
    /// What people read; it does not.
    pub key: String,
    /// The key of the project it was opened in.
    pub project: String,
    /// The id of the issue type it was opened as.
    pub issue_type: String,
}

/// A status of a Jira workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What is compared: names are translated and repeated.
    pub id: String,
    /// What is shown.
    pub name: String,
}

/// Somebody who moved a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `accountId` on Cloud, `name` on Data Center.
    pub id: String,
    /// The name people know them by, as of then.
    pub name: String,
    /// Whether Jira says that it is an app or an automation, not a person.
    pub app: bool,
}

/// One change of an issue's status, as its changelog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The id of the changelog entry: a number in both kinds of Jira, rising with time.
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
        /// All changes of its status, in any order.
        moves: Vec<Move>,
        /// When Jira answered, by Jira's clock.
        answered: Millis,
    },
    /// Asked for by its id alone, and Jira knows no such issue.
    Missing,
}

/// What a person did to a ticket, with the entry that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The move into the status.
    pub entry: Move,
    /// When that was on our clock: the time of the answer less the decision's age by Jira's clock.
    pub since: Millis,
}

/// Where the ticket stood when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// In a status that is neither approved nor rejected.
    Waiting {
        /// That status; none if it was opened and not looked at yet.
        status: Option<Status>,
    },
    /// Moved into an approved status, and not out of them since.
    Approved {
        /// Where it stands: the status it was moved to, or another that means the same.
        status: Status,
        /// By whom and when.
        decision: Decision,
    },
    /// Moved into a rejected status, and not out of them since. That closes the gate whoever did it.
    Rejected {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Whether it also rolls back: that takes somebody whose move counts.
        author: Author,
    },
    /// Approved by somebody whose move does not count.
    NotAllowed {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why it does not count.
        why: String,
    },
    /// Approved, and it cannot be told whether that person's move counts.
    Unjudged {
        /// As above.
        status: Status,
        /// By whom and when.
        decision: Decision,
        /// Why not.
        why: String,
    },
    /// It cannot be said that a person decided about this rollout on this ticket.
    Gone {
        /// Why not.
        doubt: Doubt,
    },
}

/// Why a ticket proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It is in another project, or of another issue type, than it was opened in.
    MovedElsewhere {
        /// The project's key today.
        project: String,
    },
    /// It stands in an approved or rejected status, but its changelog does not show how it came there.
    NoChangelogEntry {
        /// That status.
        status: Status,
    },
    /// Jira does not know it any more.
    Missing {
        /// Whether Jira said so a second time: then the gate may have a new ticket.
        confirmed: bool,
    },
}

/// How far a gate has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its ticket is being opened.
    Opening,
    /// Its ticket cannot be opened.
    Stuck {
        /// What Jira or the configuration objects to.
        why: String,
    },
    /// Its ticket is open, and was last seen like this.
    Watched {
        /// The ticket.
        ticket: Ticket,
        /// When the answer came, by our clock.
        seen: Millis,
        /// What it showed.
        view: View,
    },
}

/// The first time an approval let Flagger pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When.
    pub at: Millis,
    /// The longest pause between two questions while the gate was closed: how patient Flagger is here.
    pub longest_gap: Duration,
}

/// How often Flagger asks at a gate while it is closed. Kept in memory beside the gate, or no question would be free
/// of a write; it becomes part of [`Used`] when the gate opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The last question, if it was answered closed.
    closed_at: Option<Millis>,
    /// The longest pause after such a question.
    longest_gap: Duration,
}

impl Pace {
    /// The longest pause after a closed answer, with the one that the question of `now` ends.
    #[must_use]
    pub fn longest_gap(&self, now: Millis) -> Duration {
        self.closed_at.map_or(self.longest_gap, |at| self.longest_gap.max(now.since(at)))
    }

    /// The same without the pause that goes on: how patient Flagger was before.
    #[must_use]
    pub const fn longest_gap_before(&self) -> Duration {
        self.longest_gap
    }

    /// The pause that goes on is not measured: the bridge was away for a part of it.
    pub const fn interrupted(&mut self) {
        self.closed_at = None;
    }

    /// A question was answered.
    pub fn answered(&mut self, open: bool, now: Millis) {
        self.longest_gap = self.longest_gap(now);
        self.closed_at = (!open).then_some(now);
    }
}

/// One stage of one rollout, with its ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Its random id.
    pub id: GateId,
    /// Which gate of the rollout.
    pub name: GateName,
    /// When Flagger first asked.
    pub asked: Millis,
    /// How far it is.
    pub standing: Standing,
    /// Whether its approval has let Flagger pass already.
    pub used: Option<Used>,
    /// Who may not approve it: `approval.deny`, as rendered when Flagger first asked.
    #[serde(default)]
    pub deny: Vec<String>,
    /// The tags of what its ticket was told, or is about to be, so that it is told once.
    #[serde(default)]
    pub told: Vec<String>,
}

/// How long what was seen may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// An answer of Jira proves an approval for this long.
    pub trust_for: Duration,
    /// An approval that was not used for this long is not used any more.
    pub valid_for: Duration,
}

/// The answer to Flagger. Computed when asked; never stored.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Verdict<'a> {
    /// 200: go on.
    Open {
        /// The approved ticket.
        ticket: &'a Ticket,
        /// Who approved it.
        decision: &'a Decision,
    },
    /// 403: not now.
    Closed(Closed<'a>),
}

/// Why a gate is closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Closed<'a> {
    /// No rollout is known that this question can be about.
    Unknown,
    /// The ticket is being opened.
    Opening,
    /// The ticket cannot be opened.
    Stuck {
        /// What is in the way.
        why: &'a str,
    },
    /// Nobody has decided yet.
    Waiting {
        /// The ticket.
        ticket: &'a Ticket,
        /// Where it stands, once that was looked at.
        status: Option<&'a Status>,
    },
    /// Somebody said no.
    Rejected {
        /// The ticket.
        ticket: &'a Ticket,
        /// By whom and when.
        decision: &'a Decision,
    },
    /// The approval is too old to be used for the first time.
    Expired {
        /// The ticket.
        ticket: &'a Ticket,
        /// The approval.
        decision: &'a Decision,
    },
    /// Somebody approved who may not.
    NotAllowed {
        /// The ticket.
        ticket: &'a Ticket,
        /// The approval.
        decision: &'a Decision,
        /// Why it does not count.
        why: &'a str,
    },
    /// Somebody approved, and it cannot be told whether that counts.
    Unjudged {
        /// The ticket.
        ticket: &'a Ticket,
        /// The approval.
        decision: &'a Decision,
        /// Why not.
        why: &'a str,
    },
    /// Approved when last seen, but that is too long ago.
    Stale {
        /// The ticket.
        ticket: &'a Ticket,
        /// When Jira last showed it.
        seen: Millis,
    },
    /// The ticket proves nothing.
    Gone {
        /// The ticket.
        ticket: &'a Ticket,
        /// Why not.
        doubt: &'a Doubt,
    },
}

impl Gate {
    /// A gate that Flagger asked about just now.
    #[must_use]
    pub fn new(id: GateId, name: GateName, deny: Vec<String>, now: Millis) -> Self {
        Self { id, name, asked: now, standing: Standing::Opening, used: None, deny, told: Vec::new() }
    }

    /// The ticket, once there is one.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.standing {
            Standing::Opening | Standing::Stuck { .. } => None,
            Standing::Watched { ticket, .. } => Some(ticket),
        }
    }

    /// The rejection that stands, if one does.
    #[must_use]
    pub fn rejection(&self) -> Option<(&Ticket, &Decision)> {
        match &self.standing {
            Standing::Watched { ticket, view: View::Rejected { decision, .. }, .. } => {
                Some((ticket, decision))
            }
            Standing::Watched { .. } | Standing::Opening | Standing::Stuck { .. } => None,
        }
    }

    /// The rejection that stands and rolls back.
    #[must_use]
    pub fn rollback(&self) -> Option<(&Ticket, &Decision)> {
        match &self.standing {
            Standing::Watched {
                ticket,
                view: View::Rejected { decision, author: Author::Accepted, .. },
                ..
            } => Some((ticket, decision)),
            Standing::Watched { .. } | Standing::Opening | Standing::Stuck { .. } => None,
        }
    }

    /// Whether Flagger may pass, and why (not).
    pub fn verdict(&self, now: Millis, trust: Trust) -> Verdict<'_> {
        let (ticket, seen, view) = match &self.standing {
            Standing::Opening => return Verdict::Closed(Closed::Opening),
            Standing::Stuck { why } => return Verdict::Closed(Closed::Stuck { why }),
            Standing::Watched { ticket, seen, view } => (ticket, *seen, view),
        };
        match view {
            View::Waiting { status } => Verdict::Closed(Closed::Waiting { ticket, status: status.as_ref() }),
            View::Rejected { decision, .. } => Verdict::Closed(Closed::Rejected { ticket, decision }),
            View::NotAllowed { decision, why, .. } => {
                Verdict::Closed(Closed::NotAllowed { ticket, decision, why })
            }
            View::Unjudged { decision, why, .. } => {
                Verdict::Closed(Closed::Unjudged { ticket, decision, why })
            }
            View::Gone { doubt } => Verdict::Closed(Closed::Gone { ticket, doubt }),
            View::Approved { .. } if now.since(seen) > trust.trust_for => {
                Verdict::Closed(Closed::Stale { ticket, seen })
            }
            View::Approved { decision, .. }
                if self.used.is_none() && now.since(decision.since) > trust.valid_for =>
            {
                Verdict::Closed(Closed::Expired { ticket, decision })
            }
            View::Approved { decision, .. } => Verdict::Open { ticket, decision },
        }
    }

    /// What the gate becomes by this sighting of its ticket; `None` if it is no news. `now` is when Jira was asked, `arrived`
    /// when it answered.
    ///
    /// The time of an unchanged sighting is news only when the stored one is getting old: within a sixth of
    /// `trust_for`, so that a poll of every ticket does not write every ticket.
    #[must_use]
    pub fn see(
        &self,
        sighting: &Sighting,
        statuses: &Statuses,
        author: &Author,
        now: Millis,
        arrived: Millis,
        trust_for: Duration,
    ) -> Option<Self> {
        let Standing::Watched { ticket, seen, view } = &self.standing else { return None };
        let (key, new) = match sighting {
            Sighting::Missing => {
                let again = matches!(view, View::Gone { doubt: Doubt::Missing { .. } });
                (&ticket.key, View::Gone { doubt: Doubt::Missing { confirmed: again } })
            }
            Sighting::Issue { key, project, issue_type, status, moves, answered } => {
                let view = if *project != ticket.project || *issue_type != ticket.issue_type {
                    View::Gone { doubt: Doubt::MovedElsewhere { project: project.clone() } }
                } else {
                    read(status, moves, statuses, author, |entry| arrived - answered.since(entry.at))
                };
                (key, view)
            }
        };
        if new.is_unjudged() && new.entry() == view.entry() && !view.is_unjudged() {
            // Nobody could be asked just now; what was found out before holds for as long as it is trusted.
            return None;
        }
        let new = if new.same(view) { view.clone() } else { new };
        if new == *view && *key == ticket.key && now.since(*seen) < trust_for / 6 {
            return None;
        }
        let ticket = Ticket { key: key.clone(), ..ticket.clone() };
        Some(Self { standing: Standing::Watched { ticket, seen: now, view: new }, ..self.clone() })
    }
}

impl View {
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
            ) => here == there && a.entry == b.entry && judged == before,
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

    /// The changelog entry that decided, if one did.
    fn entry(&self) -> Option<&Move> {
        match self {
            Self::Approved { decision, .. }
            | Self::Rejected { decision, .. }
            | Self::NotAllowed { decision, .. }
            | Self::Unjudged { decision, .. } => Some(&decision.entry),
            Self::Waiting { .. } | Self::Gone { .. } => None,
        }
    }

    /// Whether it waits for a judgement of whoever decided.
    fn is_unjudged(&self) -> bool {
        match self {
            Self::Unjudged { .. } | Self::Rejected { author: Author::Unknown { .. }, .. } => true,
            Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::NotAllowed { .. }
            | Self::Waiting { .. }
            | Self::Gone { .. } => false,
        }
    }
}

/// The move that decided, if the ticket stands where one does and its changelog tells how it came there.
#[must_use]
pub fn decisive<'a>(status: &Status, moves: &'a [Move], statuses: &Statuses) -> Option<&'a Move> {
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return None;
    }
    let mut ordered: Vec<&Move> = moves.iter().collect();
    ordered.sort_by_key(|entry| (entry.at, entry.changelog_id.parse::<u64>().unwrap_or(u64::MAX)));
    let mut decisive = None;
    for entry in &ordered {
        if statuses.meaning(&entry.to.id) != meaning {
            decisive = None;
        } else if statuses.meaning(&entry.from) != meaning {
            decisive = Some(*entry);
        }
    }
    // A changelog that ends elsewhere than the issue stands is not the whole story.
    decisive.filter(|_| ordered.last().is_some_and(|last| last.to.id == status.id))
}

/// Reads a status together with the changelog that must explain it, and the judgement of whoever decided.
///
/// `on_our_clock` tells when an entry was made, by our clock.
fn read(
    status: &Status,
    moves: &[Move],
    statuses: &Statuses,
    author: &Author,
    on_our_clock: impl Fn(&Move) -> Millis,
) -> View {
    let status = status.clone();
    let meaning = statuses.meaning(&status.id);
    if meaning == Meaning::Waiting {
        return View::Waiting { status: Some(status) };
    }
    let Some(entry) = decisive(&status, moves, statuses) else {
        return View::Gone { doubt: Doubt::NoChangelogEntry { status } };
    };
    let decision = Decision { entry: entry.clone(), since: on_our_clock(entry) };
    match (meaning, author) {
        (Meaning::Rejected, author) => View::Rejected { status, decision, author: author.clone() },
        (Meaning::Approved | Meaning::Waiting, Author::Accepted) => View::Approved { status, decision },
        (Meaning::Approved | Meaning::Waiting, Author::NotAccepted { why }) => {
            View::NotAllowed { status, decision, why: why.clone() }
        }
        (Meaning::Approved | Meaning::Waiting, Author::Unknown { why }) => {
            View::Unjudged { status, decision, why: why.clone() }
        }
    }
}
