//! What happens to issues past their workflow: migrations, moves that map the status, restored backups, odd histories.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    fake::FakeJira,
    model::{Change, History, Link, Workflow},
    state::{Issue, State},
};

/// The issues of some moment.
pub struct Backup {
    issues: BTreeMap<u64, Issue>,
    links: Vec<Link>,
}

impl FakeJira {
    /// Gives an issue type of a project another workflow, and every issue of it the status that the mapping names for the one
    /// it stands in (ids or English names), each in one entry of its history.
    ///
    /// # Errors
    /// If there is no such account or status.
    pub fn migrate_workflow(
        &self,
        project: &str,
        issue_type: &str,
        workflow: Workflow,
        mapping: &[(&str, &str)],
        who: &str,
    ) -> Result<(), String> {
        let before: Vec<(String, Option<String>)> = {
            let state = self.lock();
            let kind = state.project(project).and_then(|p| p.types.iter().find(|t| t.name == issue_type));
            let kind = kind.ok_or("no such type")?.id.clone();
            let of = state.issues.values().filter(|i| i.project == project && i.kind == kind);
            of.map(|i| (i.id.to_string(), state.status_of(i).map(|s| s.name.clone()))).collect()
        };
        self.set_workflow(project, issue_type, workflow.clone());
        for (id, stood) in before {
            self.with_issue(&id, who, |state, issue, who| {
                let target = mapping.iter().find(|(from, _)| {
                    *from == issue.status || stood.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(from))
                });
                let mut changes = vec![moved("Workflow", "classic", "new")];
                if let Some((_, to)) = target {
                    let to = workflow.status(to).ok_or("no such status")?.clone();
                    let change = state.move_to(issue.id, &to);
                    changes.extend(change.map(|change| Change { from_string: stood.clone(), ..change }));
                }
                state.record(issue.id, who, changes);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Takes a status (by id or English name) out of the workflow of an issue type, and puts the issues that stand in it into
    /// another one. The histories of those tell of the status alone.
    ///
    /// # Errors
    /// If there is no such type, account or status.
    pub fn remove_status(
        &self,
        project: &str,
        issue_type: &str,
        (gone, into): (&str, &str),
        who: &str,
    ) -> Result<(), String> {
        let (kind, gone, into) = {
            let state = self.lock();
            let kind = state.project(project).and_then(|p| p.types.iter().find(|t| t.name == issue_type));
            let kind = kind.ok_or("no such type")?;
            let status = |name| kind.workflow.status(name).cloned().ok_or("no such status");
            (kind.clone(), status(gone)?, status(into)?)
        };
        let mut workflow = kind.workflow;
        workflow.statuses.retain(|status| status.id != gone.id);
        workflow.transitions.retain(|transition| transition.to != gone.id);
        let stood: Vec<String> = {
            let state = self.lock();
            let of = state.issues.values().filter(|i| i.project == project && i.kind == kind.id);
            of.filter(|i| i.status == gone.id).map(|i| i.id.to_string()).collect()
        };
        self.set_workflow(project, issue_type, workflow);
        for id in stood {
            self.with_issue(&id, who, |state, issue, who| {
                let change = state.move_to(issue.id, &into);
                let change = change.map(|change| Change { from_string: Some(gone.name.clone()), ..change });
                state.record(issue.id, who, change.into_iter().collect());
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The Move wizard: to another project, or the same one with another type, and to the status that is chosen
    /// there, all in one entry of the history. Returns the key.
    ///
    /// # Errors
    /// If there is no such issue, account, project, type or status.
    pub fn move_with_wizard(
        &self,
        id_or_key: &str,
        project: &str,
        issue_type: &str,
        status: &str,
        who: &str,
    ) -> Result<String, String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let target = state.project(project).ok_or("no such project")?;
            let kind = target.types.iter().find(|t| t.name == issue_type).ok_or("no such type")?.clone();
            let status = kind.workflow.status(status).ok_or("no such status")?.clone();
            let (from, to) = (state.project(&issue.project).map(|p| p.id.clone()), target.id.clone());
            let mut changes = Vec::new();
            let key = if issue.project == project { issue.key.clone() } else { state.issue_key(project) };
            if issue.project != project {
                changes.push(moved("project", &from.unwrap_or_default(), &to));
                changes.push(moved("Key", &issue.key, &key));
            }
            if issue.kind != kind.id {
                changes.push(moved("issuetype", &issue.kind, &kind.id));
            }
            let stood = state.status_of(issue).map(|s| s.name.clone());
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                let old = std::mem::replace(&mut issue.key, key.clone());
                issue.old_keys.push(old);
                project.clone_into(&mut issue.project);
                issue.kind.clone_from(&kind.id);
            }
            let change = state.move_to(issue.id, &status);
            changes.extend(change.map(|change| Change { from_string: stood, ..change }));
            state.record(issue.id, who, changes);
            Ok(key)
        })
    }

    /// A transition to a status, by id or English name, that sets other fields beside it: each an id of a field of Jira's
    /// own and its value before and after.
    ///
    /// # Errors
    /// If there is no such issue, account or status.
    pub fn move_issue_with(
        &self,
        id_or_key: &str,
        status: &str,
        fields: &[(&str, &str, &str)],
        who: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let status = state.workflow_of(issue).and_then(|w| w.status(status)).cloned();
            let status = status.ok_or("no such status in the workflow")?;
            let mut changes: Vec<Change> =
                fields.iter().map(|(field, from, to)| moved(field, from, to)).collect();
            changes.extend(state.move_to(issue.id, &status));
            state.record(issue.id, who, changes);
            Ok(())
        })
    }

    /// Changes a custom field (by id and name) from one value to another, each an id and what people see.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn change_custom_field(
        &self,
        id_or_key: &str,
        (id, name): (&str, &str),
        from: (&str, &str),
        to: (&str, &str),
        who: &str,
    ) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let change = Change {
                field: name.into(),
                custom: Some(id.into()),
                from: Some(from.0.into()),
                from_string: Some(from.1.into()),
                to: Some(to.0.into()),
                to_string: Some(to.1.into()),
            };
            state.record(issue.id, who, vec![change]);
            Ok(())
        })
    }

    /// Adds an entry to the history of an issue that has these items, to the letter. Nothing else happens.
    ///
    /// # Errors
    /// If there is no such issue or account.
    pub fn add_raw_history(&self, id_or_key: &str, items: Vec<Value>, who: &str) -> Result<(), String> {
        self.with_issue(id_or_key, who, |state, issue, who| {
            let (id, created) = (state.id(), state.time.now());
            let author = who.map(str::to_owned);
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.histories.push(History { id, author, created, raw_items: items, items: Vec::new() });
            }
            Ok(())
        })
    }

    /// Takes a property away, as every account that may edit the issue can.
    ///
    /// # Errors
    /// If there is no such issue.
    pub fn remove_property(&self, id_or_key: &str, key: &str) -> Result<(), String> {
        self.with_issue(id_or_key, "", |state, issue, _| {
            if let Some(issue) = state.issues.get_mut(&issue.id) {
                issue.properties.remove(key);
            }
            Ok(())
        })
    }

    /// A backup from before the first issue is restored: all issues are gone, and the next ones get their numbers again.
    pub fn restore_empty_backup(&self) {
        let mut state = self.lock();
        let State { issues, links, projects, next_issue, first_issue, .. } = &mut *state;
        issues.clear();
        links.clear();
        projects.iter_mut().for_each(|p| p.issued = 0);
        *next_issue = *first_issue;
    }

    /// All issues as they are now, to be restored later.
    #[must_use]
    pub fn backup(&self) -> Backup {
        let state = self.lock();
        Backup { issues: state.issues.clone(), links: state.links.clone() }
    }

    /// All issues are again as they were when this backup was made.
    pub fn restore(&self, Backup { issues, links }: Backup) {
        let mut state = self.lock();
        (state.issues, state.links) = (issues, links);
    }

    /// From now on it says that this is its base URL.
    pub fn set_public_base(&self, base: &str) {
        self.lock().public_base = Some(base.to_owned());
    }

    /// From now on something on the way does this to each issue that is read.
    pub fn tamper_with_issues(&self, tamper: Option<fn(&mut Value)>) {
        self.lock().tamper = tamper;
    }

    /// Takes a group away.
    pub fn remove_group(&self, name: &str) {
        self.lock().groups.retain(|g| g.name != name);
    }
}

fn moved(field: &str, from: &str, to: &str) -> Change {
    let [from, to] = [from, to].map(|value| Some(value.to_owned()));
    let (from_string, to_string) = (from.clone(), to.clone());
    Change { field: field.into(), custom: None, from, from_string, to, to_string }
}
