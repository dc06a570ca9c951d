//! Jira's objects, as its administrators and the tests see them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::time::{EpochMillis, TimeSource};

/// Account id of `mia`, "Mia Change": the change manager.
pub const MIA: &str = "5b10ac8d82e05b22cc7d4e01";
/// Account id of `bob`, "Bob Builder": a developer.
pub const BOB: &str = "5b10ac8d82e05b22cc7d4e02";
/// Account id of `flagger-bridge`, the account that the bridge authenticates as.
pub const BRIDGE: &str = "5b10ac8d82e05b22cc7d4e99";
/// Account id of `automation`, the app that Automation rules run as.
pub const AUTOMATION: &str = "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077";

/// The kind of Jira.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// REST v3, ADF, account ids.
    Cloud,
    /// REST v2, wiki markup, user names.
    DataCenter,
}

/// The settings of a [`super::FakeJira`].
#[derive(Clone, Debug)]
pub struct Setup {
    /// Cloud or Data Center.
    pub flavour: Flavour,
    /// The clock.
    pub time: TimeSource,
    /// Cloud: the e-mail address of the account that owns the token. Not used on Data Center.
    pub user: String,
    /// Cloud: the API token. Data Center: the personal access token.
    pub token: String,
    /// Data Center: the password of `flagger-bridge` for Basic authentication; `None` disables Basic authentication.
    pub password: Option<String>,
    /// The context path: empty, or a path such as `/jira`.
    pub context: String,
    /// The id of the first issue.
    pub first_issue: u64,
}

impl Setup {
    /// A Jira at the root path, with the user `bridge@example.com` and the token `jira-token`.
    #[must_use]
    pub fn new(flavour: Flavour, time: impl Into<TimeSource>) -> Self {
        Self {
            flavour,
            time: time.into(),
            user: "bridge@example.com".into(),
            token: "jira-token".into(),
            password: None,
            context: String::new(),
            first_issue: 10_042,
        }
    }
}

/// The `accountType` of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A person (`atlassian`).
    Person,
    /// An app, such as automation rules (`app`).
    App,
    /// A customer of a service desk (`customer`).
    Customer,
    /// `unknown`.
    Unknown,
    /// `accountType` is `null`.
    Null,
    /// `accountType` is missing.
    Omitted,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The account id. Data Center does not show it; tests use it there too.
    pub account_id: String,
    /// The user name. Cloud does not show it; tests use it there too.
    pub name: String,
    /// The display name.
    pub display: String,
    /// The e-mail address.
    pub email: String,
    /// The kind of account.
    pub kind: AccountKind,
    /// Whether the account is active.
    pub active: bool,
    /// Whether Cloud shows the e-mail address to other users, which few users allow. Data Center always shows it.
    pub shows_email: bool,
}

impl Person {
    /// An active person.
    #[must_use]
    pub fn new(account_id: &str, name: &str, display: &str) -> Self {
        Self {
            account_id: account_id.into(),
            name: name.into(),
            display: display.into(),
            email: format!("{name}@example.com"),
            kind: AccountKind::Person,
            active: true,
            shows_email: false,
        }
    }
}

/// The category of a status, which sets its colour on boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// "To Do", grey.
    New,
    /// "In Progress", yellow.
    Indeterminate,
    /// "Done", green. Rejected and cancelled are in this category too.
    Done,
}

/// A status of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The id, a number in a string.
    pub id: String,
    /// The English name.
    pub name: String,
    /// The German name, see [`super::FakeJira::set_translated`].
    pub translated: String,
    /// The category.
    pub category: Category,
}

impl Status {
    /// A status whose name is the same in every language.
    #[must_use]
    pub fn new(id: &str, name: &str, category: Category) -> Self {
        Self { id: id.into(), name: name.into(), translated: name.into(), category }
    }
}

/// A transition of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The id, a number in a string.
    pub id: String,
    /// The label of its button.
    pub name: String,
    /// Ids of the statuses it leads from; empty for a global transition, which leads from every status except its
    /// target.
    pub from: Vec<String>,
    /// Id of the status it leads to.
    pub to: String,
    /// The fields on its screen; empty if it has no screen.
    pub fields: Vec<Field>,
}

impl Transition {
    /// A global transition without a screen.
    #[must_use]
    pub fn global(id: &str, name: &str, to: &str) -> Self {
        Self { id: id.into(), name: name.into(), from: Vec::new(), to: to.into(), fields: Vec::new() }
    }
}

/// The statuses and transitions of one issue type in one project. New issues get the first status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workflow {
    /// The statuses.
    pub statuses: Vec<Status>,
    /// The transitions.
    pub transitions: Vec<Transition>,
}

impl Workflow {
    /// A workflow with the statuses To Do, In Review, Approved, Rejected, Done and Cancelled, and a global transition
    /// to each.
    #[must_use]
    pub fn change() -> Self {
        let mut statuses = Vec::new();
        let mut transitions = Vec::new();
        for (status, name, translated, category, transition, verb) in [
            ("10001", "To Do", "Zu erledigen", Category::New, "11", "Reopen"),
            ("10003", "In Review", "In Prüfung", Category::Indeterminate, "21", "Review"),
            ("10007", "Approved", "Genehmigt", Category::Done, "31", "Approve"),
            ("10008", "Rejected", "Abgelehnt", Category::Done, "41", "Reject"),
            ("10009", "Done", "Erledigt", Category::Done, "51", "Finish"),
            ("10010", "Cancelled", "Abgebrochen", Category::Done, "61", "Cancel"),
        ] {
            statuses.push(Status { translated: translated.into(), ..Status::new(status, name, category) });
            transitions.push(Transition::global(transition, verb, status));
        }
        Self { statuses, transitions }
    }

