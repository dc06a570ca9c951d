//! What is asked of Jira to know whether the configuration fits it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{
    Account, Jira, Kind,
    error::{Candidate, Error, Thing},
    request::{Operation, Request},
    web_address, wire,
};
use crate::{millis::Millis, policy::Status, text};

/// The statuses that issues of one type can have in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// The id of the issue type.
    pub issue_type_id: String,
    /// Its name.
    pub issue_type_name: String,
    /// All statuses of its workflow.
    pub statuses: Vec<Status>,
    /// The categories of those that Jira tells one of (`new`, `indeterminate`, `done`), by id.
    pub categories: BTreeMap<String, String>,
    /// Whether its issues need a parent.
    pub subtask: bool,
    /// The names of the project's other types.
    pub other_types: Vec<String>,
    /// The statuses of those, each with the name of the type.
    pub elsewhere: Vec<(String, Status)>,
}

/// What Jira says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which kind it says it is, whatever is configured.
    pub kind: Kind,
    /// Its version, if it tells.
    pub version: Option<String>,
    /// Its title, if it tells.
    pub title: Option<String>,
    /// Where people find it, if it tells.
    pub base_url: Option<String>,
    /// What time it was there when it answered, if it told.
    pub date: Option<Millis>,
}

/// A field of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it must be set.
    pub required: bool,
    /// Whether Jira sets it if nobody does.
    pub has_default: bool,
    /// What its values are.
    pub shape: Shape,
    /// The values there are, if Jira lists them.
    pub allowed: Vec<Choice>,
}

/// What the values of a field are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string of one line.
    Text,
    /// A text: a document on Cloud, a string on Data Center.
    LongText,
    /// A number.
    Number,
    /// A day, `2026-01-31`.
    Date,
    /// An account.
    Person,
    /// One of several, in a table under this name; an id is known everywhere.
    Choice(&'static str),
    /// A list of such.
    List(Box<Self>),
    /// Something else, or Jira does not say.
    Unknown,
}

/// A value that a field may have, by what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its value, as options call their names.
    pub value: Option<String>,
}

/// Which of the permissions that the bridge needs it has in a project; one that Jira does not tell of is absent.
pub type Permissions = BTreeMap<&'static str, bool>;

/// What the bridge needs in a project.
pub const NEEDED: [&str; 6] =
    ["BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES", "LINK_ISSUES"];

impl Jira {
    /// What Jira says of itself. It tells strangers too.
    ///
    /// Where the kind is not known yet, a user beside the token speaks for Cloud, and a token alone for Data Center;
    /// if the API of that kind is not there, the other's is tried.
    ///
    /// # Errors
    /// Any.
    pub async fn server(&self) -> Result<Server, Error> {
        let (first, other) = match self.sender.kind.get() {
            Some(Kind::Cloud) => (Kind::Cloud, Kind::DataCenter),
            Some(Kind::DataCenter) => (Kind::DataCenter, Kind::Cloud),
            None if self.sender.has_user() => (Kind::Cloud, Kind::DataCenter),
            None => (Kind::DataCenter, Kind::Cloud),
        };
        let ask =
            |kind| self.sender.call(Request::get(Operation::SERVER_INFO, kind, &["serverInfo"]).public());
        let answer = match ask(first).await {
            Err(Error::Refused { status: 404, .. }) => ask(other).await?,
            answer => answer?,
        };
        let info: wire::ServerInfo = answer.read()?;
        let deployment = info
            .deployment_type
            .ok_or_else(|| answer.unreadable("it does not say which kind of Jira it is"))?;
        let told = if deployment.eq_ignore_ascii_case("cloud") { Kind::Cloud } else { Kind::DataCenter };
        // What was configured, or told first, stays.
        let _ = self.sender.kind.set(told);
        if self.sender.is_gateway()
            && let Some(site) = info.base_url.as_deref().and_then(web_address)
        {
            let _ = self.site.set(site);
        }
        let line = |text: Option<String>| text.map(|text| text::line(&text));
        Ok(Server {
            kind: told,
            version: line(info.version),
            title: line(info.server_title),
            base_url: line(info.base_url),
            date: answer.date,
        })
    }

    /// Who we are; asked once.
    ///
    /// # Errors
    /// Any.
    pub async fn account(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.account().await
    }

    /// Who we are, asked anew.
    ///
    /// # Errors
    /// Any.
    pub async fn myself(&self) -> Result<Account, Error> {
        self.kind().await?;
        self.sender.prove(Instant::now()).await?;
        self.sender.account().await
    }

    /// The statuses of an issue type, given by id or name, in a project.
    ///
    /// # Errors
    /// Any; [`Error::NotFound`] if there is no such project or type, or if the name is that of several types.
    pub async fn workflow(&self, project: &str, issue_type: &str) -> Result<Workflow, Error> {
        let kind = self.kind().await?;
        let request = Request::get(Operation::STATUSES, kind, &["project", project, "statuses"]);
        let answer = match self.sender.call(request).await {
            Err(error) if error.is_missing() => {
                let what = format!(
                    "project {project:?} to this account: is the key spelled with the right case, and may the \
                     account browse the project?"
                );
                return Err(Error::NotFound { thing: Thing::Project, what, candidates: vec![] });
            }
            other => other?,
        };
        let types: Vec<wire::IssueType> = answer.read()?;
        if types.is_empty() {
            return Err(answer.unreadable("a project without issue types"));
        }
        pick(types, project, issue_type)
    }

    /// Which permissions we have in a project.
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
        let told: wire::Permissions = answer.read()?;
        let told = told.permissions.ok_or_else(|| answer.unreadable("it has no permissions"))?;
        Ok(NEEDED.iter().filter_map(|name| Some((*name, told.get(*name)?.have_permission))).collect())
    }

    /// The fields of the create screen of an issue type, given by id. None if we may not create issues there.
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

/// The one type that is meant.
pub(super) fn pick(types: Vec<wire::IssueType>, project: &str, wanted: &str) -> Result<Workflow, Error> {
    let wanted = wanted.trim();
    let name = |found: &wire::IssueType| text::line(&found.named.name);
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
            issue_type_name: text::line(&found.named.name),
            issue_type_id: found.named.id,
            statuses,
            categories,
            subtask,
            other_types,
            elsewhere,
        });
    }
    let candidate =
        |found: &wire::IssueType| Candidate { name: name(found), id: Some(found.named.id.clone()) };
    let (what, mut candidates): (_, Vec<Candidate>) = if meant.is_empty() {
        (format!("issue type {wanted:?} in project {project}"), types.iter().map(candidate).collect())
    } else {
        let same = meant.iter().filter_map(|at| types.get(*at));
        (
            format!("single issue type {wanted:?} in project {project}, put an id there instead"),
            same.map(candidate).collect(),
        )
    };
    candidates.sort_by_cached_key(Candidate::to_string);
    Err(Error::NotFound { thing: Thing::IssueType, what, candidates })
}
