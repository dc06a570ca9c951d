//! The approvals that Jira Service Management stores with a request.

use super::time::EpochMillis;

/// What an approver answered, or an approval came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approved,
    Declined,
    Pending,
}

impl Decision {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Pending => "pending",
        }
    }
}

#[derive(Clone)]
pub(super) struct Approval {
    pub(super) id: u64,
    pub(super) created: EpochMillis,
    pub(super) completed: Option<EpochMillis>,
    /// Account ids.
    pub(super) approvers: Vec<(String, Decision)>,
    /// How many have to approve.
    pub(super) needed: usize,
    pub(super) decision: Decision,
}

/// The service desk of a project.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) id: u64,
    pub(super) request_types: Vec<RequestType>,
}

/// A request type: with which issue type its requests are opened.
#[derive(Clone)]
pub(super) struct RequestType {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) issue_type: String,
}
