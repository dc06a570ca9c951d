//! PURE: what the statuses of a workflow mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::text;

/// A status of a Jira workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The id, which is compared: names are translated, and may occur twice.
    pub id: String,
    /// The name, which is shown.
    pub name: String,
}

/// What a status means for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Neither approved nor rejected.
    Waiting,
    /// The gate may open.
    Approved,
    /// The gate stays closed.
    Rejected,
}

/// The ids of the statuses that decide, in one project and issue type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// Ids that mean yes.
    pub approved: BTreeSet<String>,
    /// Ids that mean no.
    pub rejected: BTreeSet<String>,
    /// Ids that meant yes only when the ticket was opened, or mean it only now: they decide nothing.
    #[serde(rename = "late", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ambiguous: BTreeSet<String>,
    /// Ids that an approval leads through in this order, the approved one last; none if it has only one step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// The names of the deciding statuses and of the steps today, by id. Not stored.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
    /// The ids of all statuses of the workflow as it is today; none if Jira did not say. Not stored.
    #[serde(skip)]
    pub workflow: Option<BTreeSet<String>>,
}

impl Statuses {
    /// What the status with this id means. An id in both sets means no.
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

    /// What is stored of them with a ticket.
    #[must_use]
    pub fn pinned(&self) -> Self {
        Self { names: BTreeMap::new(), ambiguous: BTreeSet::new(), workflow: None, ..self.clone() }
    }

    /// Whether this status from a history has another name today, or today's name is not known.
    #[must_use]
    pub fn renames(&self, status: &Status) -> bool {
        self.names.get(&status.id).is_none_or(|name| !same_name(name, &status.name))
    }
}

/// A configured status that does not match exactly one status of the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No status of the workflow has this name or id.
    Unknown {
        /// What the configuration says.
        name: String,
        /// What the workflow has.
        available: Vec<String>,
    },
    /// Several have this name: only an id distinguishes them.
    Ambiguous {
        /// What the configuration says.
        name: String,
        /// Their ids.
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
            Self::Unknown { name, available } => {
                write!(f, "no status \"{name}\" in this workflow, which has {}", available.join(", "))
            }
            Self::Ambiguous { name, ids } => {
                write!(f, "several statuses are called \"{name}\"; use the id of one: {}", ids.join(", "))
            }
            Self::Both { name } => write!(f, "\"{name}\" cannot mean both approved and rejected"),
        }
    }
}

impl Statuses {
    /// Finds the configured statuses among those of a workflow, by id or by name.
    ///
    /// # Errors
    /// One for each that does not match exactly one status, with its key (`approved` or `rejected`).
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
            Ok(Self { approved, rejected, names, workflow, ..Self::default() })
        } else {
            Err(problems)
        }
    }
}

/// Whether two names of a status look the same, without regard to case, as Jira compares them.
fn same_name(one: &str, other: &str) -> bool {
    text::single_line(one).to_lowercase() == text::single_line(other).to_lowercase()
}

/// The id of the one status with this id or name. Names are compared without regard to case, as Jira does.
///
/// # Errors
/// If no status or several statuses match.
pub fn resolve(name: &str, workflow: &[Status]) -> Result<String, Unresolved> {
    if workflow.iter().any(|status| status.id == name) {
        return Ok(name.to_owned());
    }
    let named = workflow.iter().filter(|status| same_name(&status.name, name.trim()));
    let mut ids: Vec<String> = named.map(|status| status.id.clone()).collect();
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => {
            let available = workflow.iter().map(|status| format!("\"{}\"", status.name)).collect();
            Err(Unresolved::Unknown { name: name.to_owned(), available })
        }
        _ => Err(Unresolved::Ambiguous { name: name.to_owned(), ids }),
    }
}
