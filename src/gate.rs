//! PURE: one gate of a rollout: where its ticket stands, and the verdict that follows.
//!
//! Nothing here waits, reads a clock or talks to anybody. What Jira showed comes in as a [`Sighting`], the time
//! as `now`; what goes out is a [`Verdict`], computed when Flagger asks and never stored.

mod history;
mod sighting;
mod verdict;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    history::{Cause, Invalidation, undone},
    sighting::{Browse, Move, Sighting, decisive},
    verdict::{Closed, Trust, Verdict},
};
use crate::{
    millis::Millis,
    policy::{Author, Entry, Fingerprint, Status, Statuses},
};

/// What the label of a gate's ticket begins with.
const LABEL: &str = "fjb-";

/// A gate's name in the store and in Jira: 128 random bits in hexadecimal, never derived from anything, so that a
/// restored database cannot take an old ticket for its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GateId(pub String);

impl GateId {
    /// The label that its ticket carries.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{LABEL}{self}")
    }

    /// The gate whose ticket carries this label, if it is such a label.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        label.strip_prefix(LABEL).map(|id| Self(id.to_owned()))
    }
}

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

/// Where a ticket is, as Jira names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The key of the project.
    pub project: String,
    /// The id of the issue type.
    pub issue_type: String,
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

impl View {
    /// Where the ticket stood, if that is known.
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        match self {
            Self::Waiting { status } => status.as_ref(),
            Self::Approved { status, .. }
            | Self::Rejected { status, .. }
            | Self::NotAllowed { status, .. }
            | Self::Unjudged { status, .. } => Some(status),
            Self::Gone {
                doubt:
                    Doubt::LabelledEnded { status }
                    | Doubt::NoChangelogEntry { status }
                    | Doubt::Relocated { status, .. }
                    | Doubt::Mapped { status, .. }
                    | Doubt::Renamed { status },
            } => Some(status),
            Self::Gone {
                doubt: Doubt::MovedElsewhere { .. } | Doubt::Unmarked { .. } | Doubt::Missing { .. },
            } => None,
        }
    }
}

/// Why a ticket proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It carries the label of tickets whose rollout is over. So it did end, and a database that says otherwise is an old
    /// backup; or somebody else put the label there, which closes the gate as well.
    LabelledEnded {
        /// Where it stands.
        status: Status,
    },
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
    /// It was approved, and that was no transition of its own workflow, or it went through a change of project, issue type or
    /// workflow since.
    Relocated {
        /// Where it stands.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// It came to an approved status out of one that is not in its workflow today: somebody took that status out, and Jira put
    /// the tickets in it into another.
    Mapped {
        /// Where it stands.
        status: Status,
        /// The changelog entry that brought it there.
        entry: String,
    },
    /// It stands in a status that means approved today and did not when the ticket was opened, or the other way round.
    Renamed {
        /// That status.
        status: Status,
    },
    /// The issue does not say that it is this gate's: on another site, or from a backup, it is somebody else's; or somebody
    /// took its mark away.
    Unmarked {
        /// The gate that it should name.
        gate: GateId,
    },
    /// Jira does not show it: it was deleted, or the bridge's account may not see it.
    Missing {
        /// Whether it is given up: Jira did not show it for as long as an approval is trusted, although the account may
        /// browse the project. Then the gate may have a new ticket.
        confirmed: bool,
        /// Since when Jira has said so each time, to an account that may browse the project. None: it was not asked
        /// yet, or may not.
        #[serde(default)]
        since: Option<Millis>,
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

    /// Whether the last answer, as far as known, was open.
    #[must_use]
    pub const fn was_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The bridge was away and is back. The pause that goes on is measured from `heard`, the last message by a clock that
    /// stood still meanwhile: the outage is no measure of Flagger's patience.
    pub const fn resumed(&mut self, heard: Millis) {
        if self.closed_at.is_some() {
            self.closed_at = Some(heard);
        }
    }

    /// A question was answered.
    pub fn answered(&mut self, open: bool, now: Millis) {
        self.longest_gap = self.longest_gap(now);
        self.closed_at = (!open).then_some(now);
    }
}

/// What Flagger was told last at a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// That is not stored: the row was written by a version that did not keep it there.
    #[default]
    Unknown,
    /// 403, or nothing yet.
    Closed,
    /// 200.
    Open,
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
    /// What Flagger was told last. Stored with what changed it, so that each turn of the answer is on record once.
    #[serde(default)]
    pub said: Said,
    /// Who may not approve it: `approval.deny`, as rendered when Flagger first asked, and what was added to it since.
    #[serde(default)]
    pub deny: Vec<String>,
    /// The statuses that bore the configured names when its ticket was opened. None if that is not known: it was opened by
    /// an earlier version, or has no ticket yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Statuses>,
    /// The settings by which its approval was judged when it was last seen. None: by an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<Fingerprint>,
    /// When its ticket was last moved as far as was ever seen, by Jira's clock: what shows less is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_move: Option<Millis>,
    /// The tags of what its ticket was told, or is about to be, so that it is told once.
    #[serde(default)]
    pub told: Vec<String>,
}

