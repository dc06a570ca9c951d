//! Users, groups and project roles.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, HandlerResult},
    auth,
    call::Call,
    model::{Flavour, Person},
    render,
    state::{Group, State},
};

fn require_account(call: &Call) -> Result<(), Answer> {
    if call.account.is_some() { Ok(()) } else { Err(auth::unauthorized()) }
}

/// The reads of one user or group require the global permission "Browse users and groups".
fn check_can_browse_users(state: &State, call: &Call) -> Result<(), Answer> {
    require_account(call)?;
    if state.cannot_browse_users {
        return Err(Answer::error(403, "You do not have permission to browse users and groups."));
    }
    Ok(())
}

/// `GET user`
pub(super) fn user(state: &State, call: &Call) -> HandlerResult {
    check_can_browse_users(state, call)?;
    let found = match state.flavour {
        Flavour::Cloud => {
            let id = call.query("accountId");
            let id = id.ok_or_else(|| Answer::invalid("The accountId query parameter is required."))?;
            state.people.iter().find(|p| p.account_id == id)
        }
        Flavour::DataCenter => {
            let name = call.query("username");
            let name = name.ok_or_else(|| {
                Answer::invalid("Either the 'username' or the 'key' query parameters need to be provided")
            })?;
            state.people.iter().find(|p| p.name == name)
        }
    };
    let found = found.ok_or_else(|| Answer::error(404, "The user does not exist."))?;
    let mut value = render::user(state, found);
    if state.flavour == Flavour::DataCenter {
        let items = groups_of(state, found);
        let expanded =
            if call.query_list("expand").iter().any(|e| e == "groups") { items.clone() } else { vec![] };
        value["groups"] = json!({ "size": items.len(), "items": expanded });
    }
    Ok(Answer::ok(value))
}

/// `GET user/groups`
pub(super) fn user_groups(state: &State, call: &Call) -> HandlerResult {
    check_can_browse_users(state, call)?;
    let id = call.query("accountId");
    let id = id.ok_or_else(|| Answer::invalid("The accountId query parameter is required."))?;
    let found = state.people.iter().find(|p| p.account_id == id);
    let found = found.ok_or_else(|| Answer::error(404, "The user does not exist."))?;
    Ok(Answer::ok(Value::Array(groups_of(state, found))))
}

fn groups_of(state: &State, person: &Person) -> Vec<Value> {
    let groups = state.groups.iter().filter(|g| g.members.contains(&person.account_id));
    groups.map(|g| group_json(state, g)).collect()
}

/// `GET user/search`: by the beginning of a name or e-mail address; the parameter is `query` on Cloud, `username` on
/// Data Center. Cloud also searches by the complete `accountId`.
/// Without the global permission the list is empty; Jira sends no error.
pub(super) fn search(state: &State, call: &Call) -> HandlerResult {
    require_account(call)?;
    if state.cannot_browse_users {
        return Ok(Answer::ok(json!([])));
    }
    if let (Flavour::Cloud, Some(id)) = (state.flavour, call.query("accountId")) {
        let found = state.people.iter().filter(|p| p.active && p.account_id == id);
        return Ok(Answer::ok(Value::Array(found.map(|p| render::user(state, p)).collect())));
    }
    let parameter = match state.flavour {
        Flavour::Cloud => "query",
        Flavour::DataCenter => "username",
    };
    let query = call.query(parameter).filter(|q| !q.is_empty());
    let query =
        query.ok_or_else(|| Answer::invalid(format!("The {parameter} query parameter was not provided.")))?;
    let query = query.to_lowercase();
    let matches = |p: &&Person| {
        let name = state.flavour == Flavour::DataCenter && p.name.to_lowercase().starts_with(&query);
        let display = p.display.to_lowercase();
        p.active
            && (name
                || p.email.to_lowercase().starts_with(&query)
                || display.starts_with(&query)
                || display.split(' ').any(|w| w.starts_with(&query)))
    };
    let start = call.number("startAt", 0)?;
    let limit = call.number("maxResults", 50)?.min(1000);
    let found = state.people.iter().filter(matches).skip(start).take(limit);
    Ok(Answer::ok(Value::Array(found.map(|p| render::user(state, p)).collect())))
}

fn group_json(state: &State, group: &Group) -> Value {
    match state.flavour {
        Flavour::Cloud => json!({ "name": group.name, "groupId": group.id }),
        Flavour::DataCenter => json!({ "name": group.name }),
    }
}

