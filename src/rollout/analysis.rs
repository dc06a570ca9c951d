//! PURE: how far Flagger's analysis of a new version is, as the Canary says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::Phase;
use crate::{
    gate::Share,
    workload::{self, Limits},
};

/// How far the analysis of a new version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// The share of the traffic that goes to the new version, in percent. `None`: it is not known, or Flagger does not
    /// shift traffic by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// How many checks have failed.
    pub failed_checks: u64,
    /// After so many Flagger rolls back.
    pub threshold: u64,
}

impl Analysis {
    /// The same with the share of the traffic that is known for a step of traffic: a watch may be late.
    pub(super) fn at(self, share: Option<Share>) -> Self {
        let before = share.and_then(|share| share.before);
        Self { weight: before.or(self.weight), ..self }
    }
}

/// The analysis that a Canary showed, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAnalysis {
    /// The Canary's uid.
    uid: String,
    /// `status.lastAppliedSpec`: the revision, in Flagger's own words.
    revision: String,
    /// How far it was.
    pub analysis: Analysis,
}

impl SeenAnalysis {
    /// What a Canary shows; `before` is what it showed last. `None` if no new version is being analysed.
    ///
    /// `status.canaryWeight` reads 0 as soon as the promotion waits, although the traffic stays where it was.
    #[must_use]
    pub fn of(canary: &Value, before: Option<&Self>) -> Option<Self> {
        let status = &canary["status"];
        let phase = Phase::named(status["phase"].as_str()?);
        let is_shifting = match phase {
            Phase::Progressing => true,
            Phase::WaitingPromotion | Phase::Promoting => false,
            Phase::Initializing
            | Phase::Initialized
            | Phase::Waiting
            | Phase::Finalising
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Other => return None,
        };
        let uid = canary["metadata"]["uid"].as_str()?.to_owned();
        let revision = status["lastAppliedSpec"].as_str().unwrap_or_default().to_owned();
        let Limits { failed_checks: threshold, weight: last } = workload::limits(canary)?;
        let read = status["canaryWeight"].as_u64().unwrap_or(0);
        let read = u8::try_from(read.min(100)).ok();
        let weight = last.and_then(|last| {
            if is_shifting || read != Some(0) {
                return read;
            }
            let before = before.filter(|before| before.uid == uid && before.revision == revision)?;
            // Flagger promotes from this weight on. With less, a step was not seen.
            before.analysis.weight.filter(|weight| u64::from(*weight) >= last)
        });
        let failed_checks = status["failedChecks"].as_u64().unwrap_or(0);
        Some(Self { uid, revision, analysis: Analysis { weight, failed_checks, threshold } })
    }
}

