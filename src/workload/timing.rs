//! PURE: how long a rollout takes after an approval.
//!
//! Flagger looks at a Canary once per interval, and does one step each time it looks. How many looks each strategy needs is counted
//! in recordings of Flagger 1.44 (`fixtures/flagger/traces`). The times are those of a rollout whose checks pass and whose pods are
//! ready when Flagger looks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    json::{is_default, items},
    strategy::{analysis, interval, is_kubernetes, iterations, last_weight, number, step_weights},
};

/// A rollout with more listed steps than this has no estimate: its steps are stored with each gate.
const MOST_STEPS: usize = 100;

/// How a Canary's rollout proceeds, and how often Flagger looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// In seconds.
    interval: u64,
    /// The steps.
    course: Course,
}

/// The steps of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Course {
    /// There is no analysis: Flagger promotes at once.
    AtOnce,
    /// The new version gets more traffic step by step.
    Weights {
        /// The shares of the traffic, in percent.
        steps: Vec<u64>,
        /// Whether a step with mirrored traffic comes before them.
        #[serde(default, skip_serializing_if = "is_default")]
        mirrored: bool,
        /// How many looks a promotion in steps takes. Otherwise it takes one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        promotion: Option<u64>,
    },
    /// Requests that match a condition go to the new version, for so many checks.
    Requests(u64),
    /// The new version is checked so many times, and then gets all traffic before it replaces the old one.
    BlueGreen(u64),
    /// The same, but traffic cannot be shifted, so that users get it when it replaces the old one.
    InPlace(u64),
}

/// The timing of a Canary's rollout. `None` if it has no `spec`, steps that end nowhere, or too many of them.
pub(super) fn timing(canary: &Value) -> Option<Timing> {
    let spec = &canary["spec"];
    if !spec.is_object() {
        return None;
    }
    let Some(analysis) = analysis(spec) else {
        // `GetAnalysisInterval` reads it from the analysis that is skipped.
        let skipped = if spec["analysis"].is_object() { &spec["analysis"] } else { &spec["canaryAnalysis"] };
        return Some(Timing { interval: interval(skipped["interval"].as_str()), course: Course::AtOnce });
    };
    let (interval, in_place) = (interval(analysis["interval"].as_str()), is_kubernetes(spec));
    let course = match iterations(analysis, in_place) {
        Some(checks) if in_place => Course::InPlace(checks),
        Some(checks) if !items(&analysis["match"]).is_empty() => Course::Requests(checks),
        Some(checks) => Course::BlueGreen(checks),
        None => weights(analysis)?,
    };
    Some(Timing { interval, course })
}

/// The shares of the traffic that the new version gets one after the other, in percent. `None`: traffic is not shifted by weight,
/// or not known.
#[must_use]
pub fn shares(canary: &Value) -> Option<Vec<u64>> {
    match timing(canary)?.course {
        Course::Weights { steps, .. } => Some(steps),
        Course::AtOnce | Course::Requests(_) | Course::BlueGreen(_) | Course::InPlace(_) => None,
    }
}

fn weights(analysis: &Value) -> Option<Course> {
    let listed = step_weights(analysis);
    if listed.len() > MOST_STEPS {
        return None;
    }
    let last = last_weight(analysis, &listed).min(100);
    let steps: Vec<u64> = match number(&analysis["stepWeight"]) {
        Some(step) => (1..=last.div_ceil(step)).map(|nth| (nth * step).min(100)).collect(),
        None => listed,
    };
    let last = *steps.last()?;
    let promotion = number(&analysis["stepWeightPromotion"]).map(|step| last.div_ceil(step));
    Some(Course::Weights { steps, mirrored: analysis["mirror"].as_bool() == Some(true), promotion })
}

impl Timing {
    /// How long until Flagger has asked again, at the latest, if it asks each time it looks.
    #[must_use]
    pub const fn next_look(&self) -> Duration {
        self.looks(1)
    }

    /// The same while a promotion waits: without steps of traffic Flagger then asks only every second time.
    #[must_use]
    pub const fn next_promotion_question(&self) -> Duration {
        self.looks(self.until_asked())
    }

    /// How long until all users get the new version, after an approval of the start.
    #[must_use]
    pub fn after_start(&self) -> Duration {
        self.looks(match &self.course {
            Course::AtOnce => 2,
            Course::Weights { steps, mirrored, .. } => {
                2 + count(steps.len()) + u64::from(*mirrored) + self.promotion()
            }
            Course::Requests(checks) | Course::InPlace(checks) => checks.saturating_add(3),
            Course::BlueGreen(checks) => checks.saturating_add(2),
        })
    }

    /// How long until all users get the new version, after an approval of more traffic. `weight` is its share of the traffic
    /// now, in percent. `None`: there are no steps of traffic.
    #[must_use]
    pub fn after_increase(&self, weight: u8) -> Option<Duration> {
        let Course::Weights { steps, .. } = &self.course else { return None };
        let left = steps.iter().filter(|step| **step > u64::from(weight)).count();
        Some(self.looks(1 + count(left) + self.promotion()))
    }

    /// How long until all users get the new version, after an approval of the promotion.
    #[must_use]
    pub fn after_promotion(&self) -> Duration {
        self.looks(match &self.course {
            Course::AtOnce | Course::Weights { .. } => 1 + self.promotion(),
            Course::Requests(_) | Course::InPlace(_) => 3,
            Course::BlueGreen(_) => 2,
        })
    }

    /// The next share of the traffic that the new version gets, in percent.
    #[must_use]
    pub fn next_step(&self, weight: u8) -> Option<u64> {
        let Course::Weights { steps, .. } = &self.course else { return None };
        steps.iter().copied().find(|step| *step > u64::from(weight))
    }

    /// Whether some users get the new version before the others do.
    #[must_use]
    pub const fn is_gradual(&self) -> bool {
        match self.course {
            Course::Weights { .. } | Course::Requests(_) => true,
            Course::AtOnce | Course::BlueGreen(_) | Course::InPlace(_) => false,
        }
    }

    /// Whether Flagger checks the new version before all users get it.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        !matches!(self.course, Course::AtOnce)
    }

    const fn until_asked(&self) -> u64 {
        match self.course {
            Course::AtOnce | Course::Weights { .. } => 1,
            Course::Requests(_) | Course::BlueGreen(_) | Course::InPlace(_) => 2,
        }
    }

    /// How many looks the promotion itself takes, where traffic is shifted by weight.
    const fn promotion(&self) -> u64 {
        match self.course {
            Course::Weights { promotion: Some(looks), .. } => looks,
            Course::Weights { promotion: None, .. }
            | Course::AtOnce
            | Course::Requests(_)
            | Course::BlueGreen(_)
            | Course::InPlace(_) => 1,
        }
    }

    const fn looks(&self, looks: u64) -> Duration {
        Duration::from_secs(self.interval.saturating_mul(looks))
    }
}

fn count(steps: usize) -> u64 {
    u64::try_from(steps).unwrap_or(u64::MAX)
}
