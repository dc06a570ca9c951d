//! Reads of the site, the caller's account, permissions, and projects.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, HandlerResult},
    auth,
    call::Call,
    model::{Field, Flavour, Shape},
    render,
    state::{Project, State},
    time,
};

/// The permissions that this Jira has.
pub(super) const PERMISSIONS: &[&str] = &[
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "DELETE_ISSUES",
    "ADD_COMMENTS",
    "TRANSITION_ISSUES",
    "LINK_ISSUES",
    "ASSIGN_ISSUES",
    "MODIFY_REPORTER",
];

/// `GET serverInfo`
pub(super) fn server_info(state: &State) -> Answer {
    let (version, numbers, kind) = match state.flavour {
        Flavour::Cloud => ("1001.0.0-SNAPSHOT", [1001, 0, 0], "Cloud"),
        Flavour::DataCenter => ("10.3.24", [10, 3, 24], "DataCenter"),
    };
    Answer::ok(json!({
        "baseUrl": state.public_base_url.as_ref().unwrap_or(&state.base_url), "version": version, "versionNumbers": numbers, "deploymentType": kind,
        "buildNumber": 100_284, "buildDate": "2026-09-01T00:00:00.000+0200",
        "serverTime": time::format_json(state.time.now()), "scmInfo": "0000000", "serverTitle": "Jira",
    }))
}

/// `GET myself`: requires authentication, so callers use it to check their credentials.
pub(super) fn myself(state: &State, call: &Call) -> HandlerResult {
    let person = call.account.and_then(|w| state.person(w)).ok_or_else(auth::unauthorized)?;
    let mut me = render::user(state, person);
    me["emailAddress"] = json!(person.email);
    me["locale"] = json!(if state.translated { "de_DE" } else { "en_US" });
    Ok(Answer::ok(me))
}

/// `GET mypermissions`
pub(super) fn my_permissions(state: &State, call: &Call) -> HandlerResult {
    let requested: Vec<String> = match state.flavour {
        Flavour::Cloud => {
            let requested = call.query_list("permissions");
            if requested.is_empty() {
                return Err(Answer::invalid("The 'permissions' query parameter is required."));
            }
            requested
        }
        Flavour::DataCenter if call.account.is_none() => return Err(auth::unauthorized()),
        Flavour::DataCenter => PERMISSIONS.iter().map(|p| (*p).to_owned()).collect(),
    };
    if let Some(unknown) = requested.iter().find(|p| !PERMISSIONS.contains(&p.as_str())) {
        return Err(Answer::invalid(format!("Unrecognized permission '{unknown}'.")));
    }
    let by_issue = call.query("issueKey").or_else(|| call.query("issueId"));
    let project = match by_issue {
        Some(issue) => Some(
            state.visible_issue(call.account, issue).ok_or_else(Answer::issue_not_found)?.project.clone(),
        ),
        None => call.query("projectKey").or_else(|| call.query("projectId")).map(str::to_owned),
    };
    if let Some(project) = &project
        && state.project_by_key_or_id(project).is_none()
    {
        return Err(Answer::error(404, format!("No project could be found with key '{project}'.")));
    }
    let mut permissions = Map::new();
    for (index, key) in requested.iter().enumerate() {
        let granted = match project.as_deref().and_then(|n| state.project_by_key_or_id(n)) {
            Some(project) => state.has_permission(call.account, &project.key, key),
            None => state.projects.iter().any(|p| state.has_permission(call.account, &p.key, key)),
        };
        permissions.insert(
            key.clone(),
            json!({
                "id": (10 + index).to_string(), "key": key, "name": key, "type": "PROJECT", "description": "",
                "havePermission": granted,
            }),
        );
    }
    Ok(Answer::ok(json!({ "permissions": permissions })))
}

/// The project, if the caller can see it. With `exact` the case of the key matters.
fn visible_project<'a>(state: &'a State, call: &Call, key: &str, exact: bool) -> Result<&'a Project, Answer> {
    let found = state.project_by_key_or_id(key).filter(|p| !exact || p.key == key || p.id == key);
    let found = found.filter(|p| state.has_permission(call.account, &p.key, "BROWSE_PROJECTS"));
    found.ok_or_else(|| Answer::error(404, format!("No project could be found with key '{key}'.")))
}

/// `GET project/{key}`
pub(super) fn project(state: &State, call: &Call, key: &str) -> HandlerResult {
    let project = visible_project(state, call, key, true)?;
    let types: Vec<Value> =
        project.types.iter().map(|t| render::issue_type(state, t, call.english)).collect();
    let mut value = render::project(state, &project.key);
    value["issueTypes"] = Value::Array(types);
    value["archived"] = json!(project.archived);
    if state.flavour == Flavour::Cloud {
        value["style"] = json!(if project.team_managed { "next-gen" } else { "classic" });
        value["simplified"] = json!(project.team_managed);
    }
    Ok(Answer::ok(value))
}

/// Cloud `GET project/search`, Data Center `GET project`: the projects that the caller can see, without archived ones.
pub(super) fn projects(state: &State, call: &Call) -> HandlerResult {
    let query = call.query("query").unwrap_or_default().to_lowercase();
    let matches = |p: &&Project| {
        !p.archived
            && state.has_permission(call.account, &p.key, "BROWSE_PROJECTS")
            && (p.key.to_lowercase().contains(&query) || p.name.to_lowercase().contains(&query))
    };
    let all: Vec<Value> =
        state.projects.iter().filter(matches).map(|p| render::project(state, &p.key)).collect();
    match state.flavour {
        Flavour::Cloud => {
            let start = call.number("startAt", 0)?;
            let limit = call.number("maxResults", 50)?.min(100).min(state.page_size);
            let total = all.len();
            let page: Vec<Value> = all.into_iter().skip(start).take(limit).collect();
            let last = start + page.len() >= total;
            Ok(Answer::ok(
                json!({ "startAt": start, "maxResults": limit, "total": total, "isLast": last, "values": page }),
            ))
        }
        Flavour::DataCenter => Ok(Answer::ok(Value::Array(all))),
    }
}

