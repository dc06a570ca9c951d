//! PURE: one stage of one rollout, as it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    name::{GateId, GateName},
    pace::Pace,
    ticket::{Decision, InvalidReason, Ticket, TicketState},
};
use crate::{
    millis::Millis,
    policy::{Author, Fingerprint, PersonEntry, Statuses},
};

/// How far a gate has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
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
        #[serde(rename = "view")]
        ticket_state: TicketState,
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

/// What Flagger was told last at a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastAnswer {
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
    #[serde(rename = "asked")]
    pub asked_at: Millis,
    /// How far it is.
    #[serde(rename = "standing")]
    pub state: GateState,
    /// Whether its approval has let Flagger pass already.
    pub used: Option<Used>,
    /// What Flagger was told last. Stored with what changed it, so that each turn of the answer is on record once.
    #[serde(rename = "said", default)]
    pub last_answer: LastAnswer,
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
        let (state, last_answer) = (GateState::Opening, LastAnswer::Closed);
        Self {
            id,
            name,
            asked_at: now,
            state,
            used: None,
            last_answer,
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
        self.deny.iter().any(|entry| PersonEntry::read(entry) == PersonEntry::Nothing)
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
    pub fn reopen_judgment(&mut self, why: &str) -> bool {
        let GateState::Watched { ticket_state, .. } = &mut self.state else { return false };
        match ticket_state {
            TicketState::Approved { status, decision } => {
                let (status, decision) = (status.clone(), decision.clone());
                *ticket_state = TicketState::NotJudged { status, decision, why: why.to_owned() };
                true
            }
            TicketState::Rejected { author: author @ Author::Accepted, .. } => {
                *author = Author::Unknown { why: why.to_owned() };
                true
            }
            TicketState::Rejected { .. }
            | TicketState::Waiting { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::NotJudged { .. }
            | TicketState::Invalid { .. } => false,
        }
    }

    /// Whether Flagger was told last that it may go on. `pace` tells where the gate itself does not.
    #[must_use]
    pub const fn was_open(&self, pace: Pace) -> bool {
        match self.last_answer {
            LastAnswer::Open => true,
            LastAnswer::Closed => false,
            LastAnswer::Unknown => self.used.is_some() && pace.was_open(),
        }
    }

    /// The ticket, once there is one.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.state {
            GateState::Opening | GateState::Stuck { .. } => None,
            GateState::Watched { ticket, .. } => Some(ticket),
        }
    }

    /// When what is known of its ticket was last seen, by our clock.
    #[must_use]
    pub const fn seen_at(&self) -> Option<Millis> {
        match &self.state {
            GateState::Opening | GateState::Stuck { .. } => None,
            GateState::Watched { seen, .. } => Some(*seen),
        }
    }

    /// Whether its ticket will prove nothing any more, so that the next question opens another.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        match &self.state {
            GateState::Watched { ticket_state: TicketState::Invalid { doubt }, .. } => match doubt {
                InvalidReason::LabelledEnded { .. }
                | InvalidReason::Missing { confirmed: true, since: Some(_) } => true,
                // A missing one without a time was given up by a version that asked only twice.
                InvalidReason::MovedElsewhere { .. }
                | InvalidReason::NoChangelogEntry { .. }
                | InvalidReason::Relocated { .. }
                | InvalidReason::Mapped { .. }
                | InvalidReason::Renamed { .. }
                | InvalidReason::Unmarked { .. }
                | InvalidReason::Missing { .. } => false,
            },
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => false,
        }
    }

    /// Whether it counts to the limits of open tickets: while it may have a ticket in which somebody can decide.
    #[must_use]
    pub const fn is_open_ticket(&self) -> bool {
        match &self.state {
            GateState::Watched { ticket_state: TicketState::Invalid { doubt }, .. } => match doubt {
                InvalidReason::LabelledEnded { .. } | InvalidReason::Missing { .. } => false,
                InvalidReason::MovedElsewhere { .. }
                | InvalidReason::NoChangelogEntry { .. }
                | InvalidReason::Relocated { .. }
                | InvalidReason::Mapped { .. }
                | InvalidReason::Renamed { .. }
                | InvalidReason::Unmarked { .. } => true,
            },
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => true,
        }
    }

    /// Whether its ticket carried the label of those whose rollout is over when it was last seen.
    #[must_use]
    pub const fn is_labelled(&self) -> bool {
        matches!(
            &self.state,
            GateState::Watched {
                ticket_state: TicketState::Invalid { doubt: InvalidReason::LabelledEnded { .. } },
                ..
            }
        )
    }

    /// Whether the issue with its ticket's number does not say that it is this gate's.
    #[must_use]
    pub const fn is_unmarked(&self) -> bool {
        matches!(
            &self.state,
            GateState::Watched {
                ticket_state: TicketState::Invalid { doubt: InvalidReason::Unmarked { .. } },
                ..
            }
        )
    }

    /// The approval that was seen, if one was. Whether it opens the gate is for [`Gate::verdict`] to say.
    #[must_use]
    pub const fn approval(&self) -> Option<(&Ticket, &Decision)> {
        match &self.state {
            GateState::Watched { ticket, ticket_state: TicketState::Approved { decision, .. }, .. } => {
                Some((ticket, decision))
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => None,
        }
    }

    /// The rejection that stands, if one does.
    #[must_use]
    pub fn rejection(&self) -> Option<(&Ticket, &Decision)> {
        match &self.state {
            GateState::Watched { ticket, ticket_state: TicketState::Rejected { decision, .. }, .. } => {
                Some((ticket, decision))
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => None,
        }
    }

    /// The rejection that stands and rolls back.
    #[must_use]
    pub fn rollback(&self) -> Option<(&Ticket, &Decision)> {
        match &self.state {
            GateState::Watched {
                ticket,
                ticket_state: TicketState::Rejected { decision, author: Author::Accepted, .. },
                ..
            } => Some((ticket, decision)),
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => None,
        }
    }
}