impl Gate {
    /// A gate that Flagger asked about just now.
    #[must_use]
    pub fn new(id: GateId, name: GateName, deny: Vec<String>, now: Millis) -> Self {
        let (standing, said) = (Standing::Opening, Said::Closed);
        Self {
            id,
            name,
            asked: now,
            standing,
            used: None,
            said,
            deny,
            statuses: None,
            judged_by: None,
            newest_move: None,
            told: Vec::new(),
        }
    }

    /// Whether an entry of its `approval.deny` came out empty, so that nobody may approve it any more.
    #[must_use]
    pub fn denies_for_good(&self) -> bool {
        self.deny.iter().any(|entry| Entry::read(entry) == Entry::Nothing)
    }

    /// What statuses mean for its ticket, where `today` are those that bear the configured names now. Approved are those that
    /// did so when it was opened and do so today; rejected is what is so at either time.
    #[must_use]
    pub fn statuses(&self, today: Statuses) -> Statuses {
        let Some(then) = &self.statuses else { return today };
        let approved = then.approved.intersection(&today.approved).cloned().collect();
        let late = then.approved.symmetric_difference(&today.approved).cloned().collect();
        let rejected = then.rejected.union(&today.rejected).cloned().collect();
        Statuses { approved, rejected, late, names: today.names, workflow: today.workflow }
    }

    /// It is to be found out again whether whoever decided counts. True if that is news.
    pub fn doubt_author(&mut self, why: &str) -> bool {
        let Standing::Watched { view, .. } = &mut self.standing else { return false };
        match view {
            View::Approved { status, decision } => {
                let (status, decision) = (status.clone(), decision.clone());
                *view = View::Unjudged { status, decision, why: why.to_owned() };
                true
            }
            View::Rejected { author: author @ Author::Accepted, .. } => {
                *author = Author::Unknown { why: why.to_owned() };
                true
            }
            View::Rejected { .. }
            | View::Waiting { .. }
            | View::NotAllowed { .. }
            | View::Unjudged { .. }
            | View::Gone { .. } => false,
        }
    }

    /// Whether Flagger was told last that it may go on. `pace` tells where the gate itself does not.
    #[must_use]
    pub const fn was_open(&self, pace: Pace) -> bool {
        match self.said {
            Said::Open => true,
            Said::Closed => false,
            Said::Unknown => self.used.is_some() && pace.was_open(),
        }
    }

    /// The ticket, once there is one.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.standing {
            Standing::Opening | Standing::Stuck { .. } => None,
            Standing::Watched { ticket, .. } => Some(ticket),
        }
    }

    /// When what is known of its ticket was last seen, by our clock.
    #[must_use]
    pub const fn seen_at(&self) -> Option<Millis> {
        match &self.standing {
            Standing::Opening | Standing::Stuck { .. } => None,
            Standing::Watched { seen, .. } => Some(*seen),
        }
    }

    /// Whether its ticket will prove nothing any more, so that the next question opens another.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        match &self.standing {
            Standing::Watched { view: View::Gone { doubt }, .. } => match doubt {
                Doubt::LabelledEnded { .. } | Doubt::Missing { confirmed: true, since: Some(_) } => true,
                // A missing one without a time was given up by a version that asked only twice.
                Doubt::MovedElsewhere { .. }
                | Doubt::NoChangelogEntry { .. }
                | Doubt::Relocated { .. }
                | Doubt::Mapped { .. }
                | Doubt::Renamed { .. }
                | Doubt::Unmarked { .. }
                | Doubt::Missing { .. } => false,
            },
            Standing::Watched { .. } | Standing::Opening | Standing::Stuck { .. } => false,
        }
    }

    /// Whether it counts to the limits of open tickets: while it may have a ticket in which somebody can decide.
    #[must_use]
    pub const fn is_open_ticket(&self) -> bool {
        match &self.standing {
            Standing::Watched { view: View::Gone { doubt }, .. } => match doubt {
                Doubt::LabelledEnded { .. } | Doubt::Missing { .. } => false,
                Doubt::MovedElsewhere { .. }
                | Doubt::NoChangelogEntry { .. }
                | Doubt::Relocated { .. }
                | Doubt::Mapped { .. }
                | Doubt::Renamed { .. }
                | Doubt::Unmarked { .. } => true,
            },
            Standing::Watched { .. } | Standing::Opening | Standing::Stuck { .. } => true,
        }
    }

    /// Whether its ticket carried the label of those whose rollout is over when it was last seen.
    #[must_use]
    pub const fn is_labelled(&self) -> bool {
        matches!(
            &self.standing,
            Standing::Watched { view: View::Gone { doubt: Doubt::LabelledEnded { .. } }, .. }
        )
    }

    /// Whether the issue with its ticket's number does not say that it is this gate's.
    #[must_use]
    pub const fn is_unmarked(&self) -> bool {
        matches!(&self.standing, Standing::Watched { view: View::Gone { doubt: Doubt::Unmarked { .. } }, .. })
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
}
