//! PURE: an account of Jira.

/// An account of Jira.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `accountId` on Cloud, `name` on Data Center.
    pub id: String,
    /// Data Center's key, which stays when the name changes.
    pub key: Option<String>,
    /// Its display name.
    pub name: String,
}

impl Account {
    /// Whether both are the same account.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.key, &other.key) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(_), None) | (None, Some(_)) | (None, None) => self.id == other.id,
        }
    }
}
