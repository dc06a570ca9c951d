//! PURE: where a rollout begins and ends, and what each message means for it.
//!
//! [`Canary::apply`] is the whole story: an [`Event`] and the time go in, a [`Change`] comes out. The table that says
//! which message begins, moves or ends a rollout is in `edge`; what else an event does is in `step`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    gate::{Gate, GateId, GateName, Stage},
    millis::Millis,
};

mod change;
mod edge;
mod event;
mod known;
mod step;
mod subject;
#[cfg(test)]
mod tests;

pub use change::{Change, Command, Fact, Note};
pub use event::{Budget, Event, Refusal, Room, Rules};
pub use known::{Called, Left, Newer};
pub use subject::Subject;

/// Flagger's resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CanaryId {
    /// The cluster, by the bridge's name for it.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for CanaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// Flagger's `checksum`: what is being rolled out. At confirm-rollout it names the outgoing revision instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision(pub String);

/// What people call the revision: `metadata.revision`, if the team sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label(pub String);

/// Flagger's word for how far a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The Canary is being set up: it was created, or created anew.
    Initializing,
    /// Nothing was rolled out yet.
    Initialized,
    /// Waiting for confirm-rollout.
    Waiting,
    /// Under way.
    Progressing,
    /// Waiting for confirm-promotion.
    WaitingPromotion,
    /// The new revision is being copied to the primary.
    Promoting,
    /// The last steps.
    Finalising,
    /// Done.
    Succeeded,
    /// Rolled back, or about to be.
    Failed,
    /// Any other word: it moves nothing.
    Other,
}

impl Phase {
    /// Those that mean something.
    const NAMED: [Self; 9] = [
        Self::Initializing,
        Self::Initialized,
        Self::Waiting,
        Self::Progressing,
        Self::WaitingPromotion,
        Self::Promoting,
        Self::Finalising,
        Self::Succeeded,
        Self::Failed,
    ];

    /// The phase of this name; any other word is [`Self::Other`].
    #[must_use]
    pub fn named(word: &str) -> Self {
        Self::NAMED.into_iter().find(|phase| phase.as_str() == word).unwrap_or(Self::Other)
    }

    /// Flagger's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Initialized => "Initialized",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Other => "other",
        }
    }
}

/// What every message of Flagger says of the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The phase it names. For events it is often that of the tick before.
    pub phase: Phase,
    /// The checksum; Flagger sends none before 1.34.
    pub checksum: Option<Revision>,
    /// The label, if the team sends one.
    pub label: Option<Label>,
}

/// Which report a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The post-rollout hook: the rollout is over.
    PostRollout,
    /// The event hook: something happened; the phase may be stale.
    Event,
}

/// One canary and the rollout it is in, if any: one row of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Which canary.
    pub id: CanaryId,
    /// The rollout that lives.
    pub rollout: Option<Rollout>,
    /// Gates of superseded rollouts whose tickets have no link to a successor yet.
    #[serde(default)]
    pub superseded: Vec<GateId>,
    /// When rollouts opened tickets during the last hour: what the budget counts.
    #[serde(default)]
    pub budget: Vec<Millis>,
    /// When a limit last kept a ticket from being opened, as far as recorded.
    #[serde(default)]
    pub refused: Option<Millis>,
    /// Whether any message ever brought a checksum: one without proves nothing from then on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sends_checksums: bool,
    /// A revision that started without a question, and has not ended yet as far as heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<Newer>,
    /// What the team called the revision that a ticket was last opened for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
    /// What was superseded during the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
}

/// One attempt to ship one revision of one canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// When it was first heard of.
    pub began: Millis,
    /// What people call its revision, once a message said so.
    pub label: Option<Label>,
    /// How far it is.
    pub course: Course,
    /// The gates that were asked about, in that order.
    pub gates: Vec<Gate>,
    /// Whether Flagger has asked whether to roll back: without that hook a rejection rolls nothing back.
    #[serde(default)]
    pub rollback_asked: bool,
    /// What Flagger reported, each message once.
    #[serde(default)]
    pub reports: Vec<String>,
    /// Whom questions of this rollout ruled out by their own words, each once: at no gate of it may they approve. One more
    /// than [`MOST_DENIALS`] stands for any number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// Whether the beginning of its wait was heard.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beginning: Beginning,
    /// confirm-rollout was asked in phase `Progressing` more than once, as a hook without a type is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks_untyped: bool,
    /// Gates that others took the place of, because Jira did not show their tickets for long. They are still watched: seen
    /// again, such a ticket is told, or taken back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replaced: Vec<Gate>,
}

