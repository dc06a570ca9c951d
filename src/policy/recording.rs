//! PURE: where gates ask nobody, in words.

use super::{Match, Policy, Route};

/// Settings by which gates ask nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The key that says so.
    pub key: String,
    /// The gates, in words.
    pub gates: String,
}

impl Policy {
    /// Each place in the settings by which gates ask nobody.
    #[must_use]
    pub fn recording(&self) -> Vec<Recording> {
        let records = |route: &Route| !route.approval.mode.is_required();
        let base = records(&self.base).then(|| {
            let gates =
                if self.routes.is_empty() { "every gate" } else { "every gate that no route matches" };
            Recording { key: self.base.approval_key("mode"), gates: gates.to_owned() }
        });
        let routes = self.routes.iter().filter(|(_, route)| records(route));
        let routes =
            routes.map(|(own, route)| Recording { key: route.approval_key("mode"), gates: own.in_words() });
        base.into_iter().chain(routes).collect()
    }
}

impl Match {
    /// The gates that it matches, in words: `gates of cluster prod-*, namespace payments-*`.
    fn in_words(&self) -> String {
        let parts = [
            ("cluster", &self.cluster),
            ("namespace", &self.namespace),
            ("canary", &self.canary),
            ("stage", &self.stage),
            ("gate", &self.gate),
        ];
        let named = parts.into_iter().map(|(what, glob)| (what, glob.glob().glob()));
        let named = named.filter(|(_, glob)| !matches!(*glob, "*" | "**"));
        let named: Vec<String> = named
            .map(|(what, glob)| match glob {
                "" => format!("no {what} name"),
                glob => format!("{what} {glob}"),
            })
            .collect();
        if named.is_empty() { "every gate".to_owned() } else { format!("gates of {}", named.join(", ")) }
    }
}
