//! PURE: what a Canary rolls out.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::name;

/// The kind of a target whose pods the API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// `deployments.apps`
    Deployment,
    /// `daemonsets.apps`
    DaemonSet,
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
        })
    }
}

/// The target of a Canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name, on one line.
    pub name: String,
}

impl Target {
    /// `spec.targetRef` of a Canary. Objects in a list bear no kind, so the Canary says it. Flagger also takes Services,
    /// whose pods it does not know: the caller does not look those up, and here they count as Deployments.
    #[must_use]
    pub fn of(canary: &Value) -> Self {
        let reference = &canary["spec"]["targetRef"];
        let kind = match reference["kind"].as_str() {
            Some("DaemonSet") => TargetKind::DaemonSet,
            Some(_) | None => TargetKind::Deployment,
        };
        Self { kind, name: reference["name"].as_str().map(name).unwrap_or_default() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