/// Whether a field says what it says where it is missing: then it is not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether the first question of a wait at confirm-rollout was heard. Later ones say the same after a success and after a
/// failure, though their checksum means another revision then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// It was, or there is no such wait.
    #[default]
    Heard,
    /// The first that was heard said `Waiting`: which revision its checksum means is not known.
    Missed,
}

/// More different accounts are not ruled out one by one: then nobody may approve.
pub const MOST_DENIALS: usize = 32;

impl Rollout {
    /// Whether its questions ruled out so many that nobody may approve.
    #[must_use]
    pub const fn denies_all(&self) -> bool {
        self.denied.len() > MOST_DENIALS
    }

    /// The gates of which the tickets are watched: those that live, and those that others took the place of.
    pub fn watched(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().chain(&self.replaced)
    }
}

/// Whom the questions of a rollout rule out at one of its gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denials {
    /// These.
    pub entries: Vec<String>,
    /// So many that nobody may approve.
    pub all: bool,
}

/// How far a rollout is, as far as its messages show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// confirm-rollout was asked.
    Asked(Base),
    /// … and asked again in phase `Waiting`.
    Waiting(Base),
    /// confirm-rollout was answered open.
    Admitted(Base),
    /// The revision itself was heard of.
    Running(Run),
    /// Flagger reported `Failed`, but has not rolled back yet. A rejection still stands, for `rollback` alone.
    Failing(Run),
}

/// The checksum that came with confirm-rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The revision that is being replaced.
    Outgoing(Option<Revision>),
    /// It came in phase `Failed`: after a failed rollout Flagger already sends the new revision's.
    AfterFailure(Option<Revision>),
    /// It came in phase `Progressing`: the revision that starts, and no other, once this is answered open.
    Incoming(Option<Revision>),
}

impl Base {
    /// The checksum.
    #[must_use]
    pub const fn revision(&self) -> Option<&Revision> {
        match self {
            Self::Outgoing(revision) | Self::AfterFailure(revision) | Self::Incoming(revision) => {
                revision.as_ref()
            }
        }
    }
}

/// A rollout whose revision is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What came with confirm-rollout, if that was heard.
    pub base: Option<Base>,
    /// The revision; none if Flagger sends no checksums.
    pub revision: Option<Revision>,
    /// How far the phases heard went.
    pub leg: Leg,
}

/// How far the phases of a running rollout went. Within one rollout they never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// `WaitingPromotion` was not heard.
    Progressing,
    /// `WaitingPromotion` was heard.
    WaitingPromotion,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Flagger said so.
    Succeeded,
    /// Flagger said so.
    Failed,
    /// Another rollout took its place.
    Superseded,
    /// Nothing was heard of it for `abandon_after`.
    Abandoned,
    /// The Canary was deleted and created anew, which starts what is deployed without a question.
    Recreated,
}

/// What the end of a rollout means for one of its tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The rollout ended like this.
    Ended(End),
    /// The rollout succeeded although this gate was never opened.
    Bypassed,
    /// A newer revision was pushed while the rollout ran, and Flagger started that one without a question.
    Overtaken,
    /// The Canary was created anew although this gate was never opened: what waited runs now.
    Recreated,
}

impl End {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
            Self::Recreated => "recreated",
        }
    }
}

impl Rollout {
    /// The revision that is being rolled out, if a message has named it.
    #[must_use]
    pub const fn revision(&self) -> Option<&Revision> {
        match &self.course {
            Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => match base {
                Base::Outgoing(_) => None,
                Base::AfterFailure(revision) | Base::Incoming(revision) => revision.as_ref(),
            },
            Course::Running(run) | Course::Failing(run) => run.revision.as_ref(),
        }
    }

    /// The revision that is being replaced, where it is known that a checksum means that.
    #[must_use]
    pub fn replaces(&self) -> Option<&Revision> {
        let base = match &self.course {
            Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => base,
            Course::Running(run) | Course::Failing(run) => run.base.as_ref()?,
        };
        match (base, self.beginning) {
            (Base::Outgoing(revision), Beginning::Heard) => revision.as_ref(),
            (Base::Outgoing(_), Beginning::Missed) | (Base::AfterFailure(_) | Base::Incoming(_), _) => None,
        }
    }