/// `GET group/member`
pub(super) fn members(state: &State, call: &Call) -> HandlerResult {
    check_can_browse_users(state, call)?;
    let (name, id) = (call.query("groupname"), call.query("groupId"));
    if name.is_none() && id.is_none() {
        return Err(Answer::invalid("'groupname' or 'groupId' is required."));
    }
    let group = state.groups.iter().find(|g| Some(g.name.as_str()) == name || Some(g.id.as_str()) == id);
    let group = group.ok_or_else(|| {
        Answer::error(404, format!("The group named '{}' does not exist.", name.or(id).unwrap_or_default()))
    })?;
    let start = call.number("startAt", 0)?;
    let limit = call.number("maxResults", 50)?.min(50).min(state.page_size);
    let inactive = call.query("includeInactiveUsers") == Some("true");
    let all: Vec<&Person> =
        group.members.iter().filter_map(|m| state.person(m)).filter(|p| inactive || p.active).collect();
    let values: Vec<Value> = all.iter().skip(start).take(limit).map(|p| render::user(state, p)).collect();
    let last = start + values.len() >= all.len();
    Ok(Answer::ok(json!({
        "self": format!("{}/group/member?groupname={}", render::api_url(state), group.name),
        "startAt": start, "maxResults": limit, "total": all.len(), "isLast": last, "values": values,
    })))
}

/// `GET groups/picker`: by a part of the name. Without the global permission the list is empty; Jira sends no error.
pub(super) fn search_groups(state: &State, call: &Call) -> HandlerResult {
    require_account(call)?;
    let query = call.query("query").unwrap_or_default().to_lowercase();
    let hidden = state.cannot_browse_users;
    let found = state.groups.iter().filter(|g| !hidden && g.name.to_lowercase().contains(&query));
    let groups: Vec<Value> = found.map(|g| group_json(state, g)).collect();
    let total = groups.len();
    Ok(Answer::ok(
        json!({ "header": format!("Showing {total} of {total} matching groups"), "total": total, "groups": groups }),
    ))
}

fn visible_project<'a>(
    state: &'a State,
    call: &Call,
    key: &str,
) -> Result<&'a super::state::Project, Answer> {
    let project =
        state.project(key).filter(|p| state.has_permission(call.account, &p.key, "BROWSE_PROJECTS"));
    project.ok_or_else(|| Answer::error(404, format!("No project could be found with key '{key}'.")))
}

/// The project, if the caller administers it; others get the 404 of a project that does not exist.
fn administered_project<'a>(
    state: &'a State,
    call: &Call,
    key: &str,
) -> Result<&'a super::state::Project, Answer> {
    let project = visible_project(state, call, key)?;
    let may_administer = state.has_permission(call.account, &project.key, "ADMINISTER_PROJECTS");
    may_administer
        .then_some(project)
        .ok_or_else(|| Answer::error(404, format!("No project could be found with key '{key}'.")))
}

/// `GET project/{key}/role`: the URL of each role by its name.
pub(super) fn roles(state: &State, call: &Call, key: &str) -> HandlerResult {
    require_account(call)?;
    let project = administered_project(state, call, key)?;
    let url = format!("{}/project/{}/role", render::api_url(state), project.id);
    let roles: Map<String, Value> =
        project.roles.iter().map(|r| (r.name.clone(), json!(format!("{url}/{}", r.id)))).collect();
    Ok(Answer::ok(Value::Object(roles)))
}

/// `GET project/{key}/role/{id}`
pub(super) fn role(state: &State, call: &Call, key: &str, id: &str) -> HandlerResult {
    require_account(call)?;
    let project = administered_project(state, call, key)?;
    let role = project.roles.iter().find(|r| r.id.to_string() == id);
    let role =
        role.ok_or_else(|| Answer::error(404, format!("Can not retrieve a role actor for role {id}.")))?;
    let people = role.people.iter().filter_map(|p| state.person(p)).map(|p| match state.flavour {
        Flavour::Cloud => json!({
            "id": 10_240, "displayName": p.display, "type": "atlassian-user-role-actor",
            "actorUser": { "accountId": p.account_id },
        }),
        Flavour::DataCenter => json!({
            "id": 10_240, "displayName": p.display, "type": "atlassian-user-role-actor", "name": p.name,
        }),
    });
    let groups = role.groups.iter().filter_map(|g| state.groups.iter().find(|x| x.name == *g)).map(|g| {
        let mut actor = json!({
            "id": 10_241, "displayName": g.name, "type": "atlassian-group-role-actor", "name": g.name,
        });
        if state.flavour == Flavour::Cloud {
            actor["actorGroup"] = json!({ "name": g.name, "displayName": g.name, "groupId": g.id });
        }
        actor
    });
    let actors: Vec<Value> = people.chain(groups).collect();
    let url = format!("{}/project/{}/role/{}", render::api_url(state), project.id, role.id);
    Ok(Answer::ok(
        json!({ "self": url, "id": role.id, "name": role.name, "description": "", "actors": actors }),
    ))
}
