//! PURE: steps of traffic, each with a gate of its own.

use serde::{Deserialize, Serialize};

use super::name::GateName;

/// The shares of the traffic of the new version, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Before the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u8>,
    /// After it. None: it is not known, or no step is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u8>,
    /// Whether it is known that no step is left: Flagger asks once more then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_last: bool,
}

impl Share {
    /// Whether this is certainly another step than `other`.
    #[must_use]
    pub fn is_another(self, other: Self) -> bool {
        self.before.zip(other.before).is_some_and(|(here, there)| here != there)
    }
}

/// A gate for one step of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficStep {
    /// What its ticket shows.
    pub share: Share,
    /// Whether Flagger may have taken it: its approval opens nothing any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

impl GateName {
    /// The gate of this step, counted from 1 in each rollout.
    #[must_use]
    pub fn at_step(&self, number: u32) -> Self {
        Self { step: Some(number), ..self.clone() }
    }

    /// Whether both are of one stage and one approver: they differ in the step at most.
    #[must_use]
    pub fn is_sibling(&self, other: &Self) -> bool {
        (self.stage, &self.approver) == (other.stage, &other.approver)
    }
}