    /// The checksum it is known by: that of its revision, or else of the one before.
    #[must_use]
    pub fn checksum(&self) -> Option<&Revision> {
        match &self.course {
            Course::Asked(base) | Course::Waiting(base) | Course::Admitted(base) => base.revision(),
            Course::Running(run) | Course::Failing(run) => {
                run.revision.as_ref().or(run.base.as_ref().and_then(Base::revision))
            }
        }
    }

    /// Whether a gate was opened for it before any message of it brought a checksum.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.checksum().is_none() && !self.gates.is_empty()
    }
}

impl Canary {
    /// A canary of which nothing was heard yet.
    #[must_use]
    pub const fn new(id: CanaryId) -> Self {
        Self {
            id,
            rollout: None,
            superseded: Vec::new(),
            budget: Vec::new(),
            refused: None,
            sends_checksums: false,
            unasked: None,
            called: None,
            left: Vec::new(),
        }
    }

    /// Gives back what room its lists have beyond their items: a list that is read or grown has room for four, and a
    /// gate is large.
    pub fn shrink(&mut self) {
        self.superseded.shrink_to_fit();
        self.budget.shrink_to_fit();
        self.left.shrink_to_fit();
        if let Some(rollout) = &mut self.rollout {
            rollout.gates.shrink_to_fit();
            rollout.reports.shrink_to_fit();
            rollout.denied.shrink_to_fit();
            rollout.replaced.shrink_to_fit();
            for gate in rollout.gates.iter_mut().chain(&mut rollout.replaced) {
                gate.deny.shrink_to_fit();
                gate.told.shrink_to_fit();
            }
        }
    }

    /// The gate of this name in the rollout that lives.
    #[must_use]
    pub fn gate(&self, name: &GateName) -> Option<&Gate> {
        self.rollout.as_ref()?.gates.iter().find(|gate| gate.name == *name)
    }

    /// The gate with this id, if it still lives or is watched after another took its place.
    #[must_use]
    pub fn gate_by_id(&self, id: &GateId) -> Option<&Gate> {
        self.rollout.as_ref()?.watched().find(|gate| gate.id == *id)
    }

    /// Whether another gate took the place of this one, because of its ticket.
    #[must_use]
    pub fn is_replaced(&self, id: &GateId) -> bool {
        self.rollout.iter().flat_map(|rollout| &rollout.replaced).any(|gate| gate.id == *id)
    }

    /// Who may not approve a gate of the rollout that lives: by its own questions, and by those at other gates.
    #[must_use]
    pub fn ruled_out(&self, gate: &Gate) -> Vec<String> {
        let others = self.rollout.iter().flat_map(|rollout| &rollout.denied);
        let others = others.filter(|entry| !gate.deny.contains(entry));
        gate.deny.iter().chain(others).cloned().collect()
    }

    /// By what a decision on the ticket of a gate is judged now.
    #[must_use]
    pub fn denials(&self, gate: &Gate) -> Denials {
        let all = self.rollout.as_ref().is_some_and(Rollout::denies_all);
        Denials { entries: self.ruled_out(gate), all }
    }

    /// Whether a question at this gate is about a rollout before the one that waits to be confirmed.
    #[must_use]
    pub fn is_late(&self, name: &GateName) -> bool {
        let waits = |rollout: &Rollout| matches!(rollout.course, Course::Asked(_) | Course::Waiting(_));
        name.stage != Stage::ConfirmRollout && self.rollout.as_ref().is_some_and(waits)
    }

    /// A rejection of the revision under way that rolls nothing back, because whoever rejected does not count.
    #[must_use]
    pub fn idle_rejection(&self) -> Option<&Gate> {
        let rollout = self.rollout.as_ref()?;
        rollout.gates.iter().find(|gate| gate.rejection().is_some() && gate.rollback().is_none())
    }

    /// The rejection for which a rollback is due: only while the rejected revision itself is under way.
    #[must_use]
    pub fn rolls_back(&self) -> Option<&Gate> {
        let rollout = self.rollout.as_ref()?;
        match rollout.course {
            Course::Asked(_) | Course::Waiting(_) | Course::Admitted(_) => None,
            Course::Running(_) | Course::Failing(_) => {
                rollout.gates.iter().find(|gate| gate.rollback().is_some())
            }
        }
    }
}
