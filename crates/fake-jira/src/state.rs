//! The state of the fake Jira, and the functions that change an issue.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{
    approval::{Approval, Desk},
    delivery::{Delivery, PendingDelivery, Webhook},
    fault::PlannedFault,
    model::{
        AUTOMATION, AccountKind, BOB, BRIDGE, Change, Comment, Field, Flavour, History, IssueView, Link, MIA,
        Person, Setup, Status, Workflow,
    },
    oauth_client::OAuthClient,
    recorded::Recorded,
    time::{EpochMillis, TimeSource},
};

pub(super) struct Group {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) members: Vec<String>,
}

pub(super) struct Role {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) people: Vec<String>,
    pub(super) groups: Vec<String>,
}

#[derive(Clone)]
pub(super) struct IssueType {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) translated: String,
    pub(super) workflow: Workflow,
    pub(super) screen: Vec<Field>,
    /// A sub-task type: its issues need a parent.
    pub(super) subtask: bool,
    /// Whether issues of this type can be created in the project.
    pub(super) creatable: bool,
}

pub(super) struct Project {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) types: Vec<IssueType>,
    pub(super) roles: Vec<Role>,
    /// The number in the newest issue key.
    pub(super) last_issue_number: u64,
    /// Permissions that the bridge's account does not have in this project.
    pub(super) revoked: HashSet<String>,
    /// Cloud: a team-managed project (`next-gen`).
    pub(super) team_managed: bool,
    /// Whether the project is archived. Lists of projects omit it.
    pub(super) archived: bool,
    /// Its service desk, if it has one.
    pub(super) desk: Option<Desk>,
}

#[derive(Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) old_keys: Vec<String>,
    pub(super) project: String,
    /// Id of its issue type.
    pub(super) type_id: String,
    pub(super) status: String,
    pub(super) summary: String,
    pub(super) description: Value,
    pub(super) labels: Vec<String>,
    pub(super) fields: Map<String, Value>,
    pub(super) properties: BTreeMap<String, Value>,
    pub(super) comments: Vec<Comment>,
    pub(super) creator: String,
    pub(super) created: EpochMillis,
    pub(super) updated: EpochMillis,
    pub(super) histories: Vec<History>,
    /// Hidden from the bridge's account, as issue security does.
    pub(super) hidden: bool,
    /// Oldest first.
    pub(super) approvals: Vec<Approval>,
    /// Jira answers 500 to every request whose answer would contain this issue.
    pub(super) broken: bool,
}

pub(super) struct State {
    pub(super) flavour: Flavour,
    pub(super) time: TimeSource,
    pub(super) user: String,
    pub(super) token: String,
    pub(super) password: Option<String>,
    pub(super) context_path: String,
    /// The base URL, with the context path, without a trailing slash.
    pub(super) base_url: String,
    /// The base URL that `serverInfo` reports, if it differs from `base_url`.
    pub(super) public_base_url: Option<String>,
    /// How a proxy changes each issue in an answer.
    pub(super) tamper: Option<fn(&mut Value)>,
    /// The OAuth client of the service account that is the bridge's account.
    pub(super) oauth: Option<OAuthClient>,
    pub(super) first_issue: u64,
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
    pub(super) projects: Vec<Project>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) links: Vec<Link>,
    /// Whether issue linking is enabled.
    pub(super) linking_enabled: bool,
    /// The name of the link type "Relates"; `None` if it was deleted.
    pub(super) relates_name: Option<String>,
    pub(super) next_issue: u64,
    pub(super) last_id: u64,
    pub(super) requests: Vec<Recorded>,
    pub(super) complaints: Vec<String>,
    /// How many bytes of [`super::Fault::Flood`] were sent.
    pub(super) flooded_bytes: u64,
    /// A fault delays the answer to the last request.
    pub(super) answer_delayed: bool,
    /// How many answers [`super::Fault::Held`] holds back.
    pub(super) held_answers: usize,
    /// Notifies the tasks that hold answers back to send them.
    pub(super) released: watch::Sender<()>,
    pub(super) faults: Vec<PlannedFault>,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) pending_deliveries: Vec<PendingDelivery>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) index_lag: Duration,
    /// The issues in the search index while the index is frozen.
    pub(super) frozen_index: Option<BTreeMap<u64, Issue>>,
    /// A proxy removes the headers that name the account.
    pub(super) account_headers_hidden: bool,
    /// How many milliseconds the `Date` header is ahead of the time.
    pub(super) date_skew: i64,
    pub(super) page_size: usize,
    pub(super) translated: bool,
    /// The bridge's account lacks the global permission "Browse users and groups".
    pub(super) cannot_browse_users: bool,
    /// The `nextPageToken`s that were issued, each with its JQL and offset.
    pub(super) page_tokens: HashMap<String, (String, usize)>,
}

