//! PURE: whether Flagger may pass, computed for each question from the gate's state and the time.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    state::{Gate, GateState, ShownRules},
    ticket::{Decision, InvalidReason, TicketState},
};
use crate::{
    millis::Millis,
    policy::{ApprovalMode, Fingerprint},
};

/// How long a reading and an approval are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// An answer of Jira proves an approval for this long.
    pub trust_for: Duration,
    /// An approval that was not used for this long is not valid any more.
    pub valid_for: Duration,
    /// The settings by which approvals are judged today.
    pub judged_by: Fingerprint,
    /// An approval that comes later than this after Flagger's first question does not count. None: it does, whenever it
    /// comes.
    pub reject_after: Option<Duration>,
    /// Whether what would start is what the ticket shows.
    pub target: TargetProof,
    /// Whether the time is one at which the gate may open.
    pub hours: Hours,
    /// Whether anybody is asked.
    pub mode: ApprovalMode,
}

impl From<Validity> for ShownRules {
    fn from(Validity { judged_by, valid_for, .. }: Validity) -> Self {
        Self { judged_by, valid_for }
    }
}

/// Whether what would start when a question is answered open is what its ticket shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetProof {
    /// An approval is not bound to what its ticket shows, or nothing starts by it, or nobody asks.
    #[default]
    NotNeeded,
    /// It was read after the question came, and is the same.
    Given,
    /// It could not be read.
    Missing,
}

/// Whether the windows and freezes of a gate let it open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hours {
    /// They do, or it has none.
    #[default]
    Open,
    /// It is outside of its windows or in a freeze, or that is not known.
    Closed,
}

/// The answer to Flagger, and the reason, in a word. Computed for each question; never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The ticket is being opened.
    Opening,
    /// The ticket cannot be opened, or it is not known yet whether its approval counts.
    Stuck,
    /// There is no decision yet.
    Waiting,
    /// Open: go on.
    Approved,
    /// The ticket was rejected.
    Rejected,
    /// The ticket was approved, but the author may not approve.
    NotAllowed,
    /// The approval is too old to be used for the first time.
    Expired,
    /// Approved, or nobody is asked, but outside of its windows or in a freeze.
    Frozen,
    /// What was last seen is too old to prove an approval.
    Stale,
    /// The ticket proves nothing.
    Gone,
    /// Open: nobody is asked, and a ticket records the rollout.
    Recorded,
    /// It is for an earlier step of traffic, about which Flagger does not ask again.
    Passed,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 12] = [
        Self::Opening,
        Self::Stuck,
        Self::Waiting,
        Self::Approved,
        Self::Rejected,
        Self::NotAllowed,
        Self::Expired,
        Self::Frozen,
        Self::Stale,
        Self::Gone,
        Self::Recorded,
        Self::Passed,
    ];

    /// Whether Flagger may pass: 200, not 403.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Approved | Self::Recorded => true,
            Self::Opening
            | Self::Stuck
            | Self::Waiting
            | Self::Rejected
            | Self::NotAllowed
            | Self::Expired
            | Self::Frozen
            | Self::Stale
            | Self::Gone
            | Self::Passed => false,
        }
    }

    /// Its name wherever it is shown, counted or recorded. The names are a contract with users.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Stuck => "stuck",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::NotAllowed => "not_allowed",
            Self::Expired => "expired",
            Self::Frozen => "frozen",
            Self::Stale => "stale",
            Self::Gone => "gone",
            Self::Recorded => "recorded",
            Self::Passed => "passed",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|verdict| verdict.as_str() == word);
        known.ok_or_else(|| D::Error::custom(format_args!("no verdict is called {word:?}")))
    }
}

impl Gate {
    /// Whether Flagger may pass, and why (not).
    pub fn verdict(&self, now: Millis, validity: Validity) -> Verdict {
        if self.is_over() && !self.is_rejected() {
            return Verdict::Passed;
        }
        match validity.mode {
            ApprovalMode::Required => self.approval_verdict(now, validity),
            ApprovalMode::Record => self.record_verdict(validity.hours),
        }
    }

