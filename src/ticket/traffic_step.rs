//! PURE: the words for one step of traffic.

use super::versions::new_version;
use crate::{gate::Share, rollout::Subject};

/// What an approval covers.
pub(super) const LIMITS: &str =
    "This approves this step of traffic only. Each further step of this rollout gets its own ticket.";

/// What Flagger does after an approval. `soon` says how soon.
pub(super) fn taken(subject: &Subject, share: Share, soon: &str) -> String {
    let new = new_version(subject);
    match share {
        Share { before: Some(before), after: Some(after), .. } => {
            format!("{new} gets {after} % of the traffic {soon}. It has {before} % now.")
        }
        Share { before: None, after: Some(after), .. } => {
            format!("{new} gets {after} % of the traffic {soon}.")
        }
        Share { before: Some(before), after: None, is_last: true } => format!(
            "Flagger goes on to the promotion {soon}. {new} has {before} % of the traffic, and no step is left. Flagger asks before \
             all users get it only if the team has set up such an approval (a confirm-promotion hook)."
        ),
        Share { before: Some(before), after: None, is_last: false } => format!(
            "{new} gets more traffic, by one step, {soon}. It has {before} % now. The bridge does not know how large the step is."
        ),
        Share { before: None, after: None, .. } => format!(
            "{new} gets more traffic, by one step, {soon}. The bridge does not know how much traffic it has, nor how large the step \
             is."
        ),
    }
}
