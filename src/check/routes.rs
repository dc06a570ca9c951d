//! PURE: whether each route can match a question, and each pattern a name.

use globset::GlobMatcher;

use super::finding::Finding;
use crate::{
    config::Config,
    gate::Stage,
    policy::{Match, Route},
};

/// A finding for each route that no question ever reaches.
pub(super) fn routes(config: &Config) -> Vec<Finding> {
    let routes = &config.policy.routes;
    let unreachable_route = |(nth, (own, route)): (usize, &(Match, Route))| {
        let earlier = routes.get(..nth).into_iter().flatten().find(|(other, _)| covers(other, own));
        if let Some((_, earlier)) = earlier {
            let what = format!(
                "can never match: {} comes before it and matches all of it; put this one first, or narrow {}.match",
                earlier.key, earlier.key
            );
            return Some(Finding::fail(format!("{}.match", route.key), what));
        }
        unreachable_part(own, config, "route")
            .map(|(name, what)| Finding::fail(format!("{}.match.{name}", route.key), what))
    };
    routes.iter().enumerate().filter_map(unreachable_route).collect()
}

/// A finding for each pattern that cannot match the name of a Kubernetes object or of a gate.
pub(super) fn patterns(config: &Config) -> Vec<Finding> {
    let listed = config.flagger.namespace_globs.iter().enumerate();
    let listed =
        listed.map(|(nth, glob)| (format!("flagger.namespaces[{nth}]"), "namespace", glob.as_str(), ""));
    let routes = config.policy.routes.iter().map(|(own, route)| (route.key.clone(), own));
    let of_match = |(of, own): (String, &Match)| {
        let key = |name: &str| format!("{of}.match.{name}");
        [
            (key("namespace"), "namespace", own.namespace.glob().glob().to_owned(), ""),
            (key("canary"), "canary", own.canary.glob().glob().to_owned(), "."),
            (key("gate"), "gate", own.gate.glob().glob().to_owned(), ""),
        ]
    };
    let listed = listed.map(|(key, what, glob, also)| (key, what, glob.to_owned(), also));
    let schedule = config.policy.schedule.matches();
    let all = listed.chain(routes.chain(schedule).flat_map(of_match));
    let judged = |(key, what, glob, also): (String, &str, String, &str)| {
        // A hook without a gate name has an empty one.
        let is_possible = is_possible(&glob, also) && (what == "gate" || !glob.is_empty());
        (!is_possible).then(|| {
            let dots = if also.is_empty() { "" } else { ", dots" };
            let what = format!(
                "{glob:?} can never match: the name of a {what} has lower-case letters, digits{dots} and '-' alone; correct it"
            );
            Finding::warn(key, what)
        })
    };
    all.filter_map(judged).collect()
}

/// Whether the literal characters of a glob can be in a name. Characters in brackets or braces are not checked, nor is
/// a glob with a backslash.
fn is_possible(glob: &str, also: &str) -> bool {
    if glob.contains('\\') {
        return true;
    }
    let mut depth = 0_usize;
    glob.chars().all(|c| match c {
        '[' | '{' => {
            depth += 1;
            true
        }
        ']' | '}' => {
            depth = depth.saturating_sub(1);
            true
        }
        '*' | '?' | '-' => true,
        c => depth > 0 || c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c),
    })
}

/// Whether everything that matches `own` also matches `other`, as far as a simple comparison of the globs shows.
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

/// The part of a match that no caller can match, and why. `whose` is what it is the match of, such as `route`.
pub(super) fn unreachable_part(own: &Match, config: &Config, whose: &str) -> Option<(&'static str, String)> {
    let flagger = &config.flagger;
    let clusters: Vec<&str> = std::iter::once(flagger.cluster.as_str())
        .chain(flagger.clusters.iter().map(|cluster| cluster.name.as_str()))
        .collect();
    if !clusters.iter().any(|cluster| own.cluster.is_match(cluster)) {
        let there_is = clusters.join(", ");
        let what = format!(
            "{:?} matches no cluster, so the {whose} never applies; choose from: {there_is} (flagger.cluster and \
             flagger.clusters)",
            own.cluster.glob().glob()
        );
        return Some(("cluster", what));
    }
    let namespace = own.namespace.glob().glob();
    (is_plain(namespace) && !flagger.namespaces.is_match(namespace)).then(|| {
        let what = format!(
            "{namespace:?} is not among flagger.namespaces, so the {whose} never applies; add it there, or take the \
             {whose} out"
        );
        ("namespace", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_name_can_match() {
        for glob in ["*", "shop", "team-*", "a?1", "[A-Z]x", "{Shop,cart}", "a\\!", ""] {
            assert!(is_possible(glob, ""), "{glob}");
        }
        for glob in ["Shop!", "QA Team", "a.b", "{a,b}!", "shop_*", "Ü"] {
            assert!(!is_possible(glob, ""), "{glob}");
        }
        assert!(is_possible("a.b", "."));
    }

    #[test]
    fn each_pattern_is_reported_with_its_key() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "jira.url = \"https://x.example\"\njira.token = \"t\"\nticket.project = \"OPS\"\n\
                    flagger.namespaces = [\"*\", \"Shop!\"]\n\
                    routes = [{ match = { gate = \"QA Team\" } }, { match = { namespace = \"\", gate = \"\", canary = \"a.b\" } }]\n";
        std::fs::write(file.path(), text).unwrap();
        let config = crate::config::load(file.path(), []).unwrap();
        let found: Vec<String> =
            patterns(&config).iter().map(|one| format!("{} {}: {}", one.level, one.key, one.what)).collect();
        let only = "has lower-case letters, digits and '-' alone; correct it";
        assert_eq!(
            found,
            [
                format!(
                    "warn flagger.namespaces[1]: \"Shop!\" can never match: the name of a namespace {only}"
                ),
                format!("warn routes[0].match.gate: \"QA Team\" can never match: the name of a gate {only}"),
                format!(
                    "warn routes[1].match.namespace: \"\" can never match: the name of a namespace {only}"
                ),
            ]
        );
    }
}
