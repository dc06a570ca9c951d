//! PURE: whether a Canary has a hook that asks the bridge whether to roll back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::items;

/// The bridge's paths for that question.
const PATHS: [&str; 2] = ["/gate/rollback", "/rollback/check"];

/// Whether Flagger asks the bridge whether to roll back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackHook {
    /// It does.
    Asks,
    /// It asks nobody.
    Missing,
    /// It asks something else, or an earlier version of the bridge stored this.
    #[default]
    Unknown,
}

impl RollbackHook {
    pub(super) fn of(canary: &Value) -> Self {
        let spec = &canary["spec"];
        let analysis = if spec["analysis"].is_object() { &spec["analysis"] } else { &spec["canaryAnalysis"] };
        if !analysis.is_object() {
            return Self::Unknown;
        }
        let mut urls = items(&analysis["webhooks"])
            .iter()
            .filter(|hook| hook["type"].as_str() == Some("rollback"))
            .map(|hook| hook["url"].as_str().unwrap_or_default())
            .peekable();
        if urls.peek().is_none() {
            Self::Missing
        } else if urls.any(is_ours) {
            Self::Asks
        } else {
            Self::Unknown
        }
    }
}

fn is_ours(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    PATHS.iter().any(|own| path.ends_with(own))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hooks_are_read() {
        let hook = |kind: &str, url: &str| json!({ "name": "a", "type": kind, "url": url });
        let asks = hook("rollback", "http://any:token@bridge/gate/rollback?cluster=eu");
        let other = hook("rollback", "http://tester/other");
        for (hooks, expected) in [
            (json!([asks]), RollbackHook::Asks),
            (json!([other, asks]), RollbackHook::Asks),
            (json!([hook("rollback", "http://bridge/rollback/check/")]), RollbackHook::Asks),
            (json!([other]), RollbackHook::Unknown),
            (json!([{ "type": "rollback", "url": 7 }]), RollbackHook::Unknown),
            (
                json!([hook("confirm-promotion", "http://bridge/gate/confirm-promotion")]),
                RollbackHook::Missing,
            ),
            (json!([]), RollbackHook::Missing),
            (json!(null), RollbackHook::Missing),
        ] {
            let canary = json!({ "spec": { "analysis": { "webhooks": hooks } } });
            assert_eq!(RollbackHook::of(&canary), expected, "{canary}");
            let canary = json!({ "spec": { "canaryAnalysis": { "webhooks": hooks } } });
            assert_eq!(RollbackHook::of(&canary), expected, "{canary}");
        }
        assert_eq!(RollbackHook::of(&json!({ "spec": {} })), RollbackHook::Unknown);
    }
}
