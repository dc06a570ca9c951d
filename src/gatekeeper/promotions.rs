//! What the bridge remembers of promotions, besides what is stored with each canary.

use std::collections::HashMap;

use crate::rollout::{CanaryId, Promotion};

/// What was seen of the Canaries.
#[derive(Default)]
pub(super) struct Promotions {
    /// The number of changes of Canaries that were looked at.
    pub(super) changes: Option<u64>,
    /// What Canaries had promoted when they were first seen, if their hooks ask the bridge and they never did.
    pub(super) never_asked: HashMap<CanaryId, Promotion>,
}