/// `GET project/{key}/statuses`: an array with an entry for each issue type.
pub(super) fn project_statuses(state: &State, call: &Call, key: &str) -> HandlerResult {
    let project = visible_project(state, call, key, true)?;
    let types = project.types.iter().map(|t| {
        let mut value = render::issue_type(state, t, call.english);
        let statuses = t.workflow.statuses.iter().map(|s| render::status(state, s, call.english));
        value["statuses"] = Value::Array(statuses.collect());
        value
    });
    Ok(Answer::ok(Value::Array(types.collect())))
}

/// A page of create metadata: the list is called `name` on Cloud, `values` on Data Center.
fn create_meta_page(state: &State, call: &Call, name: &str, all: Vec<Value>) -> HandlerResult {
    let start = call.number("startAt", 0)?;
    let limit = call.number("maxResults", 50)?.min(200).min(state.page_size);
    let total = all.len();
    let page: Vec<Value> = all.into_iter().skip(start).take(limit).collect();
    let last = start + page.len() >= total;
    let mut answer = json!({ "startAt": start, "maxResults": limit, "total": total });
    match state.flavour {
        Flavour::Cloud => answer[name] = Value::Array(page),
        Flavour::DataCenter => {
            answer["values"] = Value::Array(page);
            answer["isLast"] = json!(last);
        }
    }
    Ok(Answer::ok(answer))
}

/// `GET issue/createmeta/{project}/issuetypes`: empty without the permission to create issues.
pub(super) fn create_types(state: &State, call: &Call, key: &str) -> HandlerResult {
    let project = visible_project(state, call, key, false)?;
    let may_create = state.has_permission(call.account, &project.key, "CREATE_ISSUES");
    let types = project
        .types
        .iter()
        .filter(|t| may_create && t.creatable)
        .map(|t| render::issue_type(state, t, call.english));
    create_meta_page(state, call, "issueTypes", types.collect())
}

/// `GET issue/createmeta/{project}/issuetypes/{id}`: the fields of the create screen.
pub(super) fn create_fields(state: &State, call: &Call, key: &str, id: &str) -> HandlerResult {
    let project = visible_project(state, call, key, false)?;
    let kind = project.types.iter().find(|t| t.id == id);
    let kind = kind.ok_or_else(|| Answer::error(404, format!("Issue type with id {id} does not exist.")))?;
    let may_create = state.has_permission(call.account, &project.key, "CREATE_ISSUES");
    create_meta_page(
        state,
        call,
        "fields",
        kind.screen.iter().filter(|_| may_create && kind.creatable).map(field).collect(),
    )
}

/// The metadata of a field on a screen.
pub(super) fn field(field: &Field) -> Value {
    let (kind, allowed) = match &field.shape {
        Shape::Text | Shape::Paragraph => ("string", None),
        Shape::Labels | Shape::Users => ("array", None),
        Shape::MultiSelect(names) => ("array", Some(names)),
        Shape::Number => ("number", None),
        Shape::DateTime => ("datetime", None),
        Shape::User => ("user", None),
        Shape::Project => ("project", None),
        Shape::IssueType => ("issuetype", None),
        Shape::Select(names) => (field.built_in_option_type().unwrap_or("option"), Some(names)),
    };
    let mut schema = json!({ "type": kind });
    // Only the type of a custom field distinguishes long from short texts.
    match field.shape {
        Shape::Paragraph => {
            schema["custom"] = json!("com.atlassian.jira.plugin.system.customfieldtypes:textarea")
        }
        Shape::Text => {
            schema["custom"] = json!("com.atlassian.jira.plugin.system.customfieldtypes:textfield")
        }
        Shape::Labels
        | Shape::Number
        | Shape::DateTime
        | Shape::User
        | Shape::Users
        | Shape::Project
        | Shape::IssueType
        | Shape::Select(_)
        | Shape::MultiSelect(_) => {}
    }
    if let Some(number) = field.id.strip_prefix("customfield_") {
        schema["customId"] = json!(number.parse::<u64>().unwrap_or_default());
    } else {
        schema["system"] = json!(field.id);
        schema.as_object_mut().map(|schema| schema.remove("custom"));
    }
    if kind == "array" {
        schema["items"] = json!(if field.shape == Shape::Users {
            "user"
        } else if allowed.is_some() {
            field.built_in_option_type().unwrap_or("option")
        } else {
            "string"
        });
    }
    let mut value = json!({
        "fieldId": field.id, "key": field.id, "name": field.name, "required": field.required,
        "hasDefaultValue": field.has_default, "schema": schema,
        "operations": if kind == "array" { json!(["add", "set", "remove"]) } else { json!(["set"]) },
    });
    if let Some(names) = allowed {
        let options = names.iter().enumerate();
        // The options of built-in fields have no `value`.
        let options = options.map(|(i, n)| match field.built_in_option_type() {
            Some(_) => json!({ "id": (i + 1).to_string(), "name": n }),
            None => json!({ "id": (i + 1).to_string(), "name": n, "value": n }),
        });
        value["allowedValues"] = Value::Array(options.collect());
    }
    value
}
