//! PURE: which statuses mean what, who may approve, and which settings hold for which gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minijinja::Value;

/// What a status means for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Neither approved nor rejected.
    Waiting,
    /// The gate may open.
    Approved,
    /// Somebody said no.
    Rejected,
}

/// The ids of the statuses that decide, in one project and issue type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// Ids that mean yes.
    pub approved: BTreeSet<String>,
    /// Ids that mean no.
    pub rejected: BTreeSet<String>,
}

impl Statuses {
    /// What the status with this id means. One that is in both sets means no.
    #[must_use]
    pub fn meaning(&self, id: &str) -> Meaning {
        if self.rejected.contains(id) {
            Meaning::Rejected
        } else if self.approved.contains(id) {
            Meaning::Approved
        } else {
            Meaning::Waiting
        }
    }
}

/// The settings of all gates: `[ticket]` and `[approval]`, and what `[[routes]]` overrides for some.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where nothing matches.
    pub base: Route,
    /// In the order of the file; the first match wins. Each is complete: the base with its overrides.
    pub routes: Vec<(Match, Route)>,
}

/// Which gates a route is for. Every pattern is a glob and must match.
#[derive(Clone, Debug)]
pub struct Match {
    /// The cluster's name.
    pub cluster: globset::GlobMatcher,
    /// The namespace.
    pub namespace: globset::GlobMatcher,
    /// The canary's name.
    pub canary: globset::GlobMatcher,
    /// The stage, as Flagger spells it.
    pub stage: globset::GlobMatcher,
    /// The gate's own name (`?gate=`); a gate without one is the empty string.
    pub gate: globset::GlobMatcher,
}

/// The settings of one gate.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it stands in the configuration, for messages: `ticket` or `routes[2]` (counted from 0).
    pub key: String,
    /// How its ticket looks.
    pub ticket: TicketSettings,
    /// Who may approve it, and for how long.
    pub approval: Approval,
}

/// `[ticket]`
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// The project's key.
    pub project: String,
    /// The issue type's name or id.
    pub issue_type: String,
    /// A template of one line.
    pub summary: String,
    /// A template.
    pub description: String,
    /// Labels beside the bridge's own.
    pub labels: Vec<String>,
    /// Further fields by id; every string in them is a template.
    pub fields: BTreeMap<String, Value>,
    /// Names or ids of statuses that mean yes.
    pub approved: Vec<String>,
    /// Names or ids of statuses that mean no.
    pub rejected: Vec<String>,
    /// Where tickets are moved by the bridge.
    pub transitions: Transitions,
}

/// `[ticket.transitions]`: where the bridge moves a ticket, and when; none means that it only comments.
#[derive(Clone, Debug, Default)]
pub struct Transitions {
    /// Right after opening.
    pub opened: Option<Target>,
    /// The rollout succeeded.
    pub succeeded: Option<Target>,
    /// The rollout failed.
    pub failed: Option<Target>,
    /// Another rollout took its place.
    pub superseded: Option<Target>,
    /// Nobody has asked for a long time.
    pub abandoned: Option<Target>,
    /// The rollout succeeded without this approval.
    pub bypassed: Option<Target>,
}

/// A status to move to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name or id.
    pub to: String,
    /// Fields that the transition's screen asks for.
    pub fields: BTreeMap<String, Value>,
}

/// `[approval]`
#[derive(Clone, Debug)]
pub struct Approval {
    /// From the approval to its first use.
    pub valid_for: Duration,
    /// Account ids, e-mails, user names, `group:NAME`, `role:NAME`; empty: any person Jira lets.
    pub approvers: Vec<String>,
    /// Never these; templates.
    pub deny: Vec<String>,
}

impl Policy {
    /// The settings for one gate: of the first route that matches, else the base.
    #[must_use]
    pub fn route(
        &self,
        cluster: &str,
        namespace: &str,
        canary: &str,
        stage: &str,
        gate: Option<&str>,
    ) -> &Route {
        let gate = gate.unwrap_or_default();
        self.routes
            .iter()
            .find(|(is, _)| {
                is.cluster.is_match(cluster)
                    && is.namespace.is_match(namespace)
                    && is.canary.is_match(canary)
                    && is.stage.is_match(stage)
                    && is.gate.is_match(gate)
            })
            .map_or(&self.base, |(_, route)| route)
    }
}
