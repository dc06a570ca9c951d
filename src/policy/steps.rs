//! PURE: the statuses of an approval in several steps.

use std::fmt;

use super::statuses::{Meaning, Status, Statuses, Unresolved, resolve};

/// A step of `approval.steps` that does not fit the workflow or the other statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepProblem {
    /// It is not exactly one status of the workflow.
    Unresolved(Unresolved),
    /// It is the last one, and not an approved status.
    NotApproved {
        /// The status.
        name: String,
    },
    /// It is not the last one, and approved or rejected.
    Decides {
        /// The status.
        name: String,
    },
    /// It is the same status as an earlier one.
    Repeated {
        /// The status.
        name: String,
    },
}

impl fmt::Display for StepProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(problem) => problem.fmt(f),
            Self::NotApproved { name } => {
                write!(f, "{name:?} is the last step, so it must be one of the approved statuses")
            }
            Self::Decides { name } => {
                write!(f, "{name:?} is approved or rejected, which only the last step can be")
            }
            Self::Repeated { name } => write!(f, "{name:?} is there twice"),
        }
    }
}

impl Statuses {
    /// The same with the steps of an approval, found by id or by name among the statuses of the workflow.
    ///
    /// # Errors
    /// One for each step that does not fit.
    pub fn with_steps(mut self, steps: &[String], workflow: &[Status]) -> Result<Self, Vec<StepProblem>> {
        let mut problems = Vec::new();
        for (nth, name) in steps.iter().enumerate() {
            let is_last = nth + 1 == steps.len();
            let id = match resolve(name, workflow) {
                Ok(id) => id,
                Err(problem) => {
                    problems.push(StepProblem::Unresolved(problem));
                    continue;
                }
            };
            let name = name.clone();
            match (self.meaning(&id), is_last) {
                _ if self.steps.contains(&id) => problems.push(StepProblem::Repeated { name }),
                (Meaning::Approved, true) | (Meaning::Waiting, false) => {
                    let named = workflow.iter().filter(|status| status.id == id);
                    self.names.extend(named.map(|status| (status.id.clone(), status.name.clone())));
                    self.steps.push(id);
                }
                (Meaning::Waiting | Meaning::Rejected, true) => {
                    problems.push(StepProblem::NotApproved { name });
                }
                (Meaning::Approved | Meaning::Rejected, false) => {
                    problems.push(StepProblem::Decides { name });
                }
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}
