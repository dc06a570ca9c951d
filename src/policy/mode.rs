//! PURE: whether a gate asks somebody.

use serde::{Deserialize, Serialize};

use super::{Match, Policy, Route};

/// `approval.mode`: whether a gate waits for an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// It does.
    #[default]
    Required,
    /// It asks nobody. There is a ticket and a record as always, and the gate is open until that ticket is rejected.
    Record,
}

impl ApprovalMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Required, Self::Record];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Record => "record",
        }
    }

    /// Whether the gate waits for an approval.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        matches!(self, Self::Required)
    }
}

/// Settings by which gates ask nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
