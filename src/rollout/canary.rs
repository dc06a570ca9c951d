//! PURE: a canary and the rollout it is in, as they are stored.

use serde::{Deserialize, Serialize};

use super::{
    canary_status::CanarySeen,
    failure::Rollback,
    message::{CanaryId, Label, Message, Revision},
    progress::{Base, Progress, WaitStart},
    promotion::Promotion,
    revisions::{RevisionLabel, SupersededRevision, UnaskedRevision},
};
use crate::{
    gate::{Gate, GateId, GateName, Stage},
    millis::Millis,
};

/// One canary and the rollout it is in, if any: one row of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which canary.
    pub id: CanaryId,
    /// The current rollout.
    pub rollout: Option<Rollout>,
    /// Gates of superseded rollouts, if their tickets have no link to a successor yet.
    #[serde(default)]
    pub superseded: Vec<GateId>,
    /// When rollouts opened tickets during the last hour: what the budget counts.
    #[serde(rename = "budget", default)]
    pub tickets_opened: Vec<Millis>,
    /// When a limit last prevented a ticket, noted at most once an hour.
    #[serde(rename = "refused", default)]
    pub ticket_refused_at: Option<Millis>,
    /// Whether any message ever had a checksum: from then on, one without a checksum proves nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sends_checksums: bool,
    /// A revision that started without a question and, as far as known, has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<UnaskedRevision>,
    /// The team's label for the revision that a ticket was last opened for.
    #[serde(rename = "called", default, skip_serializing_if = "Option::is_none")]
    pub last_label: Option<RevisionLabel>,
    /// What the Canary promoted last, where the bridge reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
    /// Flagger's hashes of versions whose promotion is on record, and was not seen yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered_promotions: Vec<String>,
    /// The revisions that were superseded during the last hour.
    #[serde(rename = "left", default, skip_serializing_if = "Vec::is_empty")]
    pub superseded_revisions: Vec<SupersededRevision>,
    /// How many rollouts opened tickets since the row exists, so that no two tickets have the same summary. Rows are never deleted;
    /// in a new database the count starts again.
    #[serde(rename = "rollouts", default, skip_serializing_if = "is_default")]
    pub rollouts_numbered: u64,
}

/// One attempt to ship one revision of one canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// When its first message arrived.
    #[serde(rename = "began")]
    pub began_at: Millis,
    /// The team's label for its revision, once a message had one.
    pub label: Option<Label>,
    /// How far it is.
    #[serde(rename = "course")]
    pub progress: Progress,
    /// The gates that were asked about, in that order.
    pub gates: Vec<Gate>,
    /// Whether Flagger has asked whether to roll back: without that hook a rejection rolls nothing back.
    #[serde(default)]
    pub rollback_asked: bool,
    /// What Flagger reported, each message once.
    #[serde(default)]
    pub reports: Vec<String>,
    /// Accounts that questions of this rollout ruled out by their metadata, each once: they may approve none of its
    /// gates. One more than [`MOST_DENIALS`] means any number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// Whether the first question of its wait was received.
    #[serde(rename = "beginning", default, skip_serializing_if = "is_default")]
    pub wait_start: WaitStart,
    /// confirm-rollout was asked in phase `Progressing` more than once, as a hook without a type is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks_untyped: bool,
    /// Gates that were replaced because Jira did not show their tickets for long. These tickets are still read: if one
    /// is seen again, the bridge comments on it, or uses it again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replaced: Vec<Gate>,
    /// Whether what started is what was approved at confirm-rollout.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: Start,
    /// What its Canary showed since it began, where the bridge reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_seen: Option<CanarySeen>,
    /// Its number among the rollouts of its canary that opened tickets, from 1. None: it opened none, or an earlier version
    /// opened them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The last time Flagger was told to roll back. None: it was not, or an earlier version told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<Rollback>,
}