    /// The status with this id, or with this English name, ignoring case.
    #[must_use]
    pub fn status(&self, id_or_name: &str) -> Option<&Status> {
        self.statuses.iter().find(|s| s.id == id_or_name || s.name.eq_ignore_ascii_case(id_or_name))
    }
}

/// The type of a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string of one line.
    Text,
    /// Rich text: ADF on Cloud, wiki markup on Data Center.
    Paragraph,
    /// An array of strings without spaces.
    Labels,
    /// One of these names: `{"value": …}` or `{"id": …}`; ids count from 1. The built-in fields priority and resolution take
    /// `name` in place of `value`.
    Select(Vec<String>),
    /// An array of such values. The built-in fields components, versions and fixVersions take `name` in place of `value`.
    MultiSelect(Vec<String>),
    /// A number.
    Number,
    /// A date with a time and an offset: `2026-01-31T09:00:00.000+0100`.
    DateTime,
    /// An account: `{"accountId": …}` or `{"id": …}` on Cloud, `{"name": …}` on Data Center.
    User,
    /// An array of accounts.
    Users,
    /// `{"key": …}` or `{"id": …}`.
    Project,
    /// `{"id": …}` or `{"name": …}`.
    IssueType,
}

/// A field of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The id, such as `summary` or `customfield_10010`.
    pub id: String,
    /// The name that Jira shows.
    pub name: String,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether Jira sets a default if the field is missing.
    pub has_default: bool,
    /// The type of its value.
    pub shape: Shape,
}

impl Field {
    /// The schema type of a built-in field with options; `None` for other fields.
    pub(super) fn built_in_option_type(&self) -> Option<&'static str> {
        match self.id.as_str() {
            "priority" => Some("priority"),
            "resolution" => Some("resolution"),
            "components" => Some("component"),
            "versions" | "fixVersions" => Some("version"),
            _ => None,
        }
    }

    /// An optional field.
    #[must_use]
    pub fn optional(id: &str, name: &str, shape: Shape) -> Self {
        Self { id: id.into(), name: name.into(), required: false, has_default: false, shape }
    }

    /// A required field without a default.
    #[must_use]
    pub fn required(id: &str, name: &str, shape: Shape) -> Self {
        Self { required: true, ..Self::optional(id, name, shape) }
    }

    /// The create screen of a new project: summary, description, labels and the fields that Jira always has there.
    #[must_use]
    pub fn create_screen() -> Vec<Self> {
        vec![
            Self::required("project", "Project", Shape::Project),
            Self::required("issuetype", "Issue Type", Shape::IssueType),
            Self::required("summary", "Summary", Shape::Text),
            Self { has_default: true, ..Self::required("reporter", "Reporter", Shape::User) },
            Self::optional("description", "Description", Shape::Paragraph),
            Self::optional("labels", "Labels", Shape::Labels),
        ]
    }
}

/// One changed field of a changelog entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The field's name in the changelog, such as `status`, `labels` or `Key`.
    pub field: String,
    /// The id of a custom field, then `field` is its name; `None` for a built-in field.
    pub custom: Option<String>,
    /// The id of the value before.
    pub from: Option<String>,
    /// The text of the value before.
    pub from_string: Option<String>,
    /// The id of the value after.
    pub to: Option<String>,
    /// The text of the value after.
    pub to_string: Option<String>,
}

/// An entry of an issue's changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The id, which increases across all issues.
    pub id: u64,
    /// The account id of the author; `None` if Jira no longer knows the author.
    pub author: Option<String>,
    /// When the change was made.
    pub created: EpochMillis,
    /// The changed fields.
    pub items: Vec<Change>,
    /// Further items, rendered unchanged.
    pub raw_items: Vec<Value>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// The id.
    pub id: u64,
    /// The account id of the author.
    pub author: String,
    /// ADF on Cloud, a string of wiki markup on Data Center.
    pub body: Value,
    /// The comment properties.
    pub properties: BTreeMap<String, Value>,
    /// When it was written.
    pub created: EpochMillis,
}

impl Comment {
    /// The body as text: on Cloud without markup, on Data Center the wiki markup.
    #[must_use]
    pub fn text(&self) -> String {
        super::adf::text(&self.body)
    }
}

/// A link between two issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The name of the link type, such as `Relates`.
    pub kind: String,
    /// Id of the issue on the inward side.
    pub inward: String,
    /// Id of the issue on the outward side.
    pub outward: String,
}

/// An issue as tests read it.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueView {
    /// The id, a number in a string.
    pub id: String,
    /// The current key.
    pub key: String,
    /// The key of its project.
    pub project: String,
    /// The English name of its issue type.
    pub issue_type: String,
    /// The English name of its status.
    pub status: String,
    /// The id of its status.
    pub status_id: String,
    /// The summary.
    pub summary: String,
    /// ADF on Cloud, a string on Data Center, null if there is none.
    pub description: Value,
    /// The labels, in the order in which they were set.
    pub labels: Vec<String>,
    /// All other fields that were set.
    pub fields: Map<String, Value>,
    /// The issue properties.
    pub properties: BTreeMap<String, Value>,
    /// The comments, oldest first.
    pub comments: Vec<Comment>,
    /// The links from and to this issue.
    pub links: Vec<Link>,
    /// The account id of the creator.
    pub creator: String,
    /// When it was created.
    pub created: EpochMillis,
    /// The changelog, oldest entry first.
    pub changelog: Vec<History>,
}
