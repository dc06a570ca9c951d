//! Validates recorded requests against Atlassian's OpenAPI description of Jira Cloud's REST API.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, OnceLock},
};

use fake_jira::{Operation, Recorded};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

const DESCRIPTION: &str = include_str!("../../../fixtures/jira/jira-cloud-v3-bridge-subset-strict.json");
/// Of Jira Service Management.
const DESK: &str = include_str!("../../../fixtures/jira/jira-service-management-cloud-bridge-subset.json");

fn description() -> &'static Value {
    static PARSED: OnceLock<Value> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut description: Value = serde_json::from_str(DESCRIPTION).expect("the fixture is JSON");
        let desk: Value = serde_json::from_str(DESK).expect("the fixture is JSON");
        for part in ["/paths", "/components/schemas"] {
            let whole = description.pointer_mut(part).and_then(Value::as_object_mut).expect("it has these");
            for (name, one) in desk.pointer(part).and_then(Value::as_object).expect("it has these") {
                assert!(whole.insert(name.clone(), one.clone()).is_none(), "{name} is in both descriptions");
            }
        }
        allow_null(&mut description);
        description
    })
}

/// Converts OpenAPI 3.0's `nullable` to JSON Schema's `"type": [..., "null"]`.
fn allow_null(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        if object.get("nullable") == Some(&json!(true))
            && let Some(kind) = object.get("type").cloned()
        {
            object.insert("type".into(), json!([kind, "null"]));
        }
        object.values_mut().for_each(allow_null);
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(allow_null);
    }
}

/// The violations of Atlassian's description by requests to a Jira Cloud, one line each.
pub(crate) fn violations(requests: &[Recorded]) -> Vec<String> {
    // These two belong to Atlassian's token endpoint and edge, not to Jira's API.
    let others = [Operation::AccessToken, Operation::TenantInfo];
    requests.iter().filter(|request| !others.contains(&request.operation)).flat_map(violations_of).collect()
}

fn violations_of(request: &Recorded) -> Vec<String> {
    let name = format!("{} {}", request.method, request.path);
    let Some(operation) = operation(&request.method, &request.path) else {
        return vec![format!("{name}: no such operation")];
    };
    let mut found = Vec::new();
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let in_query = |p: &&&Value| p["in"] == "query";
    for (key, _) in &request.query {
        if !parameters.iter().filter(in_query).any(|p| p["name"] == key.as_str()) {
            found.push(format!("{name}: unknown query parameter {key}"));
        }
    }
    for required in parameters.iter().filter(in_query).filter(|p| p["required"] == true) {
        if !request.query.iter().any(|(key, _)| required["name"] == key.as_str()) {
            found.push(format!("{name}: query parameter {} is missing", required["name"]));
        }
    }
    match (&request.body, operation["requestBody"]["content"]["application/json"].get("schema")) {
        (None, None) => {}
        (Some(_), None) => found.push(format!("{name}: has a body")),
        (None, Some(_)) => found.push(format!("{name}: has no body")),
        (Some(body), Some(schema)) => {
            found.extend(body_errors(schema, body).into_iter().map(|e| format!("{name}: {e}")));
        }
    }
    found
}

/// The operation with a matching path; a literal segment is preferred to a placeholder.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = description()["paths"].as_object()?;
    let fitting = paths.iter().filter_map(|(template, item)| {
        let operation = item.get(method.to_lowercase())?;
        Some((placeholders(template, path)?, operation))
    });
    fitting.min_by_key(|(placeholders, _)| *placeholders).map(|(_, operation)| operation)
}

/// The number of placeholders in the template; `None` if the path does not match.
fn placeholders(template: &str, path: &str) -> Option<usize> {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut count = 0;
    for (wanted, given) in template.iter().zip(path) {
        if wanted.starts_with('{') {
            count += 1;
        } else if *wanted != given {
            return None;
        }
    }
    Some(count)
}

