//! A request to Jira, before it is sent.

use reqwest::Method;
use serde_json::Value;

use super::settings::Kind;

/// The most tickets that one request reads: Jira's limit.
pub const MAX_PER_REQUEST: usize = 100;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its label in metrics.
    pub name: &'static str,
    /// What the request does, for messages; it follows "answered 404 to".
    pub doing: &'static str,
}

/// All operations.
impl Operation {
    pub(super) const ACCESS_TOKEN: Self = Self::new("access_token", "fetching an access token");
    pub(super) const APPROVALS: Self = Self::new("approvals", "reading a request's approvals");
    pub(super) const CHANGELOG: Self = Self::new("changelog", "reading a ticket's history");
    pub(super) const CLOUD_ID: Self = Self::new("cloud_id", "reading the site's cloud id");
    pub(super) const COMMENT: Self = Self::new("comment", "writing a comment");
    pub(super) const COMMENTS: Self = Self::new("comments", "reading a ticket's comments");
    pub(super) const CREATE: Self = Self::new("create", "creating a ticket");
    pub(super) const CREATE_FIELDS: Self = Self::new("create_fields", "reading the create screen");
    pub(super) const CREATE_TYPES: Self =
        Self::new("create_types", "reading which issue types can be created");
    pub(super) const GROUPS: Self = Self::new("groups", "reading a person's groups");
    pub(super) const GROUPS_CALLED: Self = Self::new("groups_called", "looking for a group");
    pub(super) const ISSUE: Self = Self::new("issue", "reading a ticket");
    pub(super) const LABEL: Self = Self::new("label", "setting a label");
    pub(super) const LINK: Self = Self::new("link", "linking two tickets");
    pub(super) const LINK_TYPES: Self = Self::new("link_types", "reading which links there are");
    pub(super) const LOOK: Self = Self::new("look", "reading the tickets that wait");
    pub(super) const MYSELF: Self = Self::new("myself", "reading the bridge's own account");
    pub(super) const PEOPLE: Self = Self::new("people", "looking for a person");
    pub(super) const PERMISSIONS: Self = Self::new("permissions", "reading the bridge's permissions");
    pub(super) const PROJECT: Self = Self::new("project", "reading the project");
    pub(super) const PROJECTS: Self = Self::new("projects", "looking for projects");
    pub(super) const ROLE: Self = Self::new("role", "reading a project role");
    pub(super) const SEARCH: Self = Self::new("search", "looking for a ticket");
    pub(super) const SERVER_INFO: Self = Self::new("server_info", "reading Jira's server info");
    pub(super) const CREATE_REQUEST: Self = Self::new("create_request", "opening a request");
    pub(super) const REQUEST_TYPE: Self = Self::new("request_type", "reading a request type");
    pub(super) const SERVICE_DESKS: Self = Self::new("service_desks", "looking for a service desk");
    pub(super) const STATUSES: Self = Self::new("statuses", "reading the project's statuses");
    pub(super) const TRANSITION: Self = Self::new("transition", "moving a ticket");
    pub(super) const TRANSITIONS: Self = Self::new("transitions", "reading where a ticket can be moved");

    const fn new(name: &'static str, doing: &'static str) -> Self {
        Self { name, doing }
    }
}

/// A request before it has a host and credentials.
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) idempotency: Idempotency,
    pub(super) proof: SignInProof,
    pub(super) target: Target,
}

/// Where a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To Jira's API, with the bridge's credentials.
    Api,
    /// To the site at `jira.url`, without credentials.
    Site,
}

/// Whether sending the request twice has its effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// No.
    Idempotent,
    /// Yes.
    NonIdempotent,
}

/// Whether the answer must be proven to be for the bridge's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignInProof {
    /// It must.
    Required,
    /// Every caller gets the same answer.
    Optional,
}

impl Request {
    /// A request that reads.
    pub(super) fn get(operation: Operation, kind: Kind, path: &[&str]) -> Self {
        Self::new(operation, Method::GET, kind, path)
    }

    /// A request for the site's cloud id, which everybody may read.
    pub(super) fn cloud_id() -> Self {
        let path = ["_edge", "tenant_info"].map(str::to_owned).to_vec();
        let asked = Self::get(Operation::CLOUD_ID, Kind::Cloud, &[]);
        Self { path, proof: SignInProof::Optional, target: Target::Site, ..asked }
    }

    /// A request that creates something, or a query in a body.
    pub(super) fn post(operation: Operation, kind: Kind, path: &[&str]) -> Self {
        Self::new(operation, Method::POST, kind, path)
    }

    /// A request that changes something.
    pub(super) fn put(operation: Operation, kind: Kind, path: &[&str]) -> Self {
        Self::new(operation, Method::PUT, kind, path)
    }

    /// A request under `/rest/api/2` or `/3`, whichever this kind of Jira has.
    fn new(operation: Operation, method: Method, kind: Kind, path: &[&str]) -> Self {
        let mut segments = vec!["rest".to_owned(), "api".to_owned(), kind.api().to_owned()];
        segments.extend(path.iter().map(|segment| (*segment).to_owned()));
        let (query, body, repeat, proof) = (vec![], None, Idempotency::Idempotent, SignInProof::Required);
        let target = Target::Api;
        Self { operation, method, path: segments, query, body, idempotency: repeat, proof, target }
    }

    /// A request to Jira Service Management, which has one version for both kinds of Jira.
    pub(super) fn desk(operation: Operation, method: Method, path: &[&str]) -> Self {
        let mut request = Self::new(operation, method, Kind::Cloud, path);
        request.path.splice(..3, ["rest".to_owned(), "servicedeskapi".to_owned()]);
        request
    }

    /// With one more parameter.
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// With a JSON body.
    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Not idempotent: it emits the `step` events `sending` and `answered`.
    pub(super) fn non_idempotent(self) -> Self {
        Self { idempotency: Idempotency::NonIdempotent, ..self }
    }

    /// Needs no proof, because an anonymous caller gets the same answer.
    pub(super) fn without_proof(self) -> Self {
        Self { proof: SignInProof::Optional, ..self }
    }
}
