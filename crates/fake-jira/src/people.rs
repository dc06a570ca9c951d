//! How people and apps change issues without the REST API.

use serde_json::{Value, json};

use super::{
    comments,
    fake::FakeJira,
    model::{Change, Flavour, History, Link},
    state::{Issue, State},
};

impl FakeJira {
    /// Adds an issue of a type (by English name), in a status (by id or English name), as if a person had created it.
    /// Returns its key.
    ///
    /// # Errors
    /// If the project, type, status or account does not exist.
    pub fn add_issue(
        &self,
        project: &str,
        issue_type: &str,
        status: &str,
        account: &str,
    ) -> Result<String, String> {
        let mut state = self.lock();
        let creator = state.person(account).ok_or("no such account")?.account_id.clone();
        let types = &state.project(project).ok_or("no such project")?.types;
        let kind = types.iter().find(|t| t.name == issue_type).ok_or("no such issue type")?;
        let (kind, status) =
            (kind.id.clone(), kind.workflow.status(status).ok_or("no such status")?.id.clone());
        let (id, now) = (state.next_issue, state.time.now());
        state.next_issue += 1;
        let key = state.next_issue_key(project);
        state.insert_issue(Issue {
            id,
            key: key.clone(),
            old_keys: Vec::new(),
            project: project.to_owned(),
            type_id: kind,
            status,
            summary: "Created by hand".to_owned(),
            description: Value::Null,
            labels: Vec::new(),
            fields: serde_json::Map::new(),
            properties: std::collections::BTreeMap::new(),
            comments: Vec::new(),
            creator,
            created: now,
            updated: now,
            histories: Vec::new(),
            hidden: false,
            approvals: Vec::new(),
            broken: false,
        });
        Ok(key)
    }

