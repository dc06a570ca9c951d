//! How tests set this Jira up, and make it misbehave.

use std::time::Duration;

use super::{
    delivery::Hook,
    fake::FakeJira,
    fault::{Fault, Planned, Times},
    model::{Field, Person, Workflow},
    operation::Operation,
    state::{Group, IssueType, Project, Role},
};

impl FakeJira {
    /// The base URL; the right one only once it serves.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.lock().base.clone()
    }

    /// From now on it is found behind Atlassian's gateway for tokens with scopes, at the address that is returned, and people
    /// find it at `site`.
    #[must_use]
    pub fn is_behind_gateway(&self, site: &str) -> String {
        let mut state = self.lock();
        let gateway = format!("{}/ex/jira/1f2e", state.base);
        "/ex/jira/1f2e".clone_into(&mut state.context);
        site.clone_into(&mut state.base);
        gateway
    }

    /// Makes another token (Cloud), or personal access token (Data Center), the right one.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.lock().token);
    }

    /// Sets the workflow of an issue type (by name) in a project. Nothing happens if there is no such type.
    pub fn set_workflow(&self, project: &str, issue_type: &str, workflow: Workflow) {
        self.with_type(project, issue_type, |kind| kind.workflow = workflow);
    }

    /// Puts one more field on a create screen, or replaces the one of the same id.
    pub fn add_create_field(&self, project: &str, issue_type: &str, field: Field) {
        self.with_type(project, issue_type, |kind| {
            kind.screen.retain(|f| f.id != field.id);
            kind.screen.push(field);
        });
    }

    /// Takes a field off a create screen.
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

    /// Adds an account, or replaces the one with the same account id.
    pub fn add_user(&self, person: Person) {
        let mut state = self.lock();
        state.people.retain(|p| p.account_id != person.account_id);
        state.people.push(person);
    }

    /// Adds a group of these accounts (ids or user names), or replaces it.
    pub fn add_group(&self, name: &str, members: &[&str]) {
        let mut state = self.lock();
        let members = members.iter().filter_map(|m| state.person(m)).map(|p| p.account_id.clone()).collect();
        state.groups.retain(|g| g.name != name);
        let id = format!("952d12c3-5b5b-4d04-bb32-{:012x}", state.id());
        state.groups.push(Group { name: name.to_owned(), id, members });
    }

    /// Adds accounts (ids or user names) and groups to a role of a project; makes the role if there is none.
    pub fn add_to_role(&self, project: &str, role: &str, people: &[&str], groups: &[&str]) {
        let (id, people) = {
            let mut state = self.lock();
            let ids: Vec<String> =
                people.iter().filter_map(|m| state.person(m)).map(|p| p.account_id.clone()).collect();
            (state.id(), ids)
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

    /// Takes permissions such as `TRANSITION_ISSUES` from the bridge's account in a project; all others it has.
    pub fn revoke(&self, project: &str, permissions: &[&str]) {
        self.with_project(project, |p| p.revoked = permissions.iter().map(|x| (*x).to_owned()).collect());
    }

    /// Takes the global permission "Browse users and groups" from the bridge's account, or gives it back.
    pub fn hide_people(&self, hidden: bool) {
        self.lock().blind_to_people = hidden;
    }

    /// Turns linking between issues on or off.
    pub fn set_linking(&self, linking: bool) {
        self.lock().linking = linking;
    }

    /// Renames the link type "Relates", or deletes it.
    pub fn set_relates(&self, called: Option<&str>) {
        self.lock().relates = called.map(str::to_owned);
    }

    /// Makes a project of Cloud team-managed, or company-managed again. Data Center has no such thing.
    pub fn set_team_managed(&self, project: &str, team_managed: bool) {
        self.with_project(project, |p| p.team_managed = team_managed);
    }

    /// Archives a project, or takes it back from there.
    pub fn set_archived(&self, project: &str, archived: bool) {
        self.with_project(project, |p| p.archived = archived);
    }

    /// Makes an issue type (by name) of a project one of sub-tasks, or an ordinary one.
    pub fn set_subtask(&self, project: &str, issue_type: &str, subtask: bool) {
        self.with_type(project, issue_type, |kind| kind.subtask = subtask);
    }

    /// Whether issues of a type (by name) can be created in a project; its old issues stay.
    pub fn set_creatable(&self, project: &str, issue_type: &str, creatable: bool) {
        self.with_type(project, issue_type, |kind| kind.creatable = creatable);
    }

    /// Makes the language of the bridge's account German: statuses and issue types are translated, unless the caller sends
    /// `X-Force-Accept-Language: true` and `Accept-Language: en`.
    pub fn set_translated(&self, translated: bool) {
        self.lock().translated = translated;
    }

    /// From now on search does not see issues younger than this; reads by id do.
    pub fn set_index_lag(&self, lag: Duration) {
        self.lock().index_lag = lag;
    }

    /// Makes the index of the search stand still as it is now, or catch up again; reads by id show what is.
    pub fn freeze_index(&self, frozen: bool) {
        let mut state = self.lock();
        state.index = frozen.then(|| state.issues.clone());
    }

    /// Lets a proxy take out the headers that say whom a request ran as, or not any more.
    pub fn hide_account_headers(&self, hidden: bool) {
        self.lock().account_headers_hidden = hidden;
    }

    /// How many milliseconds the `Date` header is ahead of the time; less than zero: behind.
    pub fn set_date_skew(&self, millis: i64) {
        self.lock().date_skew = millis;
    }

    /// Makes every page at most this long, so that callers must ask for the next.
    pub fn set_page_size(&self, entries: usize) {
        self.lock().page_size = entries.max(1);
    }

    /// From now on posts every change of an issue to this address: signed with the secret, or with a bearer token, or both.
    pub fn webhook(&self, url: &str, secret: Option<&str>, bearer: Option<&str>) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build();
        let Ok(client) = client else { return };
        self.lock().hooks.push(Hook {
            url: url.to_owned(),
            secret: secret.map(str::to_owned),
            bearer: bearer.map(str::to_owned),
            client,
        });
    }

    /// Plans a fault for requests of an operation. What was planned first happens first.
    pub fn fault(&self, on: Operation, fault: Fault, times: Times) {
        self.lock().faults.push(Planned::new(on, fault, times));
    }

    /// How many answers are held back by [`Fault::Held`].
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Lets the answers go that are held back, and holds back no more.
    pub fn release(&self) {
        let mut state = self.lock();
        state.faults.retain(|planned| !planned.holds());
        state.released.send_replace(());
    }

    /// Forgets all planned faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }
}
