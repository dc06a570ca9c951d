//! PURE: whether each step of traffic can have a ticket of its own.

use super::finding::Finding;
use crate::{
    config::{Config, KubernetesMode},
    gate::Stage,
    policy::{Match, Route, Traffic},
};

/// A finding for each place that asks for a ticket for each step, where that has no effect or is clumsy.
pub(super) fn traffic(config: &Config) -> Vec<Finding> {
    let by_step = |route: &Route| route.ticket.traffic == Traffic::Step;
    let base = Some(&config.policy.base).filter(|route| by_step(route)).map(|route| (None, route));
    let routes = config.policy.routes.iter().filter(|(_, route)| by_step(route));
    let all = base.into_iter().chain(routes.map(|(own, route)| (Some(own), route)));
    all.filter_map(|(own, route)| finding(own, route, config)).collect()
}

fn finding(own: Option<&Match>, route: &Route, config: &Config) -> Option<Finding> {
    let key = route.key_of("traffic");
    let is_asked = own.is_none_or(|own| own.stage.is_match(Stage::ConfirmTrafficIncrease.as_str()));
    if !is_asked {
        // It may come from `[ticket]`, where it is for other gates.
        let inherits = config.policy.base.ticket.traffic == Traffic::Step;
        let what = "is \"step\", and the route matches no question of confirm-traffic-increase, so that it has no effect; correct \
                    the route's match.stage";
        return (!inherits).then(|| Finding::warn(key, what));
    }
    match config.kubernetes.mode {
        KubernetesMode::Show | KubernetesMode::Bind => None,
        KubernetesMode::Off => {
            let what = "is \"step\", and the bridge does not read the cluster, so that tickets do not say how much traffic a step \
                        gives, each approval counts for one answer, and hooks with several gate names never all open; put \
                        \"show\" into kubernetes.mode";
            Some(Finding::warn(key, what))
        }
    }
}
