//! PURE: what can happen to a canary.

use std::{collections::BTreeMap, time::Duration};

use super::{
    canary::Denials,
    limits::Budget,
    message::{Message, Report},
};
use crate::{
    gate::{GateId, GateName, IssueSnapshot, Pace, Ticket, Validity},
    millis::Millis,
    policy::{Author, Statuses},
};

/// The settings that the course of a rollout depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an approval proves something.
    pub trust: Validity,
    /// After this much silence an opened gate is not believed to be of the same rollout.
    pub idle_after: Duration,
    /// After this much silence a rollout has ended.
    pub abandon_after: Duration,
    /// How many tickets may be opened.
    pub budget: Budget,
}

/// Something that happened to a canary.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Flagger asks at a gate.
    Asked {
        /// Which gate.
        gate: &'a GateName,
        /// What the question says.
        message: &'a Message,
        /// The hook's own metadata, for the ticket if one is to be opened.
        metadata: &'a BTreeMap<String, String>,
        /// The id of a gate that may begin now.
        fresh: GateId,
        /// How long nothing was heard of the canary before this.
        silent_for: Duration,
        /// Who may not approve: `approval.deny`, rendered.
        deny: &'a [String],
        /// Those of them that the question's own words made: they hold for all gates of the rollout.
        denials: &'a [String],
        /// How often Flagger asked at this gate while it was closed.
        pace: Pace,
    },
    /// Flagger asks whether to roll back.
    RollbackAsked {
        /// What the question says.
        message: &'a Message,
        /// As above.
        silent_for: Duration,
    },
    /// Flagger reports.
    Reported {
        /// Through which hook.
        report: Report,
        /// What it says.
        message: &'a Message,
        /// Flagger's own words about what happened; words from outside.
        words: Option<&'a str>,
        /// As above.
        silent_for: Duration,
    },
    /// The ticket of a gate was opened.
    Opened {
        /// Which gate.
        gate: &'a GateId,
        /// Its ticket.
        ticket: Ticket,
        /// The statuses that bear the configured names, if that is known.
        statuses: Option<Statuses>,
    },
    /// An attempt to open the ticket of a gate failed.
    NotOpened {
        /// Which gate.
        gate: &'a GateId,
        /// What is in the way.
        why: String,
    },
    /// The ticket of a gate was looked at.
    Seen {
        /// Which gate.
        gate: &'a GateId,
        /// What Jira showed.
        sighting: &'a IssueSnapshot,
        /// What statuses mean there.
        statuses: &'a Statuses,
        /// Whether the move counts that decided; of no matter if none did.
        author: &'a Author,
        /// Who was ruled out when that was judged.
        denials: &'a Denials,
        /// When Jira answered, by our clock; the event's own time is when it was asked.
        arrived: Millis,
    },
    /// Nothing happened for a while.
    TimePassed {
        /// How long nothing was heard.
        silent_for: Duration,
    },
}
