//! What a caller can learn about the site, its own account, and projects.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Reply},
    auth,
    call::Call,
    model::{Field, Flavour, Shape},
    render,
    state::{Project, State},
    time,
};

/// The permissions this Jira knows.
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
        "baseUrl": state.public_base.as_ref().unwrap_or(&state.base), "version": version, "versionNumbers": numbers, "deploymentType": kind,
        "buildNumber": 100_284, "buildDate": "2026-09-01T00:00:00.000+0200",
        "serverTime": time::json(state.time.now()), "scmInfo": "0000000", "serverTitle": "Jira",
    }))
}

/// `GET myself`: the one read that is closed to anonymous callers, hence the proof of credentials.
pub(super) fn myself(state: &State, call: &Call) -> Reply {
    let person = call.who.and_then(|w| state.person(w)).ok_or_else(auth::unauthorized)?;
    let mut me = render::user(state, person);
    me["emailAddress"] = json!(person.email);
    me["locale"] = json!(if state.translated { "de_DE" } else { "en_US" });
    Ok(Answer::ok(me))
}

/// `GET mypermissions`
pub(super) fn my_permissions(state: &State, call: &Call) -> Reply {
    let wanted: Vec<String> = match state.flavour {
        Flavour::Cloud => {
            let wanted = call.query_list("permissions");
            if wanted.is_empty() {
                return Err(Answer::wrong("The 'permissions' query parameter is required."));
            }
            wanted
        }
        Flavour::DataCenter if call.who.is_none() => return Err(auth::unauthorized()),
        Flavour::DataCenter => PERMISSIONS.iter().map(|p| (*p).to_owned()).collect(),
    };
    if let Some(unknown) = wanted.iter().find(|p| !PERMISSIONS.contains(&p.as_str())) {
        return Err(Answer::wrong(format!("Unrecognized permission '{unknown}'.")));
    }
    let by_issue = call.query("issueKey").or_else(|| call.query("issueId"));
    let named = match by_issue {
        Some(issue) => Some(state.visible(call.who, issue).ok_or_else(Answer::no_issue)?.project.clone()),
        None => call.query("projectKey").or_else(|| call.query("projectId")).map(str::to_owned),
    };
    if let Some(named) = &named
        && state.project_loosely(named).is_none()
    {
        return Err(Answer::refused(404, format!("No project could be found with key '{named}'.")));
    }
    let mut permissions = Map::new();
    for (index, key) in wanted.iter().enumerate() {
        let have = match named.as_deref().and_then(|n| state.project_loosely(n)) {
            Some(project) => state.may(call.who, &project.key, key),
            None => state.projects.iter().any(|p| state.may(call.who, &p.key, key)),
        };
        permissions.insert(
            key.clone(),
            json!({
                "id": (10 + index).to_string(), "key": key, "name": key, "type": "PROJECT", "description": "",
                "havePermission": have,
            }),
        );
    }
    Ok(Answer::ok(json!({ "permissions": permissions })))
}

/// The project, if the caller may see it. The key's case matters where Jira says so.
fn seen<'a>(state: &'a State, call: &Call, key: &str, exact: bool) -> Result<&'a Project, Answer> {
    let found = state.project_loosely(key).filter(|p| !exact || p.key == key || p.id == key);
    let found = found.filter(|p| state.may(call.who, &p.key, "BROWSE_PROJECTS"));
    found.ok_or_else(|| Answer::refused(404, format!("No project could be found with key '{key}'.")))
}

