//! PURE: whether a Canary has a hook that asks the bridge whether to roll back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::items;

/// The bridge's paths for that question. The load tester has one of them, too.
pub const ROLLBACK_PATHS: [&str; 2] = ["/gate/rollback", "/rollback/check"];
/// How its paths begin at which Flagger asks for an approval.
const APPROVAL_PATHS: &str = "/gate/confirm-";

/// Whether Flagger asks the bridge whether to roll back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackHook {
    /// It does, at the host and port at which it asks for approvals.
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
        let hooks = items(&analysis["webhooks"]);
        let address = |hook: &'_ Value| Address::of(hook["url"].as_str()?);
        let approvals: Vec<Address> =
            hooks.iter().filter_map(address).filter(|it| it.path.starts_with(APPROVAL_PATHS)).collect();
        let asks_bridge = |hook: &Value| {
            address(hook).is_some_and(|asked| {
                ROLLBACK_PATHS.contains(&asked.path.as_str())
                    && approvals.iter().any(|it| (&it.host, it.port) == (&asked.host, asked.port))
            })
        };
        let mut rollback = hooks.iter().filter(|hook| hook["type"].as_str() == Some("rollback")).peekable();
        if rollback.peek().is_none() {
            Self::Missing
        } else if rollback.any(asks_bridge) {
            Self::Asks
        } else {
            Self::Unknown
        }
    }
}

/// Where a hook asks.
struct Address {
    /// In lower case.
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

impl Address {
    /// Reads a URL; `None` if it is none of HTTP.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let rest = rest.split(['?', '#']).next()?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // Before the host there may be a token.
        let host_and_port = authority.rsplit('@').next()?.to_ascii_lowercase();
        let (host, port) = match host_and_port.rsplit_once(':') {
            // A colon of an IPv6 address is in brackets.
            Some((host, port)) if !port.ends_with(']') => (host.to_owned(), port.parse().ok()?),
            _ => (host_and_port, default_port),
        };
        (!host.is_empty()).then(|| Self { host, port, path: format!("/{}", path.trim_end_matches('/')) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hooks_are_read() {
        let hook = |kind: &str, url: &str| json!({ "name": "a", "type": kind, "url": url });
        let (rollback, approval) = (|url| hook("rollback", url), |url| hook("confirm-promotion", url));
        let at_bridge = approval("http://any:token@bridge:8080/gate/confirm-promotion");
        let asks = rollback("http://any:token@Bridge:8080/gate/rollback?cluster=eu");
        let load_tester = rollback("http://tester/rollback/check");
        for (hooks, expected) in [
            (json!([at_bridge, asks]), RollbackHook::Asks),
            (json!([load_tester, asks, at_bridge]), RollbackHook::Asks),
            (json!([at_bridge, rollback("http://bridge:8080/rollback/check/")]), RollbackHook::Asks),
            (
                json!([
                    approval("https://bridge/gate/confirm-promotion"),
                    rollback("https://bridge:443/gate/rollback")
                ]),
                RollbackHook::Asks,
            ),
            (
                json!([
                    approval("http://[::1]/gate/confirm-promotion"),
                    rollback("http://[::1]:80/gate/rollback")
                ]),
                RollbackHook::Asks,
            ),
            // The load tester has this path, too; so may any other service.
            (json!([at_bridge, load_tester]), RollbackHook::Unknown),
            (json!([asks]), RollbackHook::Unknown),
            (json!([at_bridge, rollback("http://bridge:9090/gate/rollback")]), RollbackHook::Unknown),
            (json!([at_bridge, rollback("https://bridge/gate/rollback")]), RollbackHook::Unknown),
            (json!([at_bridge, rollback("http://bridge:8080/other/gate/rollback")]), RollbackHook::Unknown),
            (json!([at_bridge, rollback("http://bridge:8080@tester/gate/rollback")]), RollbackHook::Unknown),
            (json!([at_bridge, rollback("bridge:8080/gate/rollback")]), RollbackHook::Unknown),
            (json!([at_bridge, { "type": "rollback", "url": 7 }]), RollbackHook::Unknown),
            (json!([at_bridge]), RollbackHook::Missing),
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
