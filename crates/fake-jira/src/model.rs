//! What a Jira is made of, as its administrators and the tests see it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::time::{EpochMillis, TimeSource};

/// Account id of `mia`, "Mia Change": the change manager.
pub const MIA: &str = "5b10ac8d82e05b22cc7d4e01";
/// Account id of `bob`, "Bob Builder": a developer.
pub const BOB: &str = "5b10ac8d82e05b22cc7d4e02";
/// Account id of `flagger-bridge`, the account whose token the bridge has.
pub const BRIDGE: &str = "5b10ac8d82e05b22cc7d4e99";
/// Account id of `automation`, the app that rules run as.
pub const AUTOMATION: &str = "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077";

/// Which Jira it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// REST v3, ADF, account ids.
    Cloud,
    /// REST v2, wiki markup, user names.
    DataCenter,
}

/// What a [`super::FakeJira`] starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which Jira it is.
    pub flavour: Flavour,
    /// Its time of day.
    pub time: TimeSource,
    /// Cloud: the e-mail address of the account the token belongs to. Not used on Data Center.
    pub user: String,
    /// Cloud: the API token. Data Center: the personal access token.
    pub token: String,
    /// Data Center: the password of `flagger-bridge` for Basic authentication; without one Basic is switched off.
    pub password: Option<String>,
    /// The path Jira is served under: empty, or like `/jira`.
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

/// Whether an account is a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A person (`atlassian`).
    Person,
    /// An app, such as automation rules (`app`).
    App,
    /// A customer of a service desk (`customer`).
    Customer,
    /// Cloud does not know (`unknown`).
    Unknown,
    /// Cloud says `null`.
    Null,
    /// Cloud says nothing of it.
    Omitted,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Cloud's account id; on Data Center known to tests only.
    pub account_id: String,
    /// Data Center's user name; on Cloud known to tests only.
    pub name: String,
    /// What people see.
    pub display: String,
    /// The e-mail address.
    pub email: String,
    /// Person or app.
    pub kind: AccountKind,
    /// Whether the account is still in use.
    pub active: bool,
    /// Whether others are shown the e-mail address. On Cloud people choose, and most do not; Data Center shows all.
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

/// The category of a status, by which boards are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// "To Do", grey.
    New,
    /// "In Progress", yellow.
    Indeterminate,
    /// "Done", green. Covers rejected and cancelled too.
    Done,
}

/// A status of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The id, a number in a string.
    pub id: String,
    /// The English name.
    pub name: String,
    /// The name in the other language of [`super::FakeJira::set_translated`].
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

/// A way from one status to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The id, a number in a string.
    pub id: String,
    /// What the button says.
    pub name: String,
    /// Ids of the statuses it leads from; empty: from every status but its target (Jira's global transition).
    pub from: Vec<String>,
    /// Id of the status it leads to.
    pub to: String,
    /// The fields on its screen; empty: it has no screen.
    pub fields: Vec<Field>,
}

impl Transition {
    /// A transition from every status, without a screen.
    #[must_use]
    pub fn global(id: &str, name: &str, to: &str) -> Self {
        Self { id: id.into(), name: name.into(), from: Vec::new(), to: to.into(), fields: Vec::new() }
    }
}

/// The statuses and transitions of one issue type in one project. The first status is the one new issues get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workflow {
    /// The statuses.
    pub statuses: Vec<Status>,
    /// The transitions.
    pub transitions: Vec<Transition>,
}

impl Workflow {
    /// To Do, In Review, Approved, Rejected, Done and Cancelled, each reachable from every other.
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

    /// The status of an id, or of an English name whatever its case.
    #[must_use]
    pub fn status(&self, id_or_name: &str) -> Option<&Status> {
        self.statuses.iter().find(|s| s.id == id_or_name || s.name.eq_ignore_ascii_case(id_or_name))
    }
}

/// What a field's value must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One line, a string.
    Text,
    /// Rich text: ADF on Cloud, wiki markup on Data Center.
    Paragraph,
    /// An array of strings without spaces.
    Labels,
    /// `{"name": …}`, `{"value": …}` or `{"id": …}` of one of these names; ids count from 1. Priority and resolution, which are
    /// Jira's own, have no value.
    Select(Vec<String>),
    /// A number.
    Number,
    /// An account: `{"accountId": …}` or `{"id": …}` on Cloud, `{"name": …}` on Data Center.
    User,
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
    /// What people see.
    pub name: String,
    /// Whether it must have a value.
    pub required: bool,
    /// Whether Jira fills it in when it is left out.
    pub has_default: bool,
    /// What its value looks like.
    pub shape: Shape,
}

impl Field {
    /// The kind of those fields of Jira's own that offer a choice.
    pub(super) fn own_kind(&self) -> Option<&'static str> {
        ["priority", "resolution"].into_iter().find(|own| *own == self.id)
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

    /// The create screen projects start with: summary, description, labels and the fields Jira always has there.
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
    /// The field as the changelog names it, such as `status`, `labels` or `Key`.
    pub field: String,
    /// The id of a custom field, of which `field` is the name; none: one of Jira's own.
    pub custom: Option<String>,
    /// The value before, as an id.
    pub from: Option<String>,
    /// The value before, as people see it.
    pub from_string: Option<String>,
    /// The value after, as an id.
    pub to: Option<String>,
    /// The value after, as people see it.
    pub to_string: Option<String>,
}

/// An entry of an issue's changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The id, rising through the whole Jira.
    pub id: u64,
    /// The account id of who did it; none if Jira does not know any more.
    pub author: Option<String>,
    /// When.
    pub created: EpochMillis,
    /// What changed.
    pub items: Vec<Change>,
    /// Further items, shown to the letter.
    pub raw_items: Vec<Value>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// The id.
    pub id: u64,
    /// The account id of who wrote it.
    pub author: String,
    /// ADF on Cloud, a string of wiki markup on Data Center.
    pub body: Value,
    /// Its properties.
    pub properties: BTreeMap<String, Value>,
    /// When.
    pub created: EpochMillis,
}

impl Comment {
    /// The words of it, without markup on Cloud.
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

/// An issue as a test looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueView {
    /// The id, a number in a string.
    pub id: String,
    /// The key it has now.
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
    /// The labels, in the order they were given.
    pub labels: Vec<String>,
    /// Every other field that was set.
    pub fields: Map<String, Value>,
    /// The issue properties.
    pub properties: BTreeMap<String, Value>,
    /// The comments, the oldest first.
    pub comments: Vec<Comment>,
    /// The links it is on either side of.
    pub links: Vec<Link>,
    /// The account id of who created it.
    pub creator: String,
    /// When it was created.
    pub created: EpochMillis,
    /// The changelog, the oldest entry first.
    pub changelog: Vec<History>,
}