/// Whether what started is what was approved at confirm-rollout, where an approval is for what its ticket shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// It is, or there is nothing to compare.
    #[default]
    Settled,
    /// confirm-rollout was answered open, and what started has not been compared with what its ticket shows.
    Unverified,
    /// It is not: Flagger started it although another version was approved. The rollout's tickets say so.
    Unapproved,
}

/// Whether a field has its default: then it is not written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How many different accounts a rollout rules out one by one. Beyond that, no approval counts.
pub const MOST_DENIALS: usize = 32;

impl Rollout {
    /// A rollout without gates.
    #[must_use]
    pub const fn new(began_at: Millis, label: Option<Label>, progress: Progress) -> Self {
        Self {
            began_at,
            label,
            progress,
            gates: Vec::new(),
            rollback_asked: false,
            reports: Vec::new(),
            denied: Vec::new(),
            wait_start: WaitStart::Observed,
            looks_untyped: false,
            replaced: Vec::new(),
            start: Start::Settled,
            canary_seen: None,
            number: None,
            rolled_back: None,
        }
    }

    /// Whether its questions ruled out so many accounts that no approval counts.
    #[must_use]
    pub const fn has_too_many_denials(&self) -> bool {
        self.denied.len() > MOST_DENIALS
    }

    /// The gates with tickets that are read: the current ones, and the replaced ones.
    pub fn watched(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().chain(&self.replaced)
    }

    /// The revision that is being rolled out, if a message has named it.
    #[must_use]
    pub const fn revision(&self) -> Option<&Revision> {
        match &self.progress {
            Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => match base {
                Base::Outgoing(_) => None,
                Base::AfterFailure(revision) | Base::Incoming(revision) => revision.as_ref(),
            },
            Progress::Running(run) | Progress::Failing(run) => run.revision.as_ref(),
        }
    }

    /// The revision that is being replaced, if it is certain that the checksum means that one.
    #[must_use]
    pub fn replaces(&self) -> Option<&Revision> {
        match (self.progress.base()?, self.wait_start) {
            (Base::Outgoing(revision), WaitStart::Observed) => revision.as_ref(),
            (Base::Outgoing(_), WaitStart::Missed) | (Base::AfterFailure(_) | Base::Incoming(_), _) => None,
        }
    }

    /// The checksum that identifies it: its revision's, or else the previous revision's.
    #[must_use]
    pub fn checksum(&self) -> Option<&Revision> {
        match &self.progress {
            Progress::Asked(base) | Progress::Waiting(base) | Progress::Admitted(base) => base.revision(),
            Progress::Running(run) | Progress::Failing(run) => {
                run.revision.as_ref().or(run.base.as_ref().and_then(Base::revision))
            }
        }
    }

    /// The key of the ticket of its last gate that has one.
    #[must_use]
    pub fn live_ticket_key(&self) -> Option<String> {
        self.gates.iter().rev().find_map(Gate::ticket).map(|ticket| ticket.key.clone())
    }

    /// Whether it has gates, and no message about it had a checksum.
    #[must_use]
    pub fn lacks_checksum(&self) -> bool {
        self.checksum().is_none() && !self.gates.is_empty()
    }
}

/// The accounts that the questions of a rollout rule out at one of its gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denials {
    /// The entries.
    pub entries: Vec<String>,
    /// Whether they are so many that no approval counts.
    pub too_many: bool,
}

impl Canary {
    /// A canary without any message yet.
    #[must_use]
    pub const fn new(id: CanaryId) -> Self {
        Self {
            id,
            rollout: None,
            superseded: Vec::new(),
            tickets_opened: Vec::new(),
            ticket_refused_at: None,
            sends_checksums: false,
            unasked: None,
            last_label: None,
            promotion: None,
            covered_promotions: Vec::new(),
            superseded_revisions: Vec::new(),
            rollouts_numbered: 0,
        }
    }