impl State {
    pub(super) fn new(setup: Setup) -> Self {
        let mut bridge = Person::new(BRIDGE, "flagger-bridge", "Flagger Bridge");
        bridge.email.clone_from(&setup.user);
        let mut automation = Person::new(AUTOMATION, "automation", "Automation for Jira");
        automation.kind = AccountKind::App;
        let people = vec![
            Person::new(MIA, "mia", "Mia Change"),
            Person::new(BOB, "bob", "Bob Builder"),
            bridge,
            automation,
        ];
        Self {
            flavour: setup.flavour,
            time: setup.time,
            user: setup.user,
            token: setup.token,
            password: setup.password,
            base_url: format!("http://127.0.0.1{}", setup.context),
            public_base_url: None,
            tamper: None,
            oauth: None,
            first_issue: setup.first_issue,
            context_path: setup.context,
            people,
            groups: vec![Group {
                name: "jira-users".into(),
                id: "276f955c-63d7-42c8-9520-92d01dca0625".into(),
                members: vec![MIA.into(), BOB.into(), BRIDGE.into()],
            }],
            projects: vec![project("10000", "OPS", "Operations"), project("10001", "PAY", "Payments")],
            issues: BTreeMap::new(),
            links: Vec::new(),
            linking_enabled: true,
            relates_name: Some("Relates".into()),
            next_issue: setup.first_issue,
            last_id: 10_100,
            requests: Vec::new(),
            complaints: Vec::new(),
            flooded_bytes: 0,
            answer_delayed: false,
            held_answers: 0,
            released: watch::Sender::new(()),
            faults: Vec::new(),
            webhooks: Vec::new(),
            pending_deliveries: Vec::new(),
            deliveries: Vec::new(),
            index_lag: Duration::ZERO,
            frozen_index: None,
            account_headers_hidden: false,
            date_skew: 0,
            page_size: 1000,
            translated: false,
            cannot_browse_users: false,
            page_tokens: HashMap::new(),
        }
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn project(&self, key: &str) -> Option<&Project> {
        self.projects.iter().find(|p| p.key == key)
    }

    /// By key, ignoring case, or by id.
    pub(super) fn project_by_key_or_id(&self, key_or_id: &str) -> Option<&Project> {
        self.projects.iter().find(|p| p.key.eq_ignore_ascii_case(key_or_id) || p.id == key_or_id)
    }

    pub(super) fn issue_type(&self, project: &str, id: &str) -> Option<&IssueType> {
        self.project(project)?.types.iter().find(|t| t.id == id)
    }

    pub(super) fn workflow_of(&self, issue: &Issue) -> Option<&Workflow> {
        Some(&self.issue_type(&issue.project, &issue.type_id)?.workflow)
    }

    pub(super) fn status_of(&self, issue: &Issue) -> Option<&Status> {
        self.workflow_of(issue)?.status(&issue.status)
    }

    /// By account id, user name or e-mail address.
    pub(super) fn person(&self, account: &str) -> Option<&Person> {
        self.people
            .iter()
            .find(|p| p.account_id == account || p.name == account || p.email.eq_ignore_ascii_case(account))
    }

    /// By id, by key, or by a key that the issue had before a move.
    pub(super) fn find_issue(&self, id_or_key: &str) -> Option<u64> {
        if let Ok(id) = id_or_key.parse::<u64>() {
            return self.issues.contains_key(&id).then_some(id);
        }
        let now = self.issues.values().find(|i| i.key.eq_ignore_ascii_case(id_or_key));
        let before =
            || self.issues.values().find(|i| i.old_keys.iter().any(|k| k.eq_ignore_ascii_case(id_or_key)));
        now.or_else(before).map(|i| i.id)
    }

    /// Whether the account has the permission in the project. Anonymous callers have none.
    pub(super) fn has_permission(&self, account: Option<&str>, project: &str, permission: &str) -> bool {
        let Some(project) = self.project(project) else { return false };
        account.is_some_and(|account| account != BRIDGE || !project.revoked.contains(permission))
    }

    pub(super) fn can_see(&self, account: Option<&str>, issue: &Issue) -> bool {
        self.has_permission(account, &issue.project, "BROWSE_PROJECTS")
            && !(issue.hidden && account.is_none_or(|w| w == BRIDGE))
    }

    /// The issue, if it exists and the account can see it.
    pub(super) fn visible_issue(&self, account: Option<&str>, id_or_key: &str) -> Option<&Issue> {
        let issue = self.issues.get(&self.find_issue(id_or_key)?)?;
        self.can_see(account, issue).then_some(issue)
    }

    /// Takes the next issue key of a project.
    pub(super) fn next_issue_key(&mut self, project: &str) -> String {
        let number = self.projects.iter_mut().find(|p| p.key == project).map_or(1, |p| {
            p.last_issue_number += 1;
            p.last_issue_number
        });
        format!("{project}-{number}")
    }

    /// Adds an issue and queues the webhook event.
    pub(super) fn insert_issue(&mut self, issue: Issue) -> u64 {
        let id = issue.id;
        let creator = issue.creator.clone();
        self.issues.insert(id, issue);
        self.queue_event("jira:issue_created", id, Some(&creator), None);
        id
    }

    /// Writes one changelog entry for the changes and queues the webhook event. Does nothing if there are no changes.
    pub(super) fn record_changes(&mut self, id: u64, author: Option<&str>, items: Vec<Change>) {
        if items.is_empty() {
            return;
        }
        let now = self.time.now();
        let author_id = author.map(str::to_owned);
        let entry =
            History { id: self.new_id(), author: author_id, created: now, items, raw_items: Vec::new() };
        if let Some(issue) = self.issues.get_mut(&id) {
            issue.updated = now;
            issue.histories.push(entry.clone());
        }
        self.queue_event("jira:issue_updated", id, author, Some(&entry));
    }

    /// Sets the status. Returns the change, or `None` if the issue already has this status.
    pub(super) fn set_status(&mut self, id: u64, status: &Status) -> Option<Change> {
        let before = self.issues.get(&id).and_then(|i| self.status_of(i)).cloned();
        let issue = self.issues.get_mut(&id)?;
        let from = std::mem::replace(&mut issue.status, status.id.clone());
        (from != status.id).then(|| Change {
            field: "status".into(),
            custom: None,
            from_string: before.map(|s| s.name),
            from: Some(from),
            to: Some(status.id.clone()),
            to_string: Some(status.name.clone()),
        })
    }

    /// Sets the labels. Returns the change, or `None` if the labels were the same.
    pub(super) fn set_labels(&mut self, id: u64, labels: Vec<String>) -> Option<Change> {
        let issue = self.issues.get_mut(&id)?;
        let before = std::mem::replace(&mut issue.labels, labels);
        (before != issue.labels).then(|| Change {
            field: "labels".into(),
            custom: None,
            from: Some(String::new()),
            from_string: Some(before.join(" ")),
            to: Some(String::new()),
            to_string: Some(issue.labels.join(" ")),
        })
    }

    /// Deletes an issue with its links and queues the webhook event.
    pub(super) fn remove_issue(&mut self, id: u64, account: Option<&str>) {
        self.queue_event("jira:issue_deleted", id, account, None);
        self.issues.remove(&id);
        let removed = id.to_string();
        self.links.retain(|l| l.inward != removed && l.outward != removed);
    }

    pub(super) fn view(&self, id: u64) -> Option<IssueView> {
        let issue = self.issues.get(&id)?;
        let status = self.status_of(issue);
        let id_string = id.to_string();
        Some(IssueView {
            key: issue.key.clone(),
            project: issue.project.clone(),
            issue_type: self
                .issue_type(&issue.project, &issue.type_id)
                .map_or_else(String::new, |t| t.name.clone()),
            status: status.map_or_else(String::new, |s| s.name.clone()),
            status_id: issue.status.clone(),
            summary: issue.summary.clone(),
            description: issue.description.clone(),
            labels: issue.labels.clone(),
            fields: issue.fields.clone(),
            properties: issue.properties.clone(),
            comments: issue.comments.clone(),
            links: self
                .links
                .iter()
                .filter(|l| l.inward == id_string || l.outward == id_string)
                .cloned()
                .collect(),
            creator: issue.creator.clone(),
            created: issue.created,
            changelog: issue.histories.clone(),
            id: id_string,
        })
    }
}

fn project(id: &str, key: &str, name: &str) -> Project {
    let kind = |id: &str, name: &str, translated: &str| IssueType {
        id: id.into(),
        name: name.into(),
        translated: translated.into(),
        workflow: Workflow::change(),
        screen: Field::create_screen(),
        subtask: false,
        creatable: true,
    };
    Project {
        id: id.into(),
        key: key.into(),
        name: name.into(),
        types: vec![kind("10004", "Change", "Änderung"), kind("10002", "Task", "Aufgabe")],
        roles: vec![
            Role { id: 10_002, name: "Administrators".into(), people: vec![MIA.into()], groups: Vec::new() },
            Role {
                id: 10_001,
                name: "Developers".into(),
                people: Vec::new(),
                groups: vec!["jira-users".into()],
            },
        ],
        last_issue_number: 0,
        revoked: HashSet::new(),
        team_managed: false,
        archived: false,
        desk: None,
    }
}
