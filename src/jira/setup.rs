//! Requests that show whether the configuration fits Jira.

use std::collections::BTreeMap;

use super::{
    client::Jira,
    error::{Error, Lookup, Suggestion},
    field::Field,
    request::{Operation, Request},
    settings::Kind,
    wire,
};
use crate::{gate::Browse, policy::Status, text};

/// The statuses that issues of one type can have in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// The id of the issue type.
    pub issue_type_id: String,
    /// Its name.
    pub issue_type_name: String,
    /// All statuses of its workflow.
    pub statuses: Vec<Status>,
    /// The categories that Jira reports for them (`new`, `indeterminate`, `done`), by status id.
    pub categories: BTreeMap<String, String>,
    /// Whether its issues need a parent.
    pub subtask: bool,
    /// The names of the project's other types.
    pub other_types: Vec<String>,
    /// The statuses of the other types, each with the name of its type.
    pub elsewhere: Vec<(String, Status)>,
}

/// Which of [`NEEDED`] the bridge has in a project; a permission that Jira does not report is absent.
pub type Permissions = BTreeMap<&'static str, bool>;

/// The permission to see a project's issues.
pub(super) const BROWSE: &str = "BROWSE_PROJECTS";

/// The permissions that the bridge needs in a project.
pub const NEEDED: [&str; 6] =
    [BROWSE, "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES", "LINK_ISSUES"];

impl Jira {
    /// Whether the bridge's account may browse a project. Unproven also if Jira does not show the project.
    ///
    /// # Errors
    /// Any.
    pub async fn browse_permission(&self, project: &str) -> Result<Browse, Error> {
        match self.permissions(project).await {
            Ok(has) if has.get(BROWSE) == Some(&true) => Ok(Browse::Proven),
            Err(error) if !error.is_missing() => Err(error),
            Ok(_) | Err(_) => Ok(Browse::Unproven),
        }
    }

    /// The statuses of an issue type, given by id or name, in a project.
    ///
    /// # Errors
    /// Any; [`Error::NotFound`] if there is no such project or type, or if several types have the name.
    pub async fn workflow(&self, project: &str, issue_type: &str) -> Result<Workflow, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::STATUSES, kind, &["project", project, "statuses"]);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => {
                let what = format!(
                    "project {project:?} to this account: is the key spelled with the right case, and may the \
                     account browse the project?"
                );
                return Err(Error::NotFound { lookup: Lookup::Project, what, candidates: vec![] });
            }
            other => other?,
        };
        let types: Vec<wire::IssueType> = answer.read()?;
        if types.is_empty() {
            return Err(answer.unreadable("a project without issue types"));
        }
        pick_issue_type(types, project, issue_type)
    }

    /// The bridge's permissions in a project.
    ///
    /// # Errors
    /// Any.
    pub async fn permissions(&self, project: &str) -> Result<Permissions, Error> {
        let kind = self.kind().await?;
        let mut request =
            Request::get(Operation::PERMISSIONS, kind, &["mypermissions"]).query("projectKey", project);
        if kind == Kind::Cloud {
            request = request.query("permissions", NEEDED.join(","));
        }
        let answer = self.sender.call(request).await?;
        let granted: wire::Permissions = answer.read()?;
        let granted = granted.permissions.ok_or_else(|| answer.unreadable("it has no permissions"))?;
        Ok(NEEDED.iter().filter_map(|name| Some((*name, granted.get(*name)?.have_permission))).collect())
    }

    /// The fields of the create screen of an issue type, given by id. Empty if the account may not create issues there.
    ///
    /// # Errors
    /// Any.
    pub async fn create_fields(&self, project: &str, issue_type_id: &str) -> Result<Vec<Field>, Error> {
        let kind = self.kind().await?;
        let path = ["issue", "createmeta", project, "issuetypes", issue_type_id];
        let (mut fields, mut start) = (vec![], 0);
        loop {
            let request = Request::get(Operation::CREATE_FIELDS, kind, &path)
                .query("startAt", start.to_string())
                .query("maxResults", "200");
            let page: wire::CreateFields = self.sender.call(request).await?.read()?;
            let total = page.total;
            let metas = page.all();
            start += metas.len();
            let end = metas.is_empty() || total.is_none_or(|total| start >= total);
            fields.extend(metas.into_iter().filter_map(|meta| meta.field(None)));
            if end {
                return Ok(fields);
            }
        }
    }
}

/// The one issue type with this id or name, and its workflow.
pub(super) fn pick_issue_type(
    types: Vec<wire::IssueType>,
    project: &str,
    wanted: &str,
) -> Result<Workflow, Error> {
    let wanted = wanted.trim();
    let name = |found: &wire::IssueType| text::single_line(&found.named.name);
    let by = |is: &dyn Fn(&wire::IssueType) -> bool| -> Vec<usize> {
        (0..types.len()).filter(|at| types.get(*at).is_some_and(is)).collect()
    };
    let mut meant = by(&|found| found.named.id == wanted);
    if meant.is_empty() {
        meant = by(&|found| name(found) == wanted);
    }
    if meant.is_empty() {
        meant = by(&|found| name(found).to_lowercase() == wanted.to_lowercase());
    }
    if let [one] = meant.as_slice() {
        let mut types = types;
        let found = types.swap_remove(*one);
        let mut other_types: Vec<String> = types.iter().map(name).collect();
        other_types.sort();
        let elsewhere = types.iter_mut().flat_map(|other| {
            let (name, theirs) = (name(other), other.statuses.take().unwrap_or_default());
            theirs.into_iter().map(move |stand| (name.clone(), stand.named.status()))
        });
        let elsewhere = elsewhere.collect();
        let mut categories = BTreeMap::new();
        let mut statuses = vec![];
        let subtask = found.is_subtask();
        for stand in found.statuses.unwrap_or_default() {
            categories.extend(stand.category().map(|key| (stand.named.id.clone(), key)));
            statuses.push(stand.named.status());
        }
        return Ok(Workflow {
            issue_type_name: text::single_line(&found.named.name),
            issue_type_id: found.named.id,
            statuses,
            categories,
            subtask,
            other_types,
            elsewhere,
        });
    }
    let candidate =
        |found: &wire::IssueType| Suggestion { name: name(found), id: Some(found.named.id.clone()) };
    let (what, mut candidates): (_, Vec<Suggestion>) = if meant.is_empty() {
        (format!("issue type {wanted:?} in project {project}"), types.iter().map(candidate).collect())
    } else {
        let same = meant.iter().filter_map(|at| types.get(*at));
        (
            format!("single issue type {wanted:?} in project {project}, put an id there instead"),
            same.map(candidate).collect(),
        )
    };
    candidates.sort_by_cached_key(Suggestion::to_string);
    Err(Error::NotFound { lookup: Lookup::IssueType, what, candidates })
}