    /// Frees the unused capacity of its lists: a list that is read or grown has room for four items, and a gate is
    /// large.
    pub fn shrink(&mut self) {
        self.superseded.shrink_to_fit();
        self.tickets_opened.shrink_to_fit();
        self.superseded_revisions.shrink_to_fit();
        self.covered_promotions.shrink_to_fit();
        if let Some(rollout) = &mut self.rollout {
            rollout.gates.shrink_to_fit();
            rollout.reports.shrink_to_fit();
            rollout.denied.shrink_to_fit();
            rollout.replaced.shrink_to_fit();
            for gate in rollout.gates.iter_mut().chain(&mut rollout.replaced) {
                gate.deny.shrink_to_fit();
                gate.notified.shrink_to_fit();
            }
        }
    }

    /// The number of another rollout that opens a ticket.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.rollouts_numbered = self.rollouts_numbered.saturating_add(1);
        self.rollouts_numbered
    }

    /// The gate of this name in the current rollout.
    #[must_use]
    pub fn gate(&self, name: &GateName) -> Option<&Gate> {
        self.rollout.as_ref()?.gates.iter().find(|gate| gate.name == *name)
    }

    /// The gate with this id in the current rollout, even if it was replaced.
    #[must_use]
    pub fn gate_by_id(&self, id: &GateId) -> Option<&Gate> {
        self.rollout.as_ref()?.watched().find(|gate| gate.id == *id)
    }

    /// Whether this gate was replaced because of its ticket.
    #[must_use]
    pub fn is_replaced(&self, id: &GateId) -> bool {
        self.rollout.iter().flat_map(|rollout| &rollout.replaced).any(|gate| gate.id == *id)
    }

    /// The accounts that may not approve a gate of the current rollout: by its own questions, and by those at other
    /// gates.
    #[must_use]
    pub fn ruled_out(&self, gate: &Gate) -> Vec<String> {
        let others = self.rollout.iter().flat_map(|rollout| &rollout.denied);
        let others = others.filter(|entry| !gate.deny.contains(entry));
        gate.deny.iter().chain(others).cloned().collect()
    }

    /// The denials that a decision on the ticket of a gate is judged by now.
    #[must_use]
    pub fn denials(&self, gate: &Gate) -> Denials {
        let too_many = self.rollout.as_ref().is_some_and(Rollout::has_too_many_denials);
        Denials { entries: self.ruled_out(gate), too_many }
    }

    /// Whether a question at this gate is about an earlier rollout than the one that waits for confirm-rollout.
    #[must_use]
    pub fn is_late(&self, name: &GateName) -> bool {
        let waits = |rollout: &Rollout| matches!(rollout.progress, Progress::Asked(_) | Progress::Waiting(_));
        name.stage != Stage::ConfirmRollout && self.rollout.as_ref().is_some_and(waits)
    }

    /// A gate with a rejection that rolls nothing back.
    #[must_use]
    pub fn rejection_without_rollback(&self) -> Option<&Gate> {
        let rollout = self.rollout.as_ref()?;
        rollout.gates.iter().find(|gate| gate.rejection().is_some() && !gate.rolls_back())
    }

    /// The rejection for which a rollback is due: only while the rejected revision itself is under way.
    #[must_use]
    pub fn rolls_back(&self) -> Option<&Gate> {
        let rollout = self.rollout.as_ref()?;
        match rollout.progress {
            Progress::Asked(_) | Progress::Waiting(_) | Progress::Admitted(_) => None,
            Progress::Running(_) | Progress::Failing(_) => {
                rollout.gates.iter().find(|gate| gate.rolls_back())
            }
        }
    }

    /// Whether revisions of this canary alternate, as those of two clusters under one name do.
    #[must_use]
    pub fn alternates(&self, now: Millis) -> bool {
        SupersededRevision::alternate(&self.superseded_revisions, now)
    }

    /// Whether this question may be about another revision: it has no checksum, although earlier messages had one.
    #[must_use]
    pub const fn misses_checksum(&self, message: &Message) -> bool {
        self.sends_checksums && message.checksum.is_none()
    }
}
