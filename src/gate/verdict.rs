//! PURE: may Flagger pass? Computed when it asks, from where the gate stands and the time.

use std::time::Duration;

use super::{
    state::{Gate, Standing},
    ticket::{Decision, Doubt, Ticket, View},
};
use crate::{
    millis::Millis,
    policy::{Fingerprint, Status},
};

/// How long what was seen may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// An answer of Jira proves an approval for this long.
    pub trust_for: Duration,
    /// An approval that was not used for this long is not used any more.
    pub valid_for: Duration,
    /// The settings by which approvals are judged today.
    pub judged_by: Fingerprint,
}

/// Why an approval is judged again.
const OTHER_SETTINGS: &str = "it was judged by other settings than this replica's; it is judged again as soon as Jira shows the ticket";
/// Why one is that was judged before it was noted by which settings.
const EARLIER_VERSION: &str =
    "an earlier version of the bridge judged it; it is judged again as soon as Jira shows the ticket";

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
            // An earlier version judged it, which did not ask what the statuses were called.
            View::Approved { .. } if self.statuses.is_none() => {
                Verdict::Closed(Closed::Stale { ticket, seen })
            }
            View::Approved { decision, .. } if self.judged_by != Some(trust.judged_by) => {
                let why = if self.judged_by.is_some() { OTHER_SETTINGS } else { EARLIER_VERSION };
                Verdict::Closed(Closed::Unjudged { ticket, decision, why })
            }
            // Also where it seems to be seen in the future: a clock that was set back makes nothing hold longer.
            View::Approved { .. } if now.apart(seen) > trust.trust_for => {
                Verdict::Closed(Closed::Stale { ticket, seen })
            }
            View::Approved { decision, .. }
                if self.used.is_none() && age(decision, seen, now) > trust.valid_for =>
            {
                Verdict::Closed(Closed::Expired { ticket, decision })
            }
            View::Approved { decision, .. } => Verdict::Open { ticket, decision },
        }
    }
}

/// How old a decision is that was last seen at `seen`. After a clock was set back, older rather than younger than it is.
fn age(decision: &Decision, seen: Millis, now: Millis) -> Duration {
    if now < seen { seen.since(decision.since) + now.apart(seen) } else { now.since(decision.since) }
}