/// The step of traffic that a Canary is about to take: what it has now, and what it gets next.
#[must_use]
pub fn next_share(canary: &Value) -> Share {
    let is_shifting = canary["status"]["phase"].as_str().map(Phase::named) == Some(Phase::Progressing);
    let seen = SeenAnalysis::of(canary, None).filter(|_| is_shifting);
    let Some(before) = seen.and_then(|seen| seen.analysis.weight) else { return Share::default() };
    let steps = workload::shares(canary).unwrap_or_default();
    let after =
        steps.iter().find(|step| **step > u64::from(before)).and_then(|step| u8::try_from(*step).ok());
    Share { before: Some(before), after, is_last: after.is_none() && !steps.is_empty() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canary(phase: &str, weight: u64, failed: u64) -> Value {
        json!({
            "metadata": { "uid": "u" },
            "spec": { "analysis": { "stepWeight": 10, "maxWeight": 50, "threshold": 5 } },
            "status": {
                "phase": phase, "canaryWeight": weight, "failedChecks": failed, "lastAppliedSpec": "549d77d565",
            },
        })
    }

    /// What is seen of these Canaries, one after the other.
    fn seen(canaries: &[Value]) -> Vec<Option<(Option<u8>, u64)>> {
        let mut before: Option<SeenAnalysis> = None;
        let mut all = Vec::new();
        for canary in canaries {
            before = SeenAnalysis::of(canary, before.as_ref());
            all.push(before.as_ref().map(|seen| (seen.analysis.weight, seen.analysis.failed_checks)));
        }
        all
    }

    fn with(canary: Value, pointer: &str, value: Value) -> Value {
        let mut canary = canary;
        *canary.pointer_mut(pointer).unwrap() = value;
        canary
    }

    #[test]
    fn the_weight_stays_while_the_promotion_waits() {
        let course = [
            canary("Initialized", 0, 0),
            canary("Waiting", 0, 0),
            canary("Progressing", 0, 0),
            canary("Progressing", 40, 1),
            canary("Progressing", 50, 2),
            canary("WaitingPromotion", 0, 2),
            canary("WaitingPromotion", 0, 2),
            canary("Promoting", 0, 2),
            canary("Finalising", 0, 0),
            canary("Succeeded", 0, 0),
        ];
        let at = |weight, failed| Some((Some(weight), failed));
        let waits = at(50, 2);
        assert_eq!(
            seen(&course),
            [None, None, at(0, 0), at(40, 1), at(50, 2), waits, waits, waits, None, None]
        );
    }

    #[test]
    fn another_weight_than_the_last_one_is_not_claimed() {
        let waits = canary("WaitingPromotion", 0, 0);
        let last = |canaries: &[Value]| seen(canaries).pop().flatten().unwrap().0;
        assert_eq!(last(std::slice::from_ref(&waits)), None, "nothing was seen before");
        assert_eq!(last(&[canary("Progressing", 30, 0), waits.clone()]), None, "two steps were not seen");
        let at_most = canary("Progressing", 50, 0);
        assert_eq!(last(&[at_most.clone(), waits.clone()]), Some(50));
        let other = with(waits.clone(), "/status/lastAppliedSpec", json!("other"));
        assert_eq!(last(&[at_most.clone(), other]), None, "another revision");
        let other = with(waits, "/metadata/uid", json!("other"));
        assert_eq!(last(&[at_most, other]), None, "created again");
    }

    #[test]
    fn the_next_step_of_traffic() {
        let share = |before, after, is_last| Share { before, after, is_last };
        for (weight, after) in [(0, 10), (10, 20), (40, 50)] {
            let next = next_share(&canary("Progressing", weight, 0));
            assert_eq!(next, share(u8::try_from(weight).ok(), Some(after), false));
        }
        assert_eq!(next_share(&canary("Progressing", 50, 0)), share(Some(50), None, true));
        for phase in ["Waiting", "WaitingPromotion", "Promoting", "Succeeded"] {
            assert_eq!(next_share(&canary(phase, 50, 0)), Share::default(), "{phase}");
        }
        let iterations = with(canary("Progressing", 0, 0), "/spec/analysis", json!({ "iterations": 3 }));
        assert_eq!(next_share(&iterations), Share::default());
    }

    #[test]
    fn without_weights_only_checks_are_counted() {
        let analysis = |analysis: Value| {
            let canary = with(canary("Progressing", 0, 1), "/spec/analysis", analysis);
            SeenAnalysis::of(&canary, None).map(|seen| seen.analysis)
        };
        let blue_green = json!({ "iterations": 10, "stepWeight": 10 });
        assert_eq!(analysis(blue_green), Some(Analysis { weight: None, failed_checks: 1, threshold: 1 }));
        let steps = json!({ "stepWeights": [1, 10, 80], "threshold": 3 });
        assert_eq!(analysis(steps), Some(Analysis { weight: Some(0), failed_checks: 1, threshold: 3 }));
        assert_eq!(analysis(json!(null)), None);
        let skips = json!({ "analysis": { "stepWeight": 10 }, "skipAnalysis": true });
        assert_eq!(SeenAnalysis::of(&with(canary("Progressing", 0, 0), "/spec", skips), None), None);
    }

    /// Whatever the API server holds, nothing fails.
    #[test]
    fn odd_canaries() {
        assert_eq!(SeenAnalysis::of(&json!(null), None), None);
        assert_eq!(SeenAnalysis::of(&json!({ "status": { "phase": 7 } }), None), None);
        let odd = with(canary("Progressing", 0, 0), "/status/canaryWeight", json!(7_000_000));
        let odd = with(odd, "/status/failedChecks", json!(-1));
        let seen = SeenAnalysis::of(&odd, None).unwrap();
        assert_eq!(seen.analysis, Analysis { weight: Some(100), failed_checks: 0, threshold: 5 });
    }
}