fn body_errors(schema: &'static Value, body: &Value) -> Vec<String> {
    validator(schema).iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// The validator of a schema of the description; cached, because building it is slow.
fn validator(schema: &'static Value) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<usize, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let place = std::ptr::from_ref(schema).addr();
    let mut made = MADE.lock().unwrap();
    let make = || {
        // References start at the root of the description, so the schema needs its components.
        let whole = json!({ "allOf": [schema], "components": description()["components"] });
        Arc::new(jsonschema::options().with_draft(Draft::Draft4).build(&whole).unwrap())
    };
    Arc::clone(made.entry(place).or_insert_with(make))
}

mod tests {
    use fake_jira::{FakeJira, Flavour, Setup};
    use flagger_jira_bridge::{clock::Clock, millis::Millis};

    use super::*;

    fn create() -> Value {
        json!({
            "fields": {
                "project": { "key": "OPS" }, "issuetype": { "id": "10004" },
                "summary": "Approve confirm-promotion of prod/podinfo", "labels": ["flagger"],
                "description": { "type": "doc", "version": 1, "content": [
                    { "type": "paragraph", "content": [{ "type": "text", "text": "Waiting." }] },
                ] },
            },
            "properties": [{ "key": "flagger-gate", "value": { "gate": "4f1c" } }],
        })
    }

    #[expect(clippy::disallowed_methods, reason = "these tests are callers of Jira themselves")]
    async fn recorded(method: &str, path: &str, body: Option<Value>) -> Vec<Recorded> {
        let jira = FakeJira::new(Setup::new(Flavour::Cloud, Clock::manual(Millis(1_790_000_000_000))));
        let base = jira.start().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client
            .request(method.parse().unwrap(), format!("{base}{path}"))
            .basic_auth("bridge@example.com", Some("jira-token"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap();
        jira.requests()
    }

    #[tokio::test]
    async fn a_good_create_has_no_violations() {
        let requests = recorded("POST", "/rest/api/3/issue", Some(create())).await;
        assert_eq!(requests[0].status, Some(201));
        assert_eq!(violations(&requests), Vec::<String>::new());
    }

    #[tokio::test]
    async fn unknown_keys_are_found() {
        let mut body = create();
        body["notifyUsers"] = json!(false);
        body["fields"]["labels"] = json!(["two words"]);
        body["properties"][0]["name"] = json!("x");
        let found = violations(&recorded("POST", "/rest/api/3/issue", Some(body)).await);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found.iter().any(|v| v.contains("notifyUsers")), "{found:#?}");
    }

    #[tokio::test]
    async fn paths_and_queries_are_checked() {
        let found = violations(
            &recorded("GET", "/rest/api/3/issue/OPS-1?fields=status&expnad=changelog", None).await,
        );
        assert_eq!(found, ["GET /rest/api/3/issue/OPS-1: unknown query parameter expnad"]);
        let found =
            violations(&recorded("POST", "/rest/api/3/issue/bulkfetch", Some(json!({ "ids": [] }))).await);
        assert_eq!(found.len(), 2, "{found:#?}");
        let found =
            violations(&recorded("POST", "/rest/api/3/search", Some(json!({ "jql": "id = 1" }))).await);
        assert_eq!(found, ["POST /rest/api/3/search: no such operation"]);
    }

    #[tokio::test]
    async fn nested_documents_are_checked() {
        let body = json!({ "body": "plain words" });
        let found = violations(&recorded("POST", "/rest/api/3/issue/OPS-1/comment", Some(body)).await);
        assert_eq!(found.len(), 1, "{found:#?}");
    }

    #[test]
    fn null_is_allowed_where_the_description_says_so() {
        let schema: &Value = Box::leak(Box::new(json!({ "$ref": "#/components/schemas/Visibility" })));
        assert_eq!(body_errors(schema, &json!({ "identifier": null })), Vec::<String>::new());
        assert_ne!(body_errors(schema, &json!({ "identifier": 7 })), Vec::<String>::new());
    }
}
