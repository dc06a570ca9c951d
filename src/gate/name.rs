//! PURE: the names of a gate: its stage, and the id that its ticket carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The prefix of the label on a gate's ticket.
const LABEL: &str = "fjb-";

/// A gate's id in the store and in Jira: 128 random bits in hexadecimal, never derived from anything, so that no old
/// ticket matches after a database was restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GateId(pub String);

impl GateId {
    /// The label that its ticket carries.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{LABEL}{self}")
    }

    /// The gate that this label belongs to, if it is such a label.
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
    /// The load tester's `/gate/check`, which Flagger calls during a rollout without saying which hook it is.
    Gate,
}

impl Stage {
    /// All stages, in the order of a rollout.
    pub const ALL: [Self; 4] =
        [Self::ConfirmRollout, Self::ConfirmTrafficIncrease, Self::ConfirmPromotion, Self::Gate];

    /// Flagger's name for it, as in the hook's type and in the bridge's paths.
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

/// Which gate of a rollout: the stage, and the name that distinguishes several approvers of one stage (`?gate=qa`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GateName {
    /// The stage Flagger asks at.
    pub stage: Stage,
    /// The value of `?gate=`, if there was one.
    pub approver: Option<String>,
    /// Which step of traffic of its rollout, counted from 1, if each has a gate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.approver {
            None => self.stage.fmt(f)?,
            Some(approver) => write!(f, "{} ({approver})", self.stage)?,
        }
        self.step.map_or(Ok(()), |step| write!(f, ", step {step}"))
    }
}
