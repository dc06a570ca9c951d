//! PURE: which statuses mean what, who may approve, and which settings hold for which gate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use minijinja::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{gate::Status, text};

mod judge;

pub use judge::{Author, DENIES_OTHERS, Entry, Names, denies_all, denies_for_good, judge, quoted};

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// Ids that mean yes.
    pub approved: BTreeSet<String>,
    /// Ids that mean no.
    pub rejected: BTreeSet<String>,
    /// Ids that meant yes only when the ticket that this is about was opened, or mean it only now: they decide nothing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub late: BTreeSet<String>,
    /// What those that decide are called today, by id. It is not kept.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
    /// The ids of all statuses of the workflow as it is today; none if Jira did not say. It is not kept.
    #[serde(skip)]
    pub workflow: Option<BTreeSet<String>>,
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

    /// What is kept of them with a ticket.
    #[must_use]
    pub fn pinned(&self) -> Self {
        Self { names: BTreeMap::new(), late: BTreeSet::new(), workflow: None, ..self.clone() }
    }

    /// Whether this status, as a history tells of it, is called something else today; also where that is not known.
    #[must_use]
    pub fn renames(&self, status: &Status) -> bool {
        self.names.get(&status.id).is_none_or(|name| !alike(name, &status.name))
    }
}

/// A status of the configuration that is not one status of the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No status of the workflow has this name or id.
    Unknown {
        /// What the configuration says.
        name: String,
        /// What the workflow has.
        there_is: Vec<String>,
    },
    /// Several have this name: only an id tells them apart.
    Ambiguous {
        /// What the configuration says.
        name: String,
        /// The ids of those.
        ids: Vec<String>,
    },
    /// It would mean yes and no.
    Both {
        /// The status.
        name: String,
    },
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, there_is } => {
                write!(f, "no status \"{name}\" in this workflow, which has {}", there_is.join(", "))
            }
            Self::Ambiguous { name, ids } => {
                write!(f, "several statuses are called \"{name}\"; use the id of one: {}", ids.join(", "))
            }
            Self::Both { name } => write!(f, "\"{name}\" cannot mean both approved and rejected"),
        }
    }
}

impl Statuses {
    /// Finds the statuses of the configuration, by id or by name, among those of a workflow.
    ///
    /// # Errors
    /// One for each that is not exactly one status, with the key it stands at (`approved` or `rejected`).
    pub fn resolve(
        approved: &[String],
        rejected: &[String],
        workflow: &[Status],
    ) -> Result<Self, Vec<(&'static str, Unresolved)>> {
        let mut problems = Vec::new();
        let mut find = |key, names: &[String]| -> BTreeSet<String> {
            let found = names.iter().map(|name| resolve(name, workflow));
            found.filter_map(|found| found.map_err(|problem| problems.push((key, problem))).ok()).collect()
        };
        let (approved, rejected) = (find("approved", approved), find("rejected", rejected));
        for id in approved.intersection(&rejected) {
            problems.push(("rejected", Unresolved::Both { name: id.clone() }));
        }
        if problems.is_empty() {
            let decides = |status: &&Status| approved.contains(&status.id) || rejected.contains(&status.id);
            let names =
                workflow.iter().filter(decides).map(|status| (status.id.clone(), status.name.clone()));
            let names = names.collect();
            let workflow = Some(workflow.iter().map(|status| status.id.clone()).collect());
            Ok(Self { approved, rejected, late: BTreeSet::new(), names, workflow })
        } else {
            Err(problems)
        }
    }
}

/// Whether nobody sees a difference between two names of a status but, at most, that of case, which Jira sees none in either.
fn alike(one: &str, other: &str) -> bool {
    text::line(one).to_lowercase() == text::line(other).to_lowercase()
}

/// The id of the one status with this id or name. Names are compared without regard to case, as Jira does.
///
/// # Errors
/// If none or several are meant.
pub fn resolve(name: &str, workflow: &[Status]) -> Result<String, Unresolved> {
    if workflow.iter().any(|status| status.id == name) {
        return Ok(name.to_owned());
    }
    let named = workflow.iter().filter(|status| alike(&status.name, name.trim()));
    let mut ids: Vec<String> = named.map(|status| status.id.clone()).collect();
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => {
            let there_is = workflow.iter().map(|status| format!("\"{}\"", status.name)).collect();
            Err(Unresolved::Unknown { name: name.to_owned(), there_is })
        }
        _ => Err(Unresolved::Ambiguous { name: name.to_owned(), ids }),
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
    /// Of the settings by which its approvals are judged.
    pub fingerprint: Fingerprint,
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

/// When the bridge moves a ticket: the keys of `ticket.transitions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// It was opened.
    Opened,
    /// The rollout succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// Another took its place.
    Superseded,
    /// Nobody asked for a long time.
    Abandoned,
    /// The rollout succeeded without this approval.
    Bypassed,
}

impl Milestone {
    /// The key of its setting.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Abandoned => "abandoned",
            Self::Bypassed => "bypassed",
        }
    }
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

impl Transitions {
    /// Where to move a ticket then, if anywhere.
    #[must_use]
    pub const fn target(&self, milestone: Milestone) -> Option<&Target> {
        match milestone {
            Milestone::Opened => self.opened.as_ref(),
            Milestone::Succeeded => self.succeeded.as_ref(),
            Milestone::Failed => self.failed.as_ref(),
            Milestone::Superseded => self.superseded.as_ref(),
            Milestone::Abandoned => self.abandoned.as_ref(),
            Milestone::Bypassed => self.bypassed.as_ref(),
        }
    }
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

/// Tells apart the settings by which approvals are judged: who may approve, who may not, and which statuses decide. Any
/// change of those makes another one; what it is made from cannot be told from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// That of these settings.
    fn of(ticket: &TicketSettings, approval: &Approval) -> Self {
        let mut hash = Sha256::new();
        for list in [&approval.approvers, &approval.deny, &ticket.approved, &ticket.rejected] {
            hash.update((list.len() as u64).to_be_bytes());
            for entry in list {
                hash.update((entry.len() as u64).to_be_bytes());
                hash.update(entry);
            }
        }
        let bytes = hash.finalize();
        Self(bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl Route {
    /// The settings of one gate. `key` is where they stand in the configuration.
    #[must_use]
    pub fn new(key: String, ticket: TicketSettings, approval: Approval) -> Self {
        let fingerprint = Fingerprint::of(&ticket, &approval);
        Self { key, ticket, approval, fingerprint }
    }

    /// The full key of a setting of its ticket: `ticket.summary`, or `routes[0].ticket.summary`.
    #[must_use]
    pub fn key_of(&self, setting: &str) -> String {
        match self.key.as_str() {
            "ticket" => format!("ticket.{setting}"),
            at => format!("{at}.ticket.{setting}"),
        }
    }

    /// The full key of a setting of its approval: `approval.deny`, or `routes[0].approval.deny`.
    #[must_use]
    pub fn approval_key(&self, setting: &str) -> String {
        match self.key.as_str() {
            "ticket" => format!("approval.{setting}"),
            at => format!("{at}.approval.{setting}"),
        }
    }
}

impl Policy {
    /// All settings that a gate can have: the base, then each route's.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.base).chain(self.routes.iter().map(|(_, route)| route))
    }

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
