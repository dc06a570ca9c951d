//! PURE: whether each route can match at all.

use globset::GlobMatcher;

use super::Finding;
use crate::{
    config::Config,
    gate::Stage,
    policy::{Match, Route},
};

/// A finding for each route that no question ever reaches.
pub(super) fn routes(config: &Config) -> Vec<Finding> {
    let routes = &config.policy.routes;
    let dead = |(nth, (own, route)): (usize, &(Match, Route))| {
        let earlier = routes.get(..nth).into_iter().flatten().find(|(other, _)| covers(other, own));
        if let Some((_, earlier)) = earlier {
            let what = format!(
                "can never match: {} comes before it and matches all of it; put this one first, or narrow {}.match",
                earlier.key, earlier.key
            );
            return Some(Finding::fail(format!("{}.match", route.key), what));
        }
        unreachable(own, config)
            .map(|(name, what)| Finding::fail(format!("{}.match.{name}", route.key), what))
    };
    routes.iter().enumerate().filter_map(dead).collect()
}

/// Whether whatever matches `own` matches `other`, as far as globs tell without being solved.
fn covers(other: &Match, own: &Match) -> bool {
    let stages = Stage::ALL.iter().map(|stage| stage.as_str());
    stages.filter(|stage| own.stage.is_match(stage)).all(|stage| other.stage.is_match(stage))
        && [
            (&other.cluster, &own.cluster),
            (&other.namespace, &own.namespace),
            (&other.canary, &own.canary),
            (&other.gate, &own.gate),
        ]
        .into_iter()
        .all(|(other, own)| within(other, own))
}

fn within(other: &GlobMatcher, own: &GlobMatcher) -> bool {
    let (all, part) = (other.glob().glob(), own.glob().glob());
    matches!(all, "*" | "**") || all == part || (is_plain(part) && other.is_match(part))
}

/// Whether a glob is a plain name.
fn is_plain(glob: &str) -> bool {
    !glob.contains(['*', '?', '[', '{', '\\'])
}

/// Which part of it nobody who may ask can have.
fn unreachable(own: &Match, config: &Config) -> Option<(&'static str, String)> {
    let flagger = &config.flagger;
    let clusters: Vec<&str> = std::iter::once(flagger.cluster.as_str())
        .chain(flagger.clusters.iter().map(|cluster| cluster.name.as_str()))
        .collect();
    if !clusters.iter().any(|cluster| own.cluster.is_match(cluster)) {
        let there_is = clusters.join(", ");
        let what = format!(
            "{:?} matches no cluster, so the route never counts; there is: {there_is} (flagger.cluster and \
             flagger.clusters)",
            own.cluster.glob().glob()
        );
        return Some(("cluster", what));
    }
    let namespace = own.namespace.glob().glob();
    (is_plain(namespace) && !flagger.namespaces.is_match(namespace)).then(|| {
        let what = format!(
            "{namespace:?} is not among flagger.namespaces, so the route never counts; add it there, or take the \
             route out"
        );
        ("namespace", what)
    })
}
