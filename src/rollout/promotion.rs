//! PURE: what a Canary promoted last, and promotions that no gate let pass.

use serde::{Deserialize, Serialize};

/// What a Canary promoted last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The Canary's `metadata.uid`.
    pub uid: String,
    /// `status.lastPromotedSpec`: Flagger's hash of the target's pod template. The same in every namespace and at any time.
    /// It does not move if only a ConfigMap or Secret changed.
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
    /// Whether the Canary was deleted and created again: then Flagger starts what is deployed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recreated: bool,
}

impl Bypass {
    /// Why Flagger did not ask, as far as the Canary shows.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        if self.recreated {
            "the Canary was deleted and created again"
        } else {
            "analysis is skipped, or a hook was taken out"
        }
    }
}
