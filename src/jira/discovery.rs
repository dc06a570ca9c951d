//! Requests that only a check of the configuration sends: what exists instead of what was not found, and which
//! transitions a ticket has. All of them only read.

use std::collections::BTreeSet;

use super::{
    client::Jira,
    cloud, data_center,
    error::Error,
    field::Field,
    request::{Operation, Request},
    settings::Kind,
    wire,
};
use crate::{policy::Status, text};

/// How many issues are searched for one in each status.
const SAMPLES: &str = "50";
/// How many pages of a list are read at most.
const MOST_PAGES: usize = 10;

/// What Jira says about a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectInfo {
    /// Its team manages types, fields and workflows; only Cloud has such projects.
    pub team_managed: bool,
    /// Nothing can be changed in it.
    pub archived: bool,
}

/// An example issue, to read which transitions lead on from its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Jira's numeric id.
    pub id: String,
    /// Its key, such as `OPS-7`.
    pub key: String,
    /// Its status.
    pub status: Status,
}

/// A transition that an issue can take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableTransition {
    /// The status that it leads to.
    pub to: Status,
    /// The fields on its screen; empty if it has no screen, or if Jira does not say.
    pub fields: Vec<Field>,
}

impl Jira {
    /// What Jira says about a project.
    ///
    /// # Errors
    /// Any.
    pub async fn project_info(&self, project: &str) -> Result<ProjectInfo, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::PROJECT, kind, &["project", project]);
        let info: wire::WireProjectInfo = self.sender.call(request).await?.read()?;
        let team_managed = info.style.as_deref() == Some("next-gen") || info.simplified == Some(true);
        Ok(ProjectInfo { team_managed, archived: info.archived == Some(true) })
    }

    /// The keys of projects that the account may see: on Cloud those that match `like` or, if none does, the first
    /// hundred.
    ///
    /// # Errors
    /// Any.
    pub async fn projects(&self, like: &str) -> Result<Vec<String>, Error> {
        let keys = |found: Vec<wire::ProjectKey>| {
            found.into_iter().map(|project| text::single_line(&project.key)).collect::<Vec<_>>()
        };
        let kind = self.kind().await?;
        if kind == Kind::DataCenter {
            let request = Request::get(Operation::PROJECTS, kind, &["project"]);
            return Ok(keys(self.sender.call(request).await?.read()?));
        }
        for like in [Some(like), None] {
            let mut request =
                Request::get(Operation::PROJECTS, kind, &["project", "search"]).query("maxResults", "100");
            if let Some(like) = like {
                request = request.query("query", like);
            }
            let page: wire::Projects = self.sender.call(request).await?.read()?;
            let found = keys(page.values.unwrap_or_default());
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(vec![])
    }

    /// The ids and names of the issue types that the account may create in a project.
    ///
    /// # Errors
    /// Any.
    pub async fn creatable_issue_types(&self, project: &str) -> Result<Vec<(String, String)>, Error> {
        let kind = self.kind().await?;
        let path = ["issue", "createmeta", project, "issuetypes"];
        let mut types = vec![];
        for _ in 0..MOST_PAGES {
            let request = Request::get(Operation::CREATE_TYPES, kind, &path)
                .query("startAt", types.len().to_string())
                .query("maxResults", "200");
            let page: wire::CreateTypes = self.sender.call(request).await?.read()?;
            let total = page.total;
            let found = page.all();
            let empty = found.is_empty();
            types.extend(found.into_iter().map(|named| (named.id, text::single_line(&named.name))));
            if empty || total.is_none_or(|total| types.len() >= total) {
                break;
            }
        }
        Ok(types)
    }

    /// The newest issue in each status, among the newest issues of a type in a project.
    ///
    /// # Errors
    /// Any.
    pub async fn samples(&self, project: &str, issue_type_id: &str) -> Result<Vec<Sample>, Error> {
        let kind = self.kind().await?;
        let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain(project) || !plain(issue_type_id) {
            return Ok(vec![]);
        }
        let jql = format!("project = \"{project}\" AND issuetype = {issue_type_id} ORDER BY created DESC");
        let request = match kind {
            Kind::Cloud => Request::get(Operation::SEARCH, kind, &["search", "jql"]),
            Kind::DataCenter => {
                Request::get(Operation::SEARCH, kind, &["search"]).query("validateQuery", "false")
            }
        };
        let request = request.query("jql", jql).query("fields", "status").query("maxResults", SAMPLES);
        let found: wire::Issues = self.sender.call(request).await?.read()?;
        let mut seen = BTreeSet::new();
        let sample = |issue: serde_json::Value| {
            let issue: wire::Issue = serde_json::from_value(issue).ok()?;
            let status = issue.fields?.status?.status();
            let key = text::single_line(&issue.key);
            seen.insert(status.id.clone()).then_some(Sample { id: issue.id, key, status })
        };
        Ok(found.issues.unwrap_or_default().into_iter().filter_map(sample).collect())
    }

    /// Reads issues with the requests that read open tickets: many in one request, and on Cloud a changelog by itself.
    /// Returns the ids of the issues that Jira returned.
    ///
    /// # Errors
    /// Any.
    pub async fn try_reads(&self, ids: &[&str]) -> Result<BTreeSet<String>, Error> {
        let kind = self.kind().await?;
        let numeric = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let ids: Vec<&str> = ids.iter().copied().filter(numeric).collect();
        // Without ids, one that need not exist: it matters only that Jira answers the request.
        let asked = if ids.is_empty() { &["1"][..] } else { &ids };
        let request = match kind {
            Kind::Cloud => cloud::read_many(asked, &self.fields),
            Kind::DataCenter => data_center::read_many(asked, &self.fields),
        };
        let answer = self.sender.call(request).await?;
        let found: wire::Issues = answer.read()?;
        let found = found.issues.ok_or_else(|| answer.unreadable("it has no issues"))?;
        if let (Kind::Cloud, Some(id)) = (kind, ids.first()) {
            let answer = self.sender.call(cloud::changelog(id, 0, 1)).await?;
            let page: wire::Changelog = answer.read()?;
            page.entries().ok_or_else(|| answer.unreadable("a changelog without entries"))?;
        }
        let id = |issue: serde_json::Value| Some(serde_json::from_value::<wire::Issue>(issue).ok()?.id);
        Ok(found.into_iter().filter_map(id).collect())
    }

    /// The transitions that an issue can take now; empty also if the account may not move issues.
    ///
    /// # Errors
    /// Any.
    pub async fn available_transitions(&self, ticket_id: &str) -> Result<Vec<AvailableTransition>, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::TRANSITIONS, kind, &["issue", ticket_id, "transitions"])
            .query("expand", "transitions.fields");
        let found: wire::Transitions = self.sender.call(request).await?.read()?;
        let open = |transition: &wire::Transition| transition.is_available != Some(false);
        let way = |transition: wire::Transition| {
            let screen = transition.fields.unwrap_or_default();
            let mut fields: Vec<Field> =
                screen.into_iter().filter_map(|(id, meta)| meta.field(Some(id))).collect();
            fields.sort_by(|one, other| one.id.cmp(&other.id));
            AvailableTransition { to: transition.to.status(), fields }
        };
        Ok(found.transitions.unwrap_or_default().into_iter().filter(open).map(way).collect())
    }

    /// The language of the bridge's account, such as `de_DE`, if Jira reports it.
    ///
    /// # Errors
    /// Any.
    pub async fn locale(&self) -> Result<Option<String>, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::MYSELF, kind, &["myself"]);
        let myself: wire::Locale = self.sender.call(request).await?.read()?;
        Ok(myself.locale.map(|locale| text::single_line(&locale)))
    }
}