/// `GET project/{key}`
pub(super) fn project(state: &State, call: &Call, key: &str) -> Reply {
    let project = seen(state, call, key, true)?;
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

/// Cloud `GET project/search`, Data Center `GET project`: the projects that the caller may see. Archived ones are left
/// out.
pub(super) fn projects(state: &State, call: &Call) -> Reply {
    let wanted = call.query("query").unwrap_or_default().to_lowercase();
    let fits = |p: &&Project| {
        !p.archived
            && state.may(call.who, &p.key, "BROWSE_PROJECTS")
            && (p.key.to_lowercase().contains(&wanted) || p.name.to_lowercase().contains(&wanted))
    };
    let all: Vec<Value> =
        state.projects.iter().filter(fits).map(|p| render::project(state, &p.key)).collect();
    match state.flavour {
        Flavour::Cloud => {
            let start = call.number("startAt", 0)?;
            let most = call.number("maxResults", 50)?.min(100).min(state.page_size);
            let total = all.len();
            let shown: Vec<Value> = all.into_iter().skip(start).take(most).collect();
            let last = start + shown.len() >= total;
            Ok(Answer::ok(
                json!({ "startAt": start, "maxResults": most, "total": total, "isLast": last, "values": shown }),
            ))
        }
        Flavour::DataCenter => Ok(Answer::ok(Value::Array(all))),
    }
}

/// `GET project/{key}/statuses`: an array with an entry for each issue type.
pub(super) fn project_statuses(state: &State, call: &Call, key: &str) -> Reply {
    let project = seen(state, call, key, true)?;
    let types = project.types.iter().map(|t| {
        let mut value = render::issue_type(state, t, call.english);
        let statuses = t.workflow.statuses.iter().map(|s| render::status(state, s, call.english));
        value["statuses"] = Value::Array(statuses.collect());
        value
    });
    Ok(Answer::ok(Value::Array(types.collect())))
}

/// A page of create metadata: Cloud names the list, Data Center calls it `values`.
fn page(state: &State, call: &Call, name: &str, all: Vec<Value>) -> Reply {
    let start = call.number("startAt", 0)?;
    let most = call.number("maxResults", 50)?.min(200).min(state.page_size);
    let total = all.len();
    let shown: Vec<Value> = all.into_iter().skip(start).take(most).collect();
    let last = start + shown.len() >= total;
    let mut answer = json!({ "startAt": start, "maxResults": most, "total": total });
    match state.flavour {
        Flavour::Cloud => answer[name] = Value::Array(shown),
        Flavour::DataCenter => {
            answer["values"] = Value::Array(shown);
            answer["isLast"] = json!(last);
        }
    }
    Ok(Answer::ok(answer))
}

/// `GET issue/createmeta/{project}/issuetypes`: empty without permission to create.
pub(super) fn create_types(state: &State, call: &Call, key: &str) -> Reply {
    let project = seen(state, call, key, false)?;
    let may = state.may(call.who, &project.key, "CREATE_ISSUES");
    let types = project
        .types
        .iter()
        .filter(|t| may && t.creatable)
        .map(|t| render::issue_type(state, t, call.english));
    page(state, call, "issueTypes", types.collect())
}

/// `GET issue/createmeta/{project}/issuetypes/{id}`: the fields of the create screen.
pub(super) fn create_fields(state: &State, call: &Call, key: &str, id: &str) -> Reply {
    let project = seen(state, call, key, false)?;
    let kind = project.types.iter().find(|t| t.id == id);
    let kind =
        kind.ok_or_else(|| Answer::refused(404, format!("Issue type with id {id} does not exist.")))?;
    let may = state.may(call.who, &project.key, "CREATE_ISSUES");
    page(state, call, "fields", kind.screen.iter().filter(|_| may && kind.creatable).map(field).collect())
}

/// A field of a screen as metadata shows it.
pub(super) fn field(field: &Field) -> Value {
    let (kind, allowed) = match &field.shape {
        Shape::Text | Shape::Paragraph => ("string", None),
        Shape::Labels => ("array", None),
        Shape::Number => ("number", None),
        Shape::User => ("user", None),
        Shape::Project => ("project", None),
        Shape::IssueType => ("issuetype", None),
        Shape::Select(names) => (field.own_kind().unwrap_or("option"), Some(names)),
    };
    let mut schema = json!({ "type": kind });
    // Which texts may be long shows in the type of the custom field alone.
    match field.shape {
        Shape::Paragraph => {
            schema["custom"] = json!("com.atlassian.jira.plugin.system.customfieldtypes:textarea")
        }
        Shape::Text => {
            schema["custom"] = json!("com.atlassian.jira.plugin.system.customfieldtypes:textfield")
        }
        Shape::Labels
        | Shape::Number
        | Shape::User
        | Shape::Project
        | Shape::IssueType
        | Shape::Select(_) => {}
    }
    if let Some(number) = field.id.strip_prefix("customfield_") {
        schema["customId"] = json!(number.parse::<u64>().unwrap_or_default());
    } else {
        schema["system"] = json!(field.id);
        schema.as_object_mut().map(|schema| schema.remove("custom"));
    }
    if kind == "array" {
        schema["items"] = json!("string");
    }
    let mut value = json!({
        "fieldId": field.id, "key": field.id, "name": field.name, "required": field.required,
        "hasDefaultValue": field.has_default, "schema": schema,
        "operations": if kind == "array" { json!(["add", "set", "remove"]) } else { json!(["set"]) },
    });
    if let Some(names) = allowed {
        let options = names.iter().enumerate();
        // Only options have a value.
        let options = options.map(|(i, n)| match field.own_kind() {
            Some(_) => json!({ "id": (i + 1).to_string(), "name": n }),
            None => json!({ "id": (i + 1).to_string(), "name": n, "value": n }),
        });
        value["allowedValues"] = Value::Array(options.collect());
    }
    value
}
