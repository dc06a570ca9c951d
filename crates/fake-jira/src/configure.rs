//! Configuration and fault injection for tests.

use std::time::Duration;

use super::{
    delivery::Webhook,
    fake::FakeJira,
    fault::{Fault, PlannedFault, Times},
    model::{Field, Person, Workflow},
    operation::Operation,
    state::{Group, IssueType, Project, Role},
};

impl FakeJira {
    /// The base URL; correct only after [`FakeJira::start`].
    #[must_use]
    pub fn base_url(&self) -> String {
        self.lock().base_url.clone()
    }

    /// Puts this Jira behind Atlassian's gateway for tokens with scopes: the REST API moves to the URL that is
    /// returned, and the base URL becomes `site`.
    #[must_use]
    pub fn move_behind_gateway(&self, site: &str) -> String {
        let mut state = self.lock();
        let gateway = format!("{}/ex/jira/1f2e", state.base_url);
        "/ex/jira/1f2e".clone_into(&mut state.context_path);
        site.clone_into(&mut state.base_url);
        gateway
    }

    /// Sets the valid API token (Cloud) or personal access token (Data Center).
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.lock().token);
    }

    /// Sets the workflow of an issue type (by name) in a project. Does nothing if the type does not exist.
    pub fn set_workflow(&self, project: &str, issue_type: &str, workflow: Workflow) {
        self.with_type(project, issue_type, |kind| kind.workflow = workflow);
    }

    /// Adds a field to a create screen, or replaces the field with the same id.
    pub fn add_create_field(&self, project: &str, issue_type: &str, field: Field) {
        self.with_type(project, issue_type, |kind| {
            kind.screen.retain(|f| f.id != field.id);
            kind.screen.push(field);
        });
    }

    /// Removes a field from a create screen.
    pub fn remove_create_field(&self, project: &str, issue_type: &str, field: &str) {
        self.with_type(project, issue_type, |kind| kind.screen.retain(|f| f.id != field));
    }

    fn with_type(&self, project: &str, issue_type: &str, change: impl FnOnce(&mut IssueType)) {
        self.with_project(project, |p| {
            if let Some(kind) = p.types.iter_mut().find(|t| t.name == issue_type) {
                change(kind);
            }
        });
    }

    fn with_project(&self, project: &str, change: impl FnOnce(&mut Project)) {
        if let Some(project) = self.lock().projects.iter_mut().find(|p| p.key == project) {
            change(project);
        }
    }

    /// Adds an account, or replaces the account with the same account id.
    pub fn add_user(&self, person: Person) {
        let mut state = self.lock();
        state.people.retain(|p| p.account_id != person.account_id);
        state.people.push(person);
    }

    /// Adds a group with these members (account ids or user names), or replaces the group with the same name.
    pub fn add_group(&self, name: &str, members: &[&str]) {
        let mut state = self.lock();
        let members = members.iter().filter_map(|m| state.person(m)).map(|p| p.account_id.clone()).collect();
        state.groups.retain(|g| g.name != name);
        let id = format!("952d12c3-5b5b-4d04-bb32-{:012x}", state.new_id());
        state.groups.push(Group { name: name.to_owned(), id, members });
    }

    /// Adds accounts (ids or user names) and groups to a role of a project. Creates the role if it does not exist.
    pub fn add_to_role(&self, project: &str, role: &str, people: &[&str], groups: &[&str]) {
        let (id, people) = {
            let mut state = self.lock();
            let ids: Vec<String> =
                people.iter().filter_map(|m| state.person(m)).map(|p| p.account_id.clone()).collect();
            (state.new_id(), ids)
        };
        let groups = groups.iter().map(|g| (*g).to_owned());
        self.with_project(project, |p| match p.roles.iter_mut().find(|r| r.name == role) {
            Some(role) => {
                role.people.extend(people);
                role.groups.extend(groups);
            }
            None => p.roles.push(Role { id, name: role.to_owned(), people, groups: groups.collect() }),
        });
    }

    /// Revokes these permissions, such as `TRANSITION_ISSUES`, from the bridge's account in a project, and grants all
    /// others.
    pub fn revoke(&self, project: &str, permissions: &[&str]) {
        self.with_project(project, |p| p.revoked = permissions.iter().map(|x| (*x).to_owned()).collect());
    }

    /// Revokes the global permission "Browse users and groups" from the bridge's account, or grants it again.
    pub fn hide_people(&self, hidden: bool) {
        self.lock().cannot_browse_users = hidden;
    }

    /// Enables or disables issue linking.
    pub fn set_linking(&self, enabled: bool) {
        self.lock().linking_enabled = enabled;
    }

    /// Renames the link type "Relates", or deletes it.
    pub fn set_relates(&self, name: Option<&str>) {
        self.lock().relates_name = name.map(str::to_owned);
    }

    /// Makes a project team-managed or company-managed (Cloud only).
    pub fn set_team_managed(&self, project: &str, team_managed: bool) {
        self.with_project(project, |p| p.team_managed = team_managed);
    }

    /// Archives or restores a project.
    pub fn set_archived(&self, project: &str, archived: bool) {
        self.with_project(project, |p| p.archived = archived);
    }

    /// Makes an issue type (by name) of a project a sub-task type or a standard type.
    pub fn set_subtask(&self, project: &str, issue_type: &str, subtask: bool) {
        self.with_type(project, issue_type, |kind| kind.subtask = subtask);
    }

    /// Sets whether issues of a type (by name) can be created in a project. Existing issues stay.
    pub fn set_creatable(&self, project: &str, issue_type: &str, creatable: bool) {
        self.with_type(project, issue_type, |kind| kind.creatable = creatable);
    }

    /// Makes the language of the bridge's account German: statuses and issue types are translated, unless the caller
    /// sends `X-Force-Accept-Language: true` and `Accept-Language: en`.
    pub fn set_translated(&self, translated: bool) {
        self.lock().translated = translated;
    }

    /// Makes search omit issues younger than this. Reads by id are not affected.
    pub fn set_index_lag(&self, lag: Duration) {
        self.lock().index_lag = lag;
    }

    /// Freezes the search index in its current state, or lets it catch up. Reads by id are not affected.
    pub fn freeze_index(&self, frozen: bool) {
        let mut state = self.lock();
        state.frozen_index = frozen.then(|| state.issues.clone());
    }

    /// Sets whether a proxy removes the headers that show which account a request ran as.
    pub fn hide_account_headers(&self, hidden: bool) {
        self.lock().account_headers_hidden = hidden;
    }

    /// Sets how many milliseconds the `Date` header is ahead of the time; negative: behind.
    pub fn set_date_skew(&self, millis: i64) {
        self.lock().date_skew = millis;
    }

    /// Sets the maximum number of entries on a page, so that callers must request the next page.
    pub fn set_page_size(&self, entries: usize) {
        self.lock().page_size = entries.max(1);
    }

    /// Adds a webhook that gets every change of an issue. Requests are signed with the secret, have the bearer token,
    /// or both.
    pub fn webhook(&self, url: &str, secret: Option<&str>, bearer: Option<&str>) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build();
        let Ok(client) = client else { return };
        self.lock().webhooks.push(Webhook {
            url: url.to_owned(),
            secret: secret.map(str::to_owned),
            bearer: bearer.map(str::to_owned),
            client,
        });
    }

    /// Injects a fault into requests of an operation. Faults happen in the order in which they were added.
    pub fn fault(&self, on: Operation, fault: Fault, times: Times) {
        self.lock().faults.push(PlannedFault::new(on, fault, times));
    }

    /// How many answers [`Fault::Held`] holds back now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().held_answers
    }

    /// Sends the answers that are held back and removes the [`Fault::Held`] faults.
    pub fn release(&self) {
        let mut state = self.lock();
        state.faults.retain(|planned| !planned.is_held());
        state.released.send_replace(());
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }
}