    /// Moves an issue to a status (by id or English name), even if no transition leads there. `account` is an account
    /// id, user name or e-mail address; empty: Jira no longer knows the author.
    ///
    /// # Errors
    /// If the issue, account or status does not exist.
    pub fn move_issue(&self, id_or_key: &str, status: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let status = state.workflow_of(issue).and_then(|w| w.status(status)).cloned();
            let status = status.ok_or("no such status in the workflow")?;
            let change = state.set_status(issue.id, &status);
            state.record_changes(issue.id, account, change.into_iter().collect());
            Ok(())
        })
    }

    /// Assigns an issue to an account, by id, user name or e-mail address; that account does it itself.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn assign(&self, id_or_key: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let person = account.and_then(|account| state.person(account)).ok_or("no such account")?.clone();
            let id = match state.flavour {
                Flavour::Cloud => ("accountId", &person.account_id),
                Flavour::DataCenter => ("name", &person.name),
            };
            let change = Change {
                field: "assignee".into(),
                to: Some(id.1.clone()),
                to_string: Some(person.display.clone()),
                ..Change::default()
            };
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.fields.insert("assignee".into(), json!({ id.0: id.1 }));
            }
            state.record_changes(issue.id, account, vec![change]);
            Ok(())
        })
    }

    /// Adds a comment to an issue.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn comment(&self, id_or_key: &str, text: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let body = match state.flavour {
                Flavour::Cloud => json!({ "type": "doc", "version": 1, "content": [
                    { "type": "paragraph", "content": [{ "type": "text", "text": text }] },
                ] }),
                Flavour::DataCenter => json!(text),
            };
            comments::put(state, issue.id, account.unwrap_or_default(), body, Vec::new());
            Ok(())
        })
    }

    /// Adds and removes labels.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn edit_labels(
        &self,
        id_or_key: &str,
        add: &[&str],
        remove: &[&str],
        account: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let mut labels = issue.labels.clone();
            labels.retain(|l| !remove.contains(&l.as_str()));
            labels.extend(
                add.iter().filter(|l| !issue.labels.iter().any(|x| x == **l)).map(|l| (*l).to_owned()),
            );
            let change = state.set_labels(issue.id, labels);
            state.record_changes(issue.id, account, change.into_iter().collect());
            Ok(())
        })
    }

    /// Clones an issue as Jira's clone action does: with its text, labels and fields, without its properties,
    /// comments and changelog. Returns the key of the clone.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn clone_issue(&self, id_or_key: &str, account: &str) -> Result<String, String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let now = state.time.now();
            let id = state.next_issue;
            state.next_issue += 1;
            let key = state.next_issue_key(&issue.project);
            let status = state.workflow_of(issue).and_then(|w| w.statuses.first()).map(|s| s.id.clone());
            let clone = Issue {
                id,
                key: key.clone(),
                old_keys: Vec::new(),
                summary: format!("CLONE - {}", issue.summary),
                status: status.unwrap_or_default(),
                properties: Default::default(),
                comments: Vec::new(),
                creator: account.unwrap_or_default().to_owned(),
                created: now,
                updated: now,
                histories: Vec::new(),
                hidden: false,
                approvals: Vec::new(),
                broken: false,
                ..issue.clone()
            };
            state.insert_issue(clone);
            let link = Link { kind: "Cloners".into(), inward: id.to_string(), outward: issue.id.to_string() };
            state.links.push(link);
            Ok(key)
        })
    }

    /// Deletes an issue.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn delete_issue(&self, id_or_key: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            state.remove_issue(issue.id, account);
            Ok(())
        })
    }

    /// Moves an issue to another project: it keeps its id and gets a new key. Returns the key.
    ///
    /// # Errors
    /// If the issue, account or project does not exist.
    pub fn move_to_project(&self, id_or_key: &str, project: &str, account: &str) -> Result<String, String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let target = state.project(project).ok_or("no such project")?;
            let same_type = target.types.iter().find(|t| t.id == issue.type_id);
            let kind = same_type
                .or_else(|| target.types.first())
                .ok_or("the project has no issue types")?
                .id
                .clone();
            let (from, to) = (state.project(&issue.project).map(|p| (p.id.clone(), p.name.clone())), target);
            let moved = Change {
                field: "project".into(),
                custom: None,
                from: from.as_ref().map(|p| p.0.clone()),
                from_string: from.map(|p| p.1),
                to: Some(to.id.clone()),
                to_string: Some(to.name.clone()),
            };
            let key = state.next_issue_key(project);
            let renamed = Change {
                field: "Key".into(),
                from_string: Some(issue.key.clone()),
                to_string: Some(key.clone()),
                ..Change::default()
            };
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                let old = std::mem::replace(&mut issue.key, key.clone());
                issue.old_keys.push(old);
                project.clone_into(&mut issue.project);
                issue.type_id = kind;
            }
            let mut changes = vec![moved, renamed];
            changes.extend(status_for_workflow(state, issue));
            state.record_changes(issue.id, account, changes);
            Ok(key)
        })
    }

    /// Changes the type of an issue (by id or English name).
    ///
    /// # Errors
    /// If the issue, account or type does not exist.
    pub fn change_type(&self, id_or_key: &str, kind: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let project = state.project(&issue.project).ok_or("no such project")?;
            let to =
                project.types.iter().find(|t| t.name == kind || t.id == kind).ok_or("no such issue type")?;
            let change = Change {
                field: "issuetype".into(),
                custom: None,
                from: Some(issue.type_id.clone()),
                from_string: state.issue_type(&issue.project, &issue.type_id).map(|t| t.name.clone()),
                to: Some(to.id.clone()),
                to_string: Some(to.name.clone()),
            };
            let to = to.id.clone();
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.type_id = to;
            }
            let mut changes = vec![change];
            changes.extend(status_for_workflow(state, issue));
            state.record_changes(issue.id, account, changes);
            Ok(())
        })
    }

    /// Sets an issue property, as every account with the permission to edit the issue can.
    ///
    /// # Errors
    /// If the issue does not exist.
    pub fn set_property(&self, id_or_key: &str, key: &str, value: Value) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.properties.insert(key.to_owned(), value);
            }
            Ok(())
        })
    }

    /// Hides an issue from the bridge's account, or shows it again, as issue security does.
    ///
    /// # Errors
    /// If the issue does not exist.
    pub fn hide_issue(&self, id_or_key: &str, hidden: bool) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.hidden = hidden;
            }
            Ok(())
        })
    }

    /// Sets whether Jira answers 500 to every read whose answer would contain this issue, including reads of many
    /// issues.
    ///
    /// # Errors
    /// If the issue does not exist.
    pub fn spoil_issue(&self, id_or_key: &str, broken: bool) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.broken = broken;
            }
            Ok(())
        })
    }

    /// Adds this many edits of the description to the changelog, each with an ASCII text of this length. Sends no
    /// webhooks.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn rewrite_issue(
        &self,
        id_or_key: &str,
        times: usize,
        length: usize,
        account: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let texts = ["a".repeat(length), "b".repeat(length)];
            for edit in 0..times {
                let (from_string, to_string) =
                    (Some(texts[edit % 2].clone()), Some(texts[(edit + 1) % 2].clone()));
                let change =
                    Change { field: "description".into(), from_string, to_string, ..Change::default() };
                let entry = History {
                    id: state.new_id(),
                    author: account.map(str::to_owned),
                    created: state.time.now(),
                    items: vec![change],
                    raw_items: Vec::new(),
                };
                if let Some(issue) = state.issues.get_mut(&issue.id) {
                    issue.histories.push(entry);
                }
            }
            Ok(())
        })
    }

    pub(super) fn with_issue<T>(
        &self,
        id_or_key: &str,
        account: &str,
        change: impl FnOnce(&mut State, &Issue, Option<&str>) -> Result<T, String>,
    ) -> Result<T, String> {
        let result = {
            let mut state = self.lock();
            let issue = state.find_issue(id_or_key).and_then(|id| state.issues.get(&id)).cloned();
            let issue = issue.ok_or_else(|| format!("no issue {id_or_key}"))?;
            let account = match account {
                "" => None,
                account => Some(
                    state.person(account).ok_or_else(|| format!("no account {account}"))?.account_id.clone(),
                ),
            };
            change(&mut state, &issue, account.as_deref())
        };
        self.deliver();
        result
    }
}

/// Moves the issue to the first status of its new workflow if that workflow does not have the issue's status.
fn status_for_workflow(state: &mut State, before: &Issue) -> Option<Change> {
    let issue = state.issues.get(&before.id)?;
    let workflow = state.workflow_of(issue)?;
    if workflow.statuses.iter().any(|s| s.id == issue.status) {
        return None;
    }
    let first = workflow.statuses.first()?.clone();
    let from_string = state.status_of(before).map(|s| s.name.clone());
    state.set_status(before.id, &first).map(|change| Change { from_string, ..change })
}
