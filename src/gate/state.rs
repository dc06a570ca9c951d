//! PURE: a gate, as it is stored.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    approval_steps::ApprovalStep,
    exception::TicketException,
    name::{GateId, GateName},
    pace::Pace,
    ticket::{Decision, InvalidReason, Ticket, TicketState},
    traffic_step::TrafficStep,
};
use crate::{
    millis::Millis,
    policy::{Author, Fingerprint, PersonEntry, Statuses},
    workload::Shows,
};

/// How far a gate has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// Its ticket is being opened.
    Opening,
    /// Its ticket cannot be opened.
    Stuck {
        /// The error of Jira or the configuration.
        why: String,
    },
    /// Its ticket is open, and was last seen like this.
    Watched {
        /// The ticket.
        ticket: Ticket,
        /// When Jira was asked for it, by the bridge's clock.
        seen: Millis,
        /// What it showed.
        #[serde(rename = "view")]
        ticket_state: TicketState,
    },
}

/// The first time that Flagger could pass, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When.
    pub at: Millis,
    /// The longest pause between two questions while the gate was closed.
    pub longest_gap: Duration,
    /// What let it pass.
    #[serde(default, skip_serializing_if = "Passage::is_by_approval")]
    pub by: Passage,
}

/// What let Flagger pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// An approval of the ticket.
    #[default]
    Approval,
    /// The gate asks nobody: its ticket only records the rollout.
    Record,
}

impl Passage {
    const fn is_by_approval(&self) -> bool {
        matches!(self, Self::Approval)
    }
}

/// Nobody decided in time, and the gate was rejected for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedOut {
    /// When the bridge recorded that.
    pub at: Millis,
    /// How long a decision could take.
    pub within: Duration,
    /// The newest move of the ticket that was known then, by Jira's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_move: Option<Millis>,
}

/// The settings that a ticket shows: who may approve, which statuses decide, and for how long an approval is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRules {
    /// Who may approve, and which statuses decide.
    pub judged_by: Fingerprint,
    /// For how long an unused approval is valid.
    pub valid_for: Duration,
}

impl ShownRules {
    /// It is not known which settings it shows: these equal none that a configuration can have.
    pub const UNCLEAR: Self = Self { judged_by: Fingerprint(0), valid_for: Duration::MAX };
}

