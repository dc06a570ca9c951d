//! PURE: what a Canary promoted last, and whether a gate let that pass.

use serde::{Deserialize, Serialize};

/// What a Canary promoted last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// `status.lastPromotedSpec`: Flagger's hash of the target. The same in every namespace and at any time.
    pub spec: String,
    /// The images that run since, on one line; empty if they could not be read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub images: String,
}

/// A promotion that no gate let pass, and that is not on record for any gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    /// The images before it, on one line; empty if they are not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// The images that run since; empty if they are not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub now: String,
}
