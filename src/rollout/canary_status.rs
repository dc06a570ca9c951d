//! PURE: how far Flagger is, as the Canary itself says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{analysis::SeenAnalysis, failure::FailedChecks, message::Phase};

/// What the API server shows of a Canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryStatus {
    /// `metadata.uid`: another one if it was deleted and created again.
    pub uid: String,
    /// `status.phase`
    pub phase: Phase,
    /// `status.lastAppliedSpec`: Flagger's hash of the version that it handled last.
    pub applied: Option<String>,
    /// `status.lastPromotedSpec`: its hash of the version that it promoted last.
    pub promoted: Option<String>,
    /// `status.failedChecks`, if a version is being analysed and Flagger is about to roll it back because of them. Fewer are not
    /// worth a reading and a row each: the watch has them.
    pub failed_checks: Option<FailedChecks>,
}

impl CanaryStatus {
    /// Reads the object. `None` if it has no uid, as every stored object has.
    #[must_use]
    pub fn of(canary: &Value) -> Option<Self> {
        let uid = canary["metadata"]["uid"].as_str()?.to_owned();
        let phase = canary["status"]["phase"].as_str().map_or(Phase::Other, Phase::named);
        let hash = |name: &str| {
            let hash = canary["status"][name].as_str().filter(|hash| !hash.is_empty());
            hash.map(str::to_owned)
        };
        let (applied, promoted) = (hash("lastAppliedSpec"), hash("lastPromotedSpec"));
        let analysis = SeenAnalysis::of(canary, None).map(|seen| seen.analysis);
        let failed_checks = analysis
            .filter(|analysis| analysis.failed_checks > 0 && analysis.failed_checks >= analysis.threshold)
            .map(|analysis| FailedChecks { count: analysis.failed_checks, threshold: analysis.threshold });
        Some(Self { uid, phase, applied, promoted, failed_checks })
    }
}

/// What a Canary showed since a rollout began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanarySeen {
    /// Its uid.
    pub uid: String,
    /// Whether it was in a phase that is neither the end of a rollout nor before one: then a later end is this one's.
    pub under_way: bool,
    /// Flagger's hash of the version that started first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Whether Flagger has started another version since, without a question. If the first one comes back, its questions
    /// look the same, and are about another attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_ran: bool,
    /// How many checks of its analysis had failed when Flagger was about to roll back because of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_checks: Option<FailedChecks>,
}