/// The last answer to Flagger at a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastAnswer {
    /// Not stored: an earlier version wrote the row.
    #[default]
    Unknown,
    /// 403, or no answer yet.
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
    /// The first time that Flagger could pass.
    pub used: Option<Used>,
    /// The last answer to Flagger. Stored together with what changed it, so that the audit log has each change of the
    /// answer once.
    #[serde(rename = "said", default)]
    pub last_answer: LastAnswer,
    /// Who may not approve it: `approval.deny`, as rendered when Flagger first asked, and entries that later questions
    /// added.
    #[serde(default)]
    pub deny: Vec<String>,
    /// The statuses that had the configured names when its ticket was opened. None if that is not known: the ticket was
    /// opened by an earlier version, or does not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Statuses>,
    /// The settings by which its approval was judged when it was last seen. None: by an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<Fingerprint>,
    /// The newest move ever seen of its ticket, by Jira's clock: a snapshot without it is outdated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_move: Option<Millis>,
    /// Tags of what is done only once: comments that were written to its ticket or are queued, and rollbacks that were
    /// recorded.
    #[serde(rename = "told", default)]
    pub notified: Vec<String>,
    /// What its ticket shows that the rollout changes. None: the ticket does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<Shows>,
    /// The share of the traffic that went to the new version when Flagger first asked, in percent, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// The settings that its ticket shows, in its description or in a later comment. None: not known, because an earlier
    /// version opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<ShownRules>,
    /// The fields of its ticket that say when it may open, by id, as it was last seen: external text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub planned: BTreeMap<String, String>,
    /// What its ticket has that may lift a freeze or a window, as it was last seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<TicketException>,
    /// The step of traffic that it is for, if each step has a gate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<TrafficStep>,
    /// The steps of its approval, as its ticket last showed them; none if an approval has only one step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ApprovalStep>,
    /// That nobody decided in time, so that it is rejected, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out: Option<TimedOut>,
    /// What the question sent as the key of its ticket: external text. None: it gets a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
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
            notified: Vec::new(),
            shows: None,
            weight: None,
            rules: None,
            planned: BTreeMap::new(),
            exceptions: Vec::new(),
            step: None,
            steps: Vec::new(),
            timed_out: None,
            names: None,
        }
    }

    /// Notes which ticket a repeated question names. A gate that has a ticket keeps it.
    pub fn name_ticket(&mut self, names: Option<&str>) {
        if self.ticket().is_none() && self.names.as_deref() != names {
            self.names = names.map(str::to_owned);
            self.state = GateState::Opening;
        }
    }

    /// Whether an entry of its `approval.deny` came out empty, so that no approval counts any more.
    #[must_use]
    pub fn has_empty_denial(&self) -> bool {
        self.deny.iter().any(|entry| PersonEntry::read(entry).is_empty())
    }

    /// What statuses mean for its ticket. `today` are those that have the configured names now. A status means approved
    /// if it did so when the ticket was opened and does so today, and rejected if it did so at either time.
    #[must_use]
    pub fn statuses(&self, today: Statuses) -> Statuses {
        let Some(then) = &self.statuses else { return today };
        let approved = then.approved.intersection(&today.approved).cloned().collect();
        let ambiguous = then.approved.symmetric_difference(&today.approved).cloned().collect();
        let rejected = then.rejected.union(&today.rejected).cloned().collect();
        Statuses { approved, rejected, ambiguous, ..today }
    }

    /// Marks the decision to be judged again. Returns whether that changed anything.
    pub fn reopen_judgment(&mut self, why: &str) -> bool {
        for exception in self.exceptions.iter_mut().filter(|exception| exception.accepted().is_some()) {
            exception.author = Author::Unknown { why: why.to_owned() };
        }
        let GateState::Watched { ticket_state, .. } = &mut self.state else { return false };
        match ticket_state {
            TicketState::Approved { status, decision } => {
                let (status, decision) = (status.clone(), decision.clone());
                *ticket_state = TicketState::JudgmentPending { status, decision, why: why.to_owned() };
                true
            }
            TicketState::Rejected { author: author @ Author::Accepted, .. } => {
                *author = Author::Unknown { why: why.to_owned() };
                true
            }
            TicketState::Rejected { .. }
            | TicketState::Waiting { .. }
            | TicketState::NotAllowed { .. }
            | TicketState::JudgmentPending { .. }
            | TicketState::Invalid { .. } => false,
        }
    }

    /// Whether the last answer to Flagger was open. `pace` decides if the gate does not store it.
    #[must_use]
    pub const fn was_open(&self, pace: Pace) -> bool {
        match self.last_answer {
            LastAnswer::Open => true,
            LastAnswer::Closed => false,
            LastAnswer::Unknown => self.used.is_some() && pace.was_open(),
        }
    }

    /// Whether an approval of its ticket let Flagger pass.
    #[must_use]
    pub const fn is_approval_used(&self) -> bool {
        matches!(self.used, Some(Used { by: Passage::Approval, .. }))
    }

    /// Whether it is for a step of traffic that Flagger may have taken.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.step, Some(TrafficStep { over: true, .. }))
    }

    /// Whether Flagger could pass because the gate asked nobody.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        matches!(self.used, Some(Used { by: Passage::Record, .. }))
    }

    /// The ticket, once there is one.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.state {
            GateState::Opening | GateState::Stuck { .. } => None,
            GateState::Watched { ticket, .. } => Some(ticket),
        }
    }

    /// When its ticket was last read, by the bridge's clock.
    #[must_use]
    pub const fn seen_at(&self) -> Option<Millis> {
        match &self.state {
            GateState::Opening | GateState::Stuck { .. } => None,
            GateState::Watched { seen, .. } => Some(*seen),
        }
    }

    /// Whether its ticket can prove nothing any more, so that the next question opens another.
    #[must_use]
    pub const fn needs_new_ticket(&self) -> bool {
        match &self.state {
            // A rejection stays, whatever becomes of the ticket.
            _ if self.timed_out.is_some() => false,
            GateState::Watched { ticket_state: TicketState::Invalid { reason }, .. } => match reason {
                InvalidReason::LabelledEnded { .. }
                | InvalidReason::Missing { confirmed: true, since: Some(_) } => true,
                // A missing ticket without a time was given up by a version that asked Jira only twice.
                InvalidReason::MovedElsewhere { .. }
                | InvalidReason::NoChangelogEntry { .. }
                | InvalidReason::Relocated { .. }
                | InvalidReason::Mapped { .. }
                | InvalidReason::Renamed { .. }
                | InvalidReason::ApprovedBefore { .. }
                | InvalidReason::Unmarked { .. }
                | InvalidReason::Missing { .. } => false,
            },
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => false,
        }
    }

    /// Whether it counts toward the limits of open tickets: while it may have a ticket that can still be decided.
    #[must_use]
    pub const fn is_open_ticket(&self) -> bool {
        match &self.state {
            GateState::Watched { ticket_state: TicketState::Invalid { reason }, .. } => match reason {
                InvalidReason::LabelledEnded { .. } | InvalidReason::Missing { .. } => false,
                InvalidReason::MovedElsewhere { .. }
                | InvalidReason::NoChangelogEntry { .. }
                | InvalidReason::Relocated { .. }
                | InvalidReason::Mapped { .. }
                | InvalidReason::Renamed { .. }
                | InvalidReason::ApprovedBefore { .. }
                | InvalidReason::Unmarked { .. } => true,
            },
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => true,
        }
    }

    /// Whether its ticket had the label `flagger-ended` when it was last read.
    #[must_use]
    pub const fn is_labelled(&self) -> bool {
        matches!(
            &self.state,
            GateState::Watched {
                ticket_state: TicketState::Invalid { reason: InvalidReason::LabelledEnded { .. } },
                ..
            }
        )
    }

    /// Whether the issue with its ticket's id does not carry this gate's mark.
    #[must_use]
    pub const fn is_unmarked(&self) -> bool {
        matches!(
            &self.state,
            GateState::Watched {
                ticket_state: TicketState::Invalid { reason: InvalidReason::Unmarked { .. } },
                ..
            }
        )
    }

    /// The approval that was last read, if any. [`Gate::verdict`] decides whether it opens the gate.
    #[must_use]
    pub const fn approval(&self) -> Option<(&Ticket, &Decision)> {
        match &self.state {
            GateState::Watched { ticket, ticket_state: TicketState::Approved { decision, .. }, .. } => {
                Some((ticket, decision))
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => None,
        }
    }

    /// The rejection in force, if any.
    #[must_use]
    pub fn rejection(&self) -> Option<(&Ticket, &Decision)> {
        match &self.state {
            GateState::Watched { ticket, ticket_state: TicketState::Rejected { decision, .. }, .. } => {
                Some((ticket, decision))
            }
            GateState::Watched { .. } | GateState::Opening | GateState::Stuck { .. } => None,
        }
    }

    /// The rejection in force, if it rolls back.
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
