//! Everything the Jira in memory knows, and the few ways in which an issue changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{
    delivery::{Delivery, Hook, Outgoing},
    fault::Planned,
    model::{
        AUTOMATION, AccountKind, BOB, BRIDGE, Change, Comment, Field, Flavour, History, IssueView, Link, MIA,
        Person, Setup, Status, Workflow,
    },
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
    /// Its issues need a parent.
    pub(super) subtask: bool,
    /// Issues of it can be created in this project.
    pub(super) creatable: bool,
}

pub(super) struct Project {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) types: Vec<IssueType>,
    pub(super) roles: Vec<Role>,
    pub(super) issued: u64,
    /// Permissions that the token's account does not have here.
    pub(super) revoked: HashSet<String>,
    /// Cloud: the team looks after it by itself (`next-gen`).
    pub(super) team_managed: bool,
    /// Nothing can be changed in it any more.
    pub(super) archived: bool,
}

#[derive(Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) old_keys: Vec<String>,
    pub(super) project: String,
    pub(super) kind: String,
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
    /// Hidden from the token's account, as by issue security.
    pub(super) hidden: bool,
    /// Jira breaks on it: 500 to every request that would show it.
    pub(super) spoilt: bool,
}

pub(super) struct State {
    pub(super) flavour: Flavour,
    pub(super) time: TimeSource,
    pub(super) user: String,
    pub(super) token: String,
    pub(super) password: Option<String>,
    pub(super) context: String,
    /// Address people and REST see, with the context path, without a slash at the end.
    pub(super) base: String,
    /// What it says that its base URL is, if that is another.
    pub(super) public_base: Option<String>,
    /// What something on the way does to each issue that is read.
    pub(super) tamper: Option<fn(&mut Value)>,
    pub(super) first_issue: u64,
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
    pub(super) projects: Vec<Project>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) links: Vec<Link>,
    /// Issues can be linked.
    pub(super) linking: bool,
    /// What the link type "Relates" is called; none: it was deleted.
    pub(super) relates: Option<String>,
    pub(super) next_issue: u64,
    pub(super) next_id: u64,
    pub(super) requests: Vec<Recorded>,
    pub(super) complaints: Vec<String>,
    /// How much of a flood was taken.
    pub(super) flooded: u64,
    /// The answer to the last request takes its time.
    pub(super) silent: bool,
    /// How many answers are held back.
    pub(super) held: usize,
    /// Changes when they are let go.
    pub(super) released: watch::Sender<()>,
    pub(super) faults: Vec<Planned>,
    pub(super) hooks: Vec<Hook>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) index_lag: Duration,
    /// The issues as search knows them, while its index stands still.
    pub(super) index: Option<BTreeMap<u64, Issue>>,
    /// Something on the way takes out the headers that name the account.
    pub(super) account_headers_hidden: bool,
    /// EpochMilliseconds that the `Date` header is ahead of the time.
    pub(super) date_skew: i64,
    pub(super) page_size: usize,
    pub(super) translated: bool,
    /// The token's account has no global permission "Browse users and groups".
    pub(super) blind_to_people: bool,
    /// Search pages that were promised: token to JQL and offset.
    pub(super) pages: HashMap<String, (String, usize)>,
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
            base: format!("http://127.0.0.1{}", setup.context),
            public_base: None,
            tamper: None,
            first_issue: setup.first_issue,
            context: setup.context,
            people,
            groups: vec![Group {
                name: "jira-users".into(),
                id: "276f955c-63d7-42c8-9520-92d01dca0625".into(),
                members: vec![MIA.into(), BOB.into(), BRIDGE.into()],
            }],
            projects: vec![project("10000", "OPS", "Operations"), project("10001", "PAY", "Payments")],
            issues: BTreeMap::new(),
            links: Vec::new(),
            linking: true,
            relates: Some("Relates".into()),
            next_issue: setup.first_issue,
            next_id: 10_100,
            requests: Vec::new(),
            complaints: Vec::new(),
            flooded: 0,
            silent: false,
            held: 0,
            released: watch::Sender::new(()),
            faults: Vec::new(),
            hooks: Vec::new(),
            outgoing: Vec::new(),
            deliveries: Vec::new(),
            index_lag: Duration::ZERO,
            index: None,
            account_headers_hidden: false,
            date_skew: 0,
            page_size: 1000,
            translated: false,
            blind_to_people: false,
            pages: HashMap::new(),
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn project(&self, key: &str) -> Option<&Project> {
        self.projects.iter().find(|p| p.key == key)
    }

    /// By key, whatever its case, or by id.
    pub(super) fn project_loosely(&self, key_or_id: &str) -> Option<&Project> {
        self.projects.iter().find(|p| p.key.eq_ignore_ascii_case(key_or_id) || p.id == key_or_id)
    }

    pub(super) fn issue_type(&self, project: &str, id: &str) -> Option<&IssueType> {
        self.project(project)?.types.iter().find(|t| t.id == id)
    }

    pub(super) fn workflow_of(&self, issue: &Issue) -> Option<&Workflow> {
        Some(&self.issue_type(&issue.project, &issue.kind)?.workflow)
    }

    pub(super) fn status_of(&self, issue: &Issue) -> Option<&Status> {
        self.workflow_of(issue)?.status(&issue.status)
    }

    /// By account id, user name or e-mail address.
    pub(super) fn person(&self, who: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.account_id == who || p.name == who || p.email.eq_ignore_ascii_case(who))
    }

    /// By id or key, or by a key from before a move.
    pub(super) fn find(&self, id_or_key: &str) -> Option<u64> {
        if let Ok(id) = id_or_key.parse::<u64>() {
            return self.issues.contains_key(&id).then_some(id);
        }
        let now = self.issues.values().find(|i| i.key.eq_ignore_ascii_case(id_or_key));
        let before =
            || self.issues.values().find(|i| i.old_keys.iter().any(|k| k.eq_ignore_ascii_case(id_or_key)));
        now.or_else(before).map(|i| i.id)
    }

    /// Whether the account may do this in the project. Without logging in nothing is allowed.
    pub(super) fn may(&self, who: Option<&str>, project: &str, permission: &str) -> bool {
        let Some(project) = self.project(project) else { return false };
        who.is_some_and(|who| who != BRIDGE || !project.revoked.contains(permission))
    }

    pub(super) fn sees(&self, who: Option<&str>, issue: &Issue) -> bool {
        self.may(who, &issue.project, "BROWSE_PROJECTS") && !(issue.hidden && who.is_none_or(|w| w == BRIDGE))
    }

    /// The issue, if there is one that this account may see.
    pub(super) fn visible(&self, who: Option<&str>, id_or_key: &str) -> Option<&Issue> {
        let issue = self.issues.get(&self.find(id_or_key)?)?;
        self.sees(who, issue).then_some(issue)
    }

    /// The next key of a project.
    pub(super) fn issue_key(&mut self, project: &str) -> String {
        let number = self.projects.iter_mut().find(|p| p.key == project).map_or(1, |p| {
            p.issued += 1;
            p.issued
        });
        format!("{project}-{number}")
    }

    /// Puts a new issue in and tells the webhooks.
    pub(super) fn insert(&mut self, issue: Issue) -> u64 {
        let id = issue.id;
        let creator = issue.creator.clone();
        self.issues.insert(id, issue);
        self.announce("jira:issue_created", id, Some(&creator), None);
        id
    }

    /// Writes a changelog entry for changes that were made, and tells the webhooks. No changes, no entry.
    pub(super) fn record(&mut self, id: u64, author: Option<&str>, items: Vec<Change>) {
        if items.is_empty() {
            return;
        }
        let now = self.time.now();
        let author_id = author.map(str::to_owned);
        let entry = History { id: self.id(), author: author_id, created: now, items, raw_items: Vec::new() };
        if let Some(issue) = self.issues.get_mut(&id) {
            issue.updated = now;
            issue.histories.push(entry.clone());
        }
        self.announce("jira:issue_updated", id, author, Some(&entry));
    }

    /// The change of moving to a status; none if the issue stands there already.
    pub(super) fn move_to(&mut self, id: u64, status: &Status) -> Option<Change> {
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

    /// Sets the labels; the change of it, if it is one.
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

    /// Takes an issue out and tells the webhooks.
    pub(super) fn remove(&mut self, id: u64, who: Option<&str>) {
        self.announce("jira:issue_deleted", id, who, None);
        self.issues.remove(&id);
        let gone = id.to_string();
        self.links.retain(|l| l.inward != gone && l.outward != gone);
    }

    pub(super) fn view(&self, id: u64) -> Option<IssueView> {
        let issue = self.issues.get(&id)?;
        let status = self.status_of(issue);
        let own = id.to_string();
        Some(IssueView {
            key: issue.key.clone(),
            project: issue.project.clone(),
            issue_type: self
                .issue_type(&issue.project, &issue.kind)
                .map_or_else(String::new, |t| t.name.clone()),
            status: status.map_or_else(String::new, |s| s.name.clone()),
            status_id: issue.status.clone(),
            summary: issue.summary.clone(),
            description: issue.description.clone(),
            labels: issue.labels.clone(),
            fields: issue.fields.clone(),
            properties: issue.properties.clone(),
            comments: issue.comments.clone(),
            links: self.links.iter().filter(|l| l.inward == own || l.outward == own).cloned().collect(),
            creator: issue.creator.clone(),
            created: issue.created,
            changelog: issue.histories.clone(),
            id: own,
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
        issued: 0,
        revoked: HashSet::new(),
        team_managed: false,
        archived: false,
    }
}
