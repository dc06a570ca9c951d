//! How administrators change issues outside their workflow: migrations, moves that map the status, restored backups,
//! unusual histories.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    fake::FakeJira,
    model::{Change, History, Link, Workflow},
    state::{Issue, State},
};

/// A backup of all issues and links.
pub struct Backup {
    issues: BTreeMap<u64, Issue>,
    links: Vec<Link>,
}

impl FakeJira {
    /// Sets another workflow for an issue type of a project, and maps the status of each issue of this type.
    /// `mapping` has pairs of an old and a new status (ids or English names). Each issue gets one changelog entry.
    ///
    /// # Errors
    /// If the issue type, the account or a status does not exist.
    pub fn migrate_workflow(
        &self,
        project: &str,
        issue_type: &str,
        workflow: Workflow,
        mapping: &[(&str, &str)],
        account: &str,
    ) -> Result<(), String> {
        let before: Vec<(String, Option<String>)> = {
            let state = self.lock();
            let kind = state.project(project).and_then(|p| p.types.iter().find(|t| t.name == issue_type));
            let kind = kind.ok_or("no such issue type")?.id.clone();
            let issues = state.issues.values().filter(|i| i.project == project && i.type_id == kind);
            issues.map(|i| (i.id.to_string(), state.status_of(i).map(|s| s.name.clone()))).collect()
        };
        self.set_workflow(project, issue_type, workflow.clone());
        for (id, old_status) in before {
            self.with_issue(&id, account, |state, issue, account| {
                let target = mapping.iter().find(|(from, _)| {
                    *from == issue.status
                        || old_status.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(from))
                });
                let mut changes = vec![field_change("Workflow", "classic", "new")];
                if let Some((_, to)) = target {
                    let to = workflow.status(to).ok_or("no such status")?.clone();
                    let change = state.set_status(issue.id, &to);
                    changes.extend(change.map(|change| Change { from_string: old_status.clone(), ..change }));
                }
                state.record_changes(issue.id, account, changes);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Removes a status (by id or English name) from the workflow of an issue type, and moves the issues that have it
    /// to another one. The changelog entries have the status change only.
    ///
    /// # Errors
    /// If the issue type, the account or a status does not exist.
    pub fn remove_status(
        &self,
        project: &str,
        issue_type: &str,
        (removed, replacement): (&str, &str),
        account: &str,
    ) -> Result<(), String> {
        let (kind, removed, replacement) = {
            let state = self.lock();
            let kind = state.project(project).and_then(|p| p.types.iter().find(|t| t.name == issue_type));
            let kind = kind.ok_or("no such issue type")?;
            let status = |name| kind.workflow.status(name).cloned().ok_or("no such status");
            (kind.clone(), status(removed)?, status(replacement)?)
        };
        let mut workflow = kind.workflow;
        workflow.statuses.retain(|status| status.id != removed.id);
        workflow.transitions.retain(|transition| transition.to != removed.id);
        let affected: Vec<String> = {
            let state = self.lock();
            let issues = state.issues.values().filter(|i| i.project == project && i.type_id == kind.id);
            issues.filter(|i| i.status == removed.id).map(|i| i.id.to_string()).collect()
        };
        self.set_workflow(project, issue_type, workflow);
        for id in affected {
            self.with_issue(&id, account, |state, issue, account| {
                let change = state.set_status(issue.id, &replacement);
                let change =
                    change.map(|change| Change { from_string: Some(removed.name.clone()), ..change });
                state.record_changes(issue.id, account, change.into_iter().collect());
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Jira's Move wizard: sets the project, the issue type and the status in one changelog entry. Returns the key.
    ///
    /// # Errors
    /// If the issue, account, project, type or status does not exist.
    pub fn move_with_wizard(
        &self,
        id_or_key: &str,
        project: &str,
        issue_type: &str,
        status: &str,
        account: &str,
    ) -> Result<String, String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let target = state.project(project).ok_or("no such project")?;
            let kind =
                target.types.iter().find(|t| t.name == issue_type).ok_or("no such issue type")?.clone();
            let status = kind.workflow.status(status).ok_or("no such status")?.clone();
            let (from, to) = (state.project(&issue.project).map(|p| p.id.clone()), target.id.clone());
            let mut changes = Vec::new();
            let key =
                if issue.project == project { issue.key.clone() } else { state.next_issue_key(project) };
            if issue.project != project {
                changes.push(field_change("project", &from.unwrap_or_default(), &to));
                changes.push(field_change("Key", &issue.key, &key));
            }
            if issue.type_id != kind.id {
                changes.push(field_change("issuetype", &issue.type_id, &kind.id));
            }
            let old_status = state.status_of(issue).map(|s| s.name.clone());
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                let old = std::mem::replace(&mut issue.key, key.clone());
                issue.old_keys.push(old);
                project.clone_into(&mut issue.project);
                issue.type_id.clone_from(&kind.id);
            }
            let change = state.set_status(issue.id, &status);
            changes.extend(change.map(|change| Change { from_string: old_status, ..change }));
            state.record_changes(issue.id, account, changes);
            Ok(key)
        })
    }

    /// A transition to a status (by id or English name) that sets other fields too: each is the id of a built-in
    /// field, its value before and its value after.
    ///
    /// # Errors
    /// If the issue, account or status does not exist.
    pub fn move_issue_with(
        &self,
        id_or_key: &str,
        status: &str,
        fields: &[(&str, &str, &str)],
        account: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let status = state.workflow_of(issue).and_then(|w| w.status(status)).cloned();
            let status = status.ok_or("no such status in the workflow")?;
            let mut changes: Vec<Change> =
                fields.iter().map(|(field, from, to)| field_change(field, from, to)).collect();
            changes.extend(state.set_status(issue.id, &status));
            state.record_changes(issue.id, account, changes);
            Ok(())
        })
    }

    /// Changes a custom field (its id and name). Each value is an id and a text.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn change_custom_field(
        &self,
        id_or_key: &str,
        (id, name): (&str, &str),
        from: (&str, &str),
        to: (&str, &str),
        account: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let change = Change {
                field: name.into(),
                custom: Some(id.into()),
                from: Some(from.0.into()),
                from_string: Some(from.1.into()),
                to: Some(to.0.into()),
                to_string: Some(to.1.into()),
            };
            state.record_changes(issue.id, account, vec![change]);
            Ok(())
        })
    }

    /// Sets all labels, except those of the bridge, which stay.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn set_labels(&self, id_or_key: &str, labels: &[&str], account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let is_the_bridges = |label: &String| label.starts_with("fjb-") || label.starts_with("flagger");
            let mut all: Vec<String> =
                issue.labels.iter().filter(|label| is_the_bridges(label)).cloned().collect();
            all.extend(labels.iter().map(|label| (*label).to_owned()));
            let changes = state.set_labels(issue.id, all).into_iter().collect();
            state.record_changes(issue.id, account, changes);
            Ok(())
        })
    }

    /// Sets the priority.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn set_priority(&self, id_or_key: &str, name: &str, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let before = issue.fields.get("priority").and_then(|priority| priority["name"].as_str());
            let change = Change {
                field: "priority".into(),
                custom: None,
                from: before.map(|_| "3".into()),
                from_string: before.map(str::to_owned),
                to: Some("1".into()),
                to_string: Some(name.into()),
            };
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.fields.insert("priority".into(), json!({ "id": "1", "name": name }));
            }
            state.record_changes(issue.id, account, vec![change]);
            Ok(())
        })
    }

    /// Sets a field with a date and a time to a value as Jira returns it, such as `2026-01-31T09:00:00.000+0100`, or
    /// removes it.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn set_time(
        &self,
        id_or_key: &str,
        field: &str,
        value: Option<&str>,
        account: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let before = issue.fields.get(field).and_then(Value::as_str).map(str::to_owned);
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.fields.insert(field.to_owned(), value.map_or(Value::Null, Value::from));
            }
            let change = Change {
                field: field.into(),
                custom: Some(field.into()),
                from: before.clone(),
                from_string: before,
                to: value.map(str::to_owned),
                to_string: value.map(str::to_owned),
            };
            state.record_changes(issue.id, account, vec![change]);
            Ok(())
        })
    }

    /// Adds a changelog entry with these items, unchanged, to an issue. Changes nothing else and sends no webhook.
    ///
    /// # Errors
    /// If the issue or account does not exist.
    pub fn add_raw_history(&self, id_or_key: &str, items: Vec<Value>, account: &str) -> Result<(), String> {
        self.with_issue(id_or_key, account, |state, issue, account| {
            let (id, created) = (state.new_id(), state.time.now());
            let author = account.map(str::to_owned);
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.histories.push(History { id, author, created, raw_items: items, items: Vec::new() });
            }
            Ok(())
        })
    }

    /// Removes an issue property, as every account with the permission to edit the issue can.
    ///
    /// # Errors
    /// If the issue does not exist.
    pub fn remove_property(&self, id_or_key: &str, key: &str) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.properties.remove(key);
            }
            Ok(())
        })
    }

    /// Restores a backup from before the first issue: deletes all issues, and new issues reuse their ids and keys.
    pub fn restore_empty_backup(&self) {
        let mut state = self.lock();
        let State { issues, links, projects, next_issue, first_issue, .. } = &mut *state;
        issues.clear();
        links.clear();
        projects.iter_mut().for_each(|p| p.last_issue_number = 0);
        *next_issue = *first_issue;
    }

    /// A backup of the current issues and links.
    #[must_use]
    pub fn backup(&self) -> Backup {
        let state = self.lock();
        Backup { issues: state.issues.clone(), links: state.links.clone() }
    }

    /// Restores a backup.
    pub fn restore(&self, Backup { issues, links }: Backup) {
        let mut state = self.lock();
        (state.issues, state.links) = (issues, links);
    }

    /// Sets the base URL that `serverInfo` reports.
    pub fn set_public_base(&self, base: &str) {
        self.lock().public_base_url = Some(base.to_owned());
    }

    /// Sets how a proxy changes each issue in an answer; `None`: not at all.
    pub fn tamper_with_issues(&self, tamper: Option<fn(&mut Value)>) {
        self.lock().tamper = tamper;
    }

    /// Removes a group.
    pub fn remove_group(&self, name: &str) {
        self.lock().groups.retain(|g| g.name != name);
    }
}

fn field_change(field: &str, from: &str, to: &str) -> Change {
    let [from, to] = [from, to].map(|value| Some(value.to_owned()));
    let (from_string, to_string) = (from.clone(), to.clone());
    Change { field: field.into(), custom: None, from, from_string, to, to_string }
}
