//! Jira Service Management: the approvals of requests, and service desks.

use std::sync::Arc;

use reqwest::Method;
use serde::de::DeserializeOwned;

use super::{
    answer::Answer,
    client::Jira,
    error::Error,
    request::{Operation, Request},
    settings::Kind,
    wire,
};
use crate::{gate::DeskApproval, policy::Person};

/// The most entries of a page: Jira's default.
const PER_PAGE: usize = 50;
/// More pages than this are no list that the bridge needs.
const MOST_PAGES: usize = 40;

impl Jira {
    /// The approvals of a request, each person still without the type of the account: see [`Jira::approver`].
    ///
    /// # Errors
    /// Any; a 404 also if the issue is no request, or is not visible in the customer portal.
    pub async fn approvals(&self, issue_id: &str) -> Result<Vec<DeskApproval>, Error> {
        self.kind().await?;
        let path = ["request", issue_id, "approval"];
        let found = self.pages::<wire::Approval>(Operation::APPROVALS, &path).await?;
        found.into_iter().map(|(answer, one)| one.read().map_err(|what| answer.unreadable(what))).collect()
    }

    /// The same account with its type, which an approval does not show. On Data Center accounts have none.
    ///
    /// # Errors
    /// Any.
    pub async fn approver(&self, person: &Person) -> Result<Person, Error> {
        match self.kind().await? {
            Kind::DataCenter => Ok(Person { app: false, ..person.clone() }),
            Kind::Cloud => {
                let request = Request::get(Operation::PEOPLE, Kind::Cloud, &["user"]);
                let answer = self.sender.call(request.query("accountId", &person.id)).await?;
                let found: wire::User = answer.read()?;
                let found = found.person(Kind::Cloud);
                match found.id == person.id {
                    true => Ok(Person { app: found.app, ..person.clone() }),
                    false => Err(answer.unreadable("another account than the requested one")),
                }
            }
        }
    }

    /// The id of the service desk of a project, if Jira shows one.
    ///
    /// # Errors
    /// Any.
    pub async fn service_desk(&self, project: &str) -> Result<Option<String>, Error> {
        self.kind().await?;
        let desks = self.pages::<wire::ServiceDesk>(Operation::SERVICE_DESKS, &["servicedesk"]).await?;
        let own = desks.into_iter().find(|(_, desk)| desk.project_key.as_deref() == Some(project));
        Ok(own.map(|(_, desk)| desk.id))
    }

    /// The name and the issue type's id of a request type of a service desk. None: Jira shows no such request type.
    ///
    /// # Errors
    /// Any.
    pub async fn request_type(&self, desk: &str, id: &str) -> Result<Option<(String, String)>, Error> {
        self.kind().await?;
        let path = ["servicedesk", desk, "requesttype", id];
        match self.sender.call(Request::desk(Operation::REQUEST_TYPE, Method::GET, &path)).await {
            Err(error) if error.is_missing() => Ok(None),
            answer => {
                let request_type: wire::RequestType = answer?.read()?;
                Ok(Some((request_type.name, request_type.issue_type_id)))
            }
        }
    }

    /// All entries of a list.
    async fn pages<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
    ) -> Result<Vec<(Arc<Answer>, T)>, Error> {
        let mut all = vec![];
        let mut page_number = 0;
        loop {
            page_number += 1;
            let request = Request::desk(operation, Method::GET, path)
                .query("start", all.len().to_string())
                .query("limit", PER_PAGE.to_string());
            let answer = Arc::new(self.sender.call(request).await?);
            let page: wire::DeskPage = answer.read()?;
            let values = page.values.ok_or_else(|| answer.unreadable("a page without values"))?;
            // Without a word about further pages, this may not be all.
            let is_last =
                page.is_last_page.ok_or_else(|| answer.unreadable("a page that may not be the last"))?;
            let is_empty = values.is_empty();
            for value in values {
                all.push((answer.clone(), answer.part(value)?));
            }
            if is_last {
                return Ok(all);
            }
            if is_empty || page_number == MOST_PAGES {
                return Err(answer.unreadable("a list that does not end"));
            }
        }
    }
}
