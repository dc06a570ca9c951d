//! PURE: what can happen to a canary.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug, Formatter},
    time::Duration,
};

use super::{
    analysis::Analysis,
    canary::{Denials, Rollout},
    canary_status::CanaryStatus,
    limits::Budget,
    message::{Message, Report},
    observed::Observed,
    promotion::Promotion,
    step_reading::StepReading,
};
use crate::{
    gate::{Gate, GateId, GateName, IssueSnapshot, Lifted, OtherAuthors, Pace, ShownRules, Ticket, Validity},
    millis::Millis,
    policy::{Author, OnBypass, Statuses, TimeLimits},
};

/// If a decided ticket cannot be judged for this long, a comment says so. What lasts shorter is over before anybody
/// could read it.
pub const TOLD_AFTER: Duration = Duration::from_mins(2);

/// The settings that decide how a rollout goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a reading and an approval are valid.
    pub validity: Validity,
    /// After this much silence, a question at an opened gate is about another rollout.
    pub idle_after: Duration,
    /// After this much silence a rollout has ended.
    pub abandon_after: Duration,
    /// How many tickets may be opened.
    pub budget: Budget,
    /// Whether an approval of the start is for what its ticket shows.
    pub binds: bool,
}

impl Rules {
    /// The same for a question at this gate, with what the API server proves.
    pub(super) fn proven_by(&self, observed: &Observed, gate: &Gate) -> Self {
        let target = observed.proof(gate.name.stage, Some(gate));
        Self { validity: Validity { target, ..self.validity }, ..*self }
    }
}

impl Event<'_> {
    /// Whether it is not Flagger's: then it breaks no silence.
    #[must_use]
    pub const fn is_of_canary(&self) -> bool {
        match self {
            Self::CanaryRead { .. } | Self::Promoted { .. } => true,
            Self::Asked { .. }
            | Self::RollbackAsked { .. }
            | Self::Reported { .. }
            | Self::Opened { .. }
            | Self::NotOpened { .. }
            | Self::Seen { .. }
            | Self::NotJudged { .. }
            | Self::Waited { .. }
            | Self::TimePassed { .. } => false,
        }
    }

    /// What the API server showed when a message arrived.
    #[must_use]
    pub const fn observed(&self) -> &Observed {
        match self {
            Self::Asked { observed, .. }
            | Self::RollbackAsked { observed, .. }
            | Self::Reported { observed, .. } => observed,
            Self::CanaryRead { observed, .. } => observed,
            Self::Opened { .. }
            | Self::NotOpened { .. }
            | Self::Seen { .. }
            | Self::NotJudged { .. }
            | Self::Promoted { .. }
            | Self::Waited { .. }
            | Self::TimePassed { .. } => &Observed::Unread,
        }
    }
}

/// Whether the windows and freezes of a gate let it open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoursNow {
    /// They do, or it has none.
    Open,
    /// They would not, but for what its ticket has.
    Lifted(Lifted),
    /// They do not.
    Closed {
        /// Why, and when they do next.
        why: String,
    },
}

/// The same for each gate: its ticket may say when it opens, and what lifts a freeze.
#[derive(Clone, Copy)]
pub struct HoursOf<'a>(pub &'a (dyn Fn(&Gate) -> HoursNow + Sync));

impl HoursOf<'static> {
    /// Every gate may open at any time.
    pub const OPEN: Self = Self(&|_| HoursNow::Open);
}

impl Debug for HoursOf<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("HoursOf")
    }
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
        /// The id for a new gate, if one begins now.
        new_id: GateId,
        /// The time since the last message about the canary.
        silent_for: Duration,
        /// What the question sends as the key of its ticket, if the configuration asks for that: external text.
        names: Option<&'a str>,
        /// Who may not approve: `approval.deny`, rendered.
        deny: &'a [String],
        /// Those of them that come from the question's metadata: they hold for all gates of the rollout.
        denials: &'a [String],
        /// How often Flagger asked at this gate while it was closed.
        pace: Pace,
        /// What the API server shows.
        observed: Observed,
        /// How far the analysis is, where the bridge reads that.
        analysis: Option<Analysis>,
        /// Whether the windows and freezes let a gate open now: of which gate, is found out only while this is applied.
        hours: HoursOf<'a>,
        /// What is known of the step of traffic that it is about, if each has a gate of its own.
        step: Option<StepReading>,
    },
    /// Flagger asks whether to roll back.
    RollbackAsked {
        /// What the question says.
        message: &'a Message,
        /// As above.
        silent_for: Duration,
        /// As above.
        observed: Observed,
    },
    /// Flagger reports.
    Reported {
        /// Through which hook.
        report: Report,
        /// What it says.
        message: &'a Message,
        /// Flagger's description of what happened: external text.
        event_message: Option<&'a str>,
        /// As above.
        silent_for: Duration,
        /// As above.
        observed: Observed,
    },
    /// The ticket of a gate was opened.
    Opened {
        /// Which gate.
        gate: &'a GateId,
        /// Its ticket.
        ticket: Ticket,
        /// The statuses that have the configured names, if known.
        statuses: Option<Statuses>,
        /// The settings that it shows, if they are not those of the first question.
        shows: Option<ShownRules>,
    },
    /// An attempt to open the ticket of a gate failed.
    NotOpened {
        /// Which gate.
        gate: &'a GateId,
        /// Why.
        why: String,
    },
    /// The ticket of a gate was read.
    Seen {
        /// Which gate.
        gate: &'a GateId,
        /// What Jira showed.
        snapshot: &'a IssueSnapshot,
        /// What statuses mean there.
        statuses: &'a Statuses,
        /// Whether the deciding move counts; ignored if no move decided.
        author: &'a Author,
        /// Whether the moves count that made the steps before it; empty if an approval has only one step.
        authors: &'a OtherAuthors,
        /// The denials that this was judged by.
        denials: &'a Denials,
        /// When Jira answered, by the bridge's clock; the event's own time is when Jira was asked.
        arrived: Millis,
    },
    /// The ticket of a gate could not be judged for some time, although it may be decided.
    NotJudged {
        /// Which gate.
        gate: &'a GateId,
        /// Why not.
        why: &'a str,
        /// The changelog entry of its newest move.
        entry: &'a str,
    },
    /// The Canary was read from the API server.
    CanaryRead {
        /// The rollout before that.
        was: &'a Rollout,
        /// What it says; `None` if there is no such Canary.
        status: Option<&'a CanaryStatus>,
        /// As above.
        observed: &'a Observed,
    },
    /// The Canary shows another promotion than before.
    Promoted {
        /// The promotion.
        promotion: &'a Promotion,
        /// The one before, if it is not stored with the canary.
        before: Option<&'a Promotion>,
        /// The id for a ticket about it.
        new_id: GateId,
        /// What to do if no gate let it pass.
        on_bypass: OnBypass,
    },
    /// The ticket of a gate was read, and its limits may have passed.
    Waited {
        /// Which gate.
        gate: &'a GateId,
        /// Its limits.
        limits: &'a TimeLimits,
        /// When Jira was asked for the ticket, by the bridge's clock.
        read: Millis,
    },
    /// Time passed without a message.
    TimePassed {
        /// The time since the last message.
        silent_for: Duration,
    },
}
