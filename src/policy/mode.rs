//! PURE: whether a gate asks somebody.

use serde::{Deserialize, Serialize};

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
