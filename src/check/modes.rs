//! PURE: gates that ask nobody.

use super::finding::Finding;
use crate::{
    config::Config,
    policy::{Policy, Recording, Route},
};

/// A warning for each place that lets gates open without a question: one wrong pattern opens production.
pub(super) fn modes(config: &Config) -> Vec<Finding> {
    config.policy.recording().into_iter().map(|recording| warning(recording, &config.policy)).collect()
}

fn warning(Recording { key, gates }: Recording, policy: &Policy) -> Finding {
    let route = policy.all().find(|route| route.approval_key("mode") == key);
    let stop = match route.map(Route::can_be_rejected) {
        Some(true) => "until somebody rejects the ticket",
        Some(false) | None => "and ticket.statuses.rejected is empty, so that nobody can close them again",
    };
    let what = format!(
        "is \"record\": NOBODY IS ASKED at {gates}. They open at once, {stop}; if one of them leads to production, put \"required\" \
         there, or narrow the route's match"
    );
    Finding::warn(key, what)
}