    /// The verdict of a gate that asks nobody: it is open until its ticket is rejected, or is gone, and the record with
    /// it. Whether its ticket was opened yet does not matter: that is stored with the gate, and done. Its windows and
    /// freezes close it as they close any other gate.
    fn record_verdict(&self, hours: Hours) -> Verdict {
        // It was rejected while it still asked somebody.
        if self.timed_out().is_some() {
            return Verdict::Rejected;
        }
        match &self.state {
            // It may never get the ticket that its question names, and then nothing would record it.
            GateState::Opening if self.names.is_some() => Verdict::Opening,
            GateState::Stuck { .. } if self.names.is_some() => Verdict::Stuck,
            GateState::Opening
            | GateState::Stuck { .. }
            | GateState::Watched {
                ticket_state:
                    TicketState::Waiting { .. }
                    | TicketState::Approved { .. }
                    | TicketState::NotAllowed { .. }
                    | TicketState::JudgmentPending { .. }
                    // It is in a status that would approve, where that means nothing.
                    | TicketState::Invalid {
                        reason:
                            InvalidReason::Relocated { .. }
                            | InvalidReason::Mapped { .. }
                            | InvalidReason::Renamed { .. }
                            | InvalidReason::ApprovedBefore { .. },
                    },
                ..
            } => match hours {
                Hours::Open => Verdict::Recorded,
                Hours::Closed => Verdict::Frozen,
            },
            GateState::Watched { ticket_state: TicketState::Rejected { .. }, .. } => Verdict::Rejected,
            GateState::Watched {
                ticket_state:
                    TicketState::Invalid {
                        reason:
                            InvalidReason::LabelledEnded { .. }
                            | InvalidReason::MovedElsewhere { .. }
                            // It may be in a rejected status.
                            | InvalidReason::NoChangelogEntry { .. }
                            | InvalidReason::Unmarked { .. }
                            | InvalidReason::Missing { .. },
                    },
                ..
            } => Verdict::Gone,
        }
    }

    fn approval_verdict(&self, now: Millis, validity: Validity) -> Verdict {
        let (seen, ticket_state) = match &self.state {
            GateState::Opening => return Verdict::Opening,
            GateState::Stuck { .. } => return Verdict::Stuck,
            GateState::Watched { seen, ticket_state, .. } => (*seen, ticket_state),
        };
        if self.is_too_late(ticket_state, validity) {
            return Verdict::Rejected;
        }
        match ticket_state {
            TicketState::Waiting { .. } => Verdict::Waiting,
            TicketState::Rejected { .. } => Verdict::Rejected,
            TicketState::NotAllowed { .. } => Verdict::NotAllowed,
            TicketState::JudgmentPending { .. } => Verdict::Stuck,
            TicketState::Invalid { .. } => Verdict::Gone,
            // Judged by an earlier version, which did not check the names of the statuses.
            TicketState::Approved { .. } if self.statuses.is_none() => Verdict::Stale,
            // Judged by other settings, so it must be judged again.
            TicketState::Approved { .. } if self.judged_by != Some(validity.judged_by) => Verdict::Stuck,
            // Also if `seen` is in the future: setting the clock back must not extend an approval.
            TicketState::Approved { .. } if now.abs_diff(seen) > validity.trust_for => Verdict::Stale,
            TicketState::Approved { decision, .. }
                if !self.is_approval_used() && age(decision, seen, now) > validity.valid_for =>
            {
                Verdict::Expired
            }
            TicketState::Approved { .. } if validity.hours == Hours::Closed => Verdict::Frozen,
            TicketState::Approved { .. } if validity.target == TargetProof::Missing => Verdict::Stale,
            TicketState::Approved { .. } => Verdict::Approved,
        }
    }
}

/// The age of a decision that was last seen at `seen`: too old rather than too young after the clock was set back.
fn age(decision: &Decision, seen: Millis, now: Millis) -> Duration {
    if now < seen { seen.since(decision.since) + now.abs_diff(seen) } else { now.since(decision.since) }
}
