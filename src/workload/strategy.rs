//! PURE: how Flagger would roll out, in a sentence.

use serde_json::Value;

use super::json::items;
use crate::text::one_line;

/// The longest name of a metric, in characters.
const LONGEST_METRIC: usize = 60;
/// More metrics or steps than this are counted, not named.
const MOST_NAMED: usize = 10;
/// Flagger's default interval, and its shortest one, in seconds.
const DEFAULT_INTERVAL: f64 = 60.0;
const SHORTEST_INTERVAL: f64 = 10.0;
/// How often Flagger checks with the provider `kubernetes`, which cannot shift traffic, if the Canary does not say.
const KUBERNETES_ITERATIONS: u64 = 10;

/// The sentence for a Canary. `None` if it has no `spec`.
pub(super) fn strategy(canary: &Value) -> Option<String> {
    let spec = &canary["spec"];
    if !spec.is_object() {
        return None;
    }
    let Some(analysis) = analysis(spec) else {
        return Some("No analysis: Flagger promotes at once.".to_owned());
    };
    let course = course(analysis, is_kubernetes(spec));
    let threshold = threshold(analysis);
    let checks = if threshold == 1 { "check" } else { "checks" };
    let metrics: Vec<String> = items(&analysis["metrics"])
        .iter()
        .filter_map(|metric| Some(one_line(metric["name"].as_str()?, LONGEST_METRIC)))
        .collect();
    let metrics = match &*metrics {
        [] => "no metrics".to_owned(),
        [metric] => format!("metric {metric}"),
        metrics => format!("metrics {}", listed(metrics)),
    };
    Some(format!("{course}; rolled back after {threshold} failed {checks}; {metrics}."))
}

/// How Flagger decides about a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After so many failed checks it rolls back.
    pub failed_checks: u64,
    /// The share of the traffic, in percent, from which on it promotes. `None`: it does not shift traffic by weight.
    pub weight: Option<u64>,
}

/// The limits of a Canary. `None` if Flagger promotes without an analysis.
#[must_use]
pub fn limits(canary: &Value) -> Option<Limits> {
    let spec = &canary["spec"];
    let analysis = analysis(spec)?;
    let has_steps = number(&analysis["stepWeight"]).is_some() || !items(&analysis["stepWeights"]).is_empty();
    let counts_checks = number(&analysis["iterations"]).is_some() || is_kubernetes(spec);
    let weight =
        (has_steps && !counts_checks).then(|| last_weight(analysis, &step_weights(analysis)).min(100));
    Some(Limits { failed_checks: threshold(analysis), weight })
}

/// The analysis of a Canary's `spec`, unless there is none.
pub(super) fn analysis(spec: &Value) -> Option<&Value> {
    let analysis = if spec["analysis"].is_object() { &spec["analysis"] } else { &spec["canaryAnalysis"] };
    (analysis.is_object() && spec["skipAnalysis"].as_bool() != Some(true)).then_some(analysis)
}

pub(super) fn is_kubernetes(spec: &Value) -> bool {
    spec["provider"].as_str() == Some("kubernetes")
}

fn threshold(analysis: &Value) -> u64 {
    number(&analysis["threshold"]).unwrap_or(1)
}

/// How often the new version is checked, if Flagger counts checks instead of raising its share of the traffic.
pub(super) fn iterations(analysis: &Value, is_kubernetes: bool) -> Option<u64> {
    number(&analysis["iterations"]).or(is_kubernetes.then_some(KUBERNETES_ITERATIONS))
}

pub(super) fn step_weights(analysis: &Value) -> Vec<u64> {
    let weights = items(&analysis["stepWeights"]).iter().filter_map(Value::as_u64);
    weights.map(|weight| weight.min(100)).collect()
}

pub(super) fn last_weight(analysis: &Value, steps: &[u64]) -> u64 {
    steps.last().copied().or(number(&analysis["maxWeight"])).unwrap_or(100)
}

/// How the new version is tried, and how often that is checked.
fn course(analysis: &Value, is_kubernetes: bool) -> String {
    let every = every(analysis["interval"].as_str());
    let is_mirrored = analysis["mirror"].as_bool() == Some(true) && !is_kubernetes;
    if let Some(iterations) = iterations(analysis, is_kubernetes) {
        let conditions = if is_kubernetes { 0 } else { items(&analysis["match"]).len() };
        let times =
            if iterations == 1 { "1 check".to_owned() } else { format!("{iterations} checks, {every}") };
        return match conditions {
            0 if is_mirrored => format!("Blue/green with mirrored traffic: {times}"),
            0 => format!("Blue/green: {times}"),
            1 => format!("A/B test of requests that match a condition: {times}"),
            _ => format!("A/B test of requests that match one of {conditions} conditions: {times}"),
        };
    }
    let weights = step_weights(analysis);
    let most = last_weight(analysis, &weights);
    let steps = match (number(&analysis["stepWeight"]), &*weights) {
        (Some(step), _) => format!("traffic in steps of {step} % up to {most} %"),
        (None, []) => "without steps of traffic".to_owned(),
        (None, weights) if weights.len() > MOST_NAMED => {
            format!("traffic in {} steps up to {most} %", weights.len())
        }
        (None, weights) => format!("traffic raised to {} %", listed(weights)),
    };
    let mirrored = if is_mirrored { "mirrored traffic, then " } else { "" };
    let promotion =
        number(&analysis["stepWeightPromotion"]).map(|step| format!(", promoted in steps of {step} %"));
    format!("Canary: {mirrored}{steps}, {every}{}", promotion.unwrap_or_default())
}

/// A number above zero: zero and absent mean the same to Flagger.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().filter(|number| *number > 0)
}

/// `a, b and c`
fn listed<T: ToString>(all: &[T]) -> String {
    let mut named: Vec<String> = all.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if let Some(more) = all.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    match &*named {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// An interval in seconds, read as Flagger does (`GetAnalysisInterval`).
pub(super) fn interval(interval: Option<&str>) -> u64 {
    let seconds = interval.and_then(seconds).unwrap_or(DEFAULT_INTERVAL).max(SHORTEST_INTERVAL);
    // The cast saturates.
    seconds.round() as u64
}

/// An interval in words.
fn every(given: Option<&str>) -> String {
    let seconds = interval(given);
    let (count, unit) = match seconds {
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    if count == 1 { format!("every {unit}") } else { format!("every {count} {unit}s") }
}

/// A duration as Go writes it, such as `1m30s`, in seconds.
fn seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let unit = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" | "μs" => 0.000_001,
            "ns" => 0.000_000_001,
            _ => return None,
        };
        total += count.parse::<f64>().ok()? * unit;
        rest = behind;
    }
    (!text.is_empty()).then_some(total)
}
