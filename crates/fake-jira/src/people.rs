//! What people and apps do to issues, past the REST API.

use serde_json::{Value, json};

use super::{
    comments,
    fake::FakeJira,
    model::{Change, Flavour, History, Link},
    state::{Issue, State},
};

impl FakeJira {
    /// Puts an issue of a type (by English name) in a project, in a status by id or English name, as if it was
    /// created by hand. Returns its key.
    ///
    /// # Errors
    /// If there is no such project, type, status or account.
    pub fn add_issue(
        &self,
        project: &str,
        issue_type: &str,
        status: &str,
        who: &str,
    ) -> Result<String, String> {
        let mut state = self.lock();
        let creator = state.person(who).ok_or("no such account")?.account_id.clone();
        let types = &state.project(project).ok_or("no such project")?.types;
        let kind = types.iter().find(|t| t.name == issue_type).ok_or("no such issue type")?;
        let (kind, status) =
            (kind.id.clone(), kind.workflow.status(status).ok_or("no such status")?.id.clone());
        let (id, now) = (state.next_issue, state.time.now());
        state.next_issue += 1;
        let key = state.issue_key(project);
        state.insert(Issue {
            id,
            key: key.clone(),
            old_keys: Vec::new(),
            project: project.to_owned(),
            kind,
            status,
            summary: "Made by hand".to_owned(),
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
            spoilt: false,
        });
        Ok(key)
    }

