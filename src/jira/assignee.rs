//! To whom a ticket is assigned.

use super::{
    account::Account,
    client::Jira,
    error::Error,
    request::{Operation, Request},
    wire,
};

impl Jira {
    /// The account to which a ticket is assigned, if it is.
    ///
    /// # Errors
    /// Any.
    pub async fn assignee(&self, id: &str) -> Result<Option<Account>, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::ISSUE, kind, &["issue", id]).query("fields", "assignee");
        let issue: wire::Assigned = self.sender.call(request).await?.read()?;
        Ok(issue.fields.and_then(|fields| fields.assignee).and_then(wire::User::account))
    }
}