    /// Moves an issue to a status, by id or English name, whatever the transitions allow. `who` is an account id, user
    /// name or e-mail address; empty: Jira does not know any more who it was.
    ///
    /// # Errors
    /// If there is no such issue, account or status.
    pub fn move_issue(&self, id_or_key: &str, status: &str, who: &str) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let status = state.workflow_of(issue).and_then(|w| w.status(status)).cloned();
            let status = status.ok_or("no such status in the workflow")?;
            let change = state.move_to(issue.id, &status);
            state.record(issue.id, who, change.into_iter().collect());
            Ok(())
        })
    }

    /// Comments on an issue.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn comment(&self, id_or_key: &str, text: &str, who: &str) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let body = match state.flavour {
                Flavour::Cloud => json!({ "type": "doc", "version": 1, "content": [
                    { "type": "paragraph", "content": [{ "type": "text", "text": text }] },
                ] }),
                Flavour::DataCenter => json!(text),
            };
            comments::put(state, issue.id, who.unwrap_or_default(), body, Vec::new());
            Ok(())
        })
    }

    /// Adds and removes labels.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn edit_labels(
        &self,
        id_or_key: &str,
        add: &[&str],
        remove: &[&str],
        who: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let mut labels = issue.labels.clone();
            labels.retain(|l| !remove.contains(&l.as_str()));
            labels.extend(
                add.iter().filter(|l| !issue.labels.iter().any(|x| x == **l)).map(|l| (*l).to_owned()),
            );
            let change = state.set_labels(issue.id, labels);
            state.record(issue.id, who, change.into_iter().collect());
            Ok(())
        })
    }

    /// Clones an issue as people do: with its text, labels and fields, without its properties, comments and history.
    /// Returns the key of the clone.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn clone_issue(&self, id_or_key: &str, who: &str) -> Result<String, String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let now = state.time.now();
            let id = state.next_issue;
            state.next_issue += 1;
            let key = state.issue_key(&issue.project);
            let status = state.workflow_of(issue).and_then(|w| w.statuses.first()).map(|s| s.id.clone());
            let clone = Issue {
                id,
                key: key.clone(),
                old_keys: Vec::new(),
                summary: format!("CLONE - {}", issue.summary),
                status: status.unwrap_or_default(),
                properties: Default::default(),
                comments: Vec::new(),
                creator: who.unwrap_or_default().to_owned(),
                created: now,
                updated: now,
                histories: Vec::new(),
                hidden: false,
                spoilt: false,
                ..issue.clone()
            };
            state.insert(clone);
            let link = Link { kind: "Cloners".into(), inward: id.to_string(), outward: issue.id.to_string() };
            state.links.push(link);
            Ok(key)
        })
    }

    /// Deletes an issue.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn delete_issue(&self, id_or_key: &str, who: &str) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            state.remove(issue.id, who);
            Ok(())
        })
    }

    /// Moves an issue to another project: it keeps its id and gets a new key. Returns the key.
    ///
    /// # Errors
    /// If there is no such issue, account or project.
    pub fn move_to_project(&self, id_or_key: &str, project: &str, who: &str) -> Result<String, String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let target = state.project(project).ok_or("no such project")?;
            let own_type = target.types.iter().find(|t| t.id == issue.kind);
            let kind =
                own_type.or_else(|| target.types.first()).ok_or("the project has no issue types")?.id.clone();
            let (from, to) = (state.project(&issue.project).map(|p| (p.id.clone(), p.name.clone())), target);
            let moved = Change {
                field: "project".into(),
                custom: None,
                from: from.as_ref().map(|p| p.0.clone()),
                from_string: from.map(|p| p.1),
                to: Some(to.id.clone()),
                to_string: Some(to.name.clone()),
            };
            let key = state.issue_key(project);
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
                issue.kind = kind;
            }
            let mut changes = vec![moved, renamed];
            changes.extend(fit_status(state, issue));
            state.record(issue.id, who, changes);
            Ok(key)
        })
    }

    /// Gives an issue another type, by id or English name.
    ///
    /// # Errors
    /// If there is no such issue, account or type.
    pub fn change_type(&self, id_or_key: &str, kind: &str, who: &str) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let project = state.project(&issue.project).ok_or("no such project")?;
            let to =
                project.types.iter().find(|t| t.name == kind || t.id == kind).ok_or("no such issue type")?;
            let change = Change {
                field: "issuetype".into(),
                custom: None,
                from: Some(issue.kind.clone()),
                from_string: state.issue_type(&issue.project, &issue.kind).map(|t| t.name.clone()),
                to: Some(to.id.clone()),
                to_string: Some(to.name.clone()),
            };
            let to = to.id.clone();
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.kind = to;
            }
            let mut changes = vec![change];
            changes.extend(fit_status(state, issue));
            state.record(issue.id, who, changes);
            Ok(())
        })
    }

    /// Sets an issue property, as every account that may edit the issue can.
    ///
    /// # Errors
    /// If there is no such issue.
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
    /// If there is no such issue.
    pub fn hide_issue(&self, id_or_key: &str, hidden: bool) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.hidden = hidden;
            }
            Ok(())
        })
    }

    /// Makes Jira break on an issue, or not any more: 500 to every read whose answer would show it, be it of many issues.
    ///
    /// # Errors
    /// If there is no such issue.
    pub fn spoil_issue(&self, id_or_key: &str, spoilt: bool) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.spoilt = spoilt;
            }
            Ok(())
        })
    }

    /// Edits the description of an issue again and again, each time by a text of this length in ASCII, without telling the webhooks.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn rewrite_issue(
        &self,
        id_or_key: &str,
        times: usize,
        length: usize,
        who: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let texts = ["a".repeat(length), "b".repeat(length)];
            for edit in 0..times {
                let (from_string, to_string) =
                    (Some(texts[edit % 2].clone()), Some(texts[(edit + 1) % 2].clone()));
                let change =
                    Change { field: "description".into(), from_string, to_string, ..Change::default() };
                let entry = History {
                    id: state.id(),
                    author: who.map(str::to_owned),
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
        who: &str,
        change: impl FnOnce(&mut State, &Issue, Option<&str>) -> Result<T, String>,
    ) -> Result<T, String> {
        let done = {
            let mut state = self.lock();
            let issue = state.find(id_or_key).and_then(|id| state.issues.get(&id)).cloned();
            let issue = issue.ok_or_else(|| format!("no issue {id_or_key}"))?;
            let who = match who {
                "" => None,
                who => Some(state.person(who).ok_or_else(|| format!("no account {who}"))?.account_id.clone()),
            };
            change(&mut state, &issue, who.as_deref())
        };
        self.deliver();
        done
    }
}

/// The change that Jira asks for if the workflow has no such status: the first one of the new workflow.
fn fit_status(state: &mut State, before: &Issue) -> Option<Change> {
    let issue = state.issues.get(&before.id)?;
    let workflow = state.workflow_of(issue)?;
    if workflow.statuses.iter().any(|s| s.id == issue.status) {
        return None;
    }
    let first = workflow.statuses.first()?.clone();
    let from_string = state.status_of(before).map(|s| s.name.clone());
    state.move_to(before.id, &first).map(|change| Change { from_string, ..change })
}
