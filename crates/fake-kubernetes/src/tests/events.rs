//! Events: which are taken, and what is said of the others.

use serde_json::{Value, json};

use super::Cluster;

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/prod/events";

fn event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": name, "namespace": "prod" },
        "eventTime": "2026-09-21T13:33:20.000000Z", "reportingController": "flagger-jira-bridge",
        "reportingInstance": "flagger-jira-bridge-0", "action": "Ask", "reason": "ApprovalRequested",
        "type": "Normal", "note": "OPS-1 asks for an approval",
        "regarding": { "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "namespace": "prod", "name": "podinfo" },
    })
}

/// An Event with other values; null removes.
fn but(changes: Value) -> Value {
    let mut event = event("podinfo.1");
    crate::merge::merge(&mut event, &changes);
    event
}

#[tokio::test]
async fn events_are_created_and_counted_up() {
    let cluster = Cluster::start().await;
    let (status, created) = cluster.post(EVENTS, event("podinfo.2")).await;
    assert_eq!((status, &created["metadata"]["resourceVersion"]), (201, &json!("1")));
    let unnamed = but(json!({ "metadata": { "name": null, "generateName": "podinfo.", "namespace": null } }));
    let (status, named) = cluster.post(EVENTS, unnamed).await;
    assert_eq!((status, &named["metadata"]["name"]), (201, &json!("podinfo.00002")));
    let (status, taken) = cluster.post(EVENTS, event("podinfo.2")).await;
    assert_eq!((status, &taken["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(taken["message"], "events.events.k8s.io \"podinfo.2\" already exists");
    let path = format!("{EVENTS}/podinfo.2");
    let patch = async |body: Value| {
        let answer = cluster.send("PATCH", &path, Some(("application/merge-patch+json", body))).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let series = json!({ "series": { "count": 2, "lastObservedTime": "2026-09-21T13:34:20.000000Z" } });
    assert_eq!(patch(series.clone()).await.0, 200);
    assert_eq!(cluster.api.complaints(), [""; 0]);
    assert_eq!(
        patch(json!({ "note": "another" })).await.1["message"],
        "Event \"podinfo.2\" is invalid: message: Invalid value: \"another\": field is immutable"
    );
    assert_eq!(patch(json!({ "metadata": { "uid": "another" } })).await.0, 400);
    let missing =
        cluster.send("PATCH", &format!("{EVENTS}/no"), Some(("application/merge-patch+json", series))).await;
    assert_eq!(missing.status(), 404);
    let wrong = cluster.send("PATCH", &path, Some(("application/json", json!({})))).await;
    assert_eq!(wrong.status(), 415);
    let events = cluster.api.events();
    let names: Vec<&Value> = events.iter().map(|event| &event["metadata"]["name"]).collect();
    assert_eq!(names, ["podinfo.2", "podinfo.00002"]);
    assert_eq!(events[0]["series"]["count"], 2);
    assert_eq!(cluster.api.complaints().len(), 3, "{:?}", cluster.api.complaints());
}

#[tokio::test]
async fn events_are_checked_as_strictly_as_by_the_real_server() {
    let cluster = Cluster::start().await;
    let time = "parsing time \"2026-09-21T13:33:20Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse";
    let cases = [
        (json!({ "eventTime": null }), 422, "eventTime: Required value"),
        (json!({ "eventTime": "2026-09-21T13:33:20Z" }), 400, time),
        (
            json!({ "reportingController": "" }),
            422,
            "reportingController: Required value, reportingController: Inv",
        ),
        (json!({ "reportingController": "the bridge" }), 422, "name part must consist of alphanumeric"),
        (json!({ "reportingInstance": null }), 422, "reportingInstance: Required value"),
        (json!({ "reportingInstance": "x".repeat(129) }), 422, "can have at most 128 characters"),
        (json!({ "action": null }), 422, "action: Required value"),
        (json!({ "reason": null }), 422, "reason: Required value"),
        (
            json!({ "note": "ü".repeat(513) }),
            422,
            "message: Invalid value: \"\": can have at most 1024 characters",
        ),
        (json!({ "note": 7 }), 400, "cannot unmarshal Event.note"),
        (json!({ "type": "Info" }), 422, "type: Invalid value: \"\": has invalid value: Info"),
        (json!({ "type": null }), 422, "has invalid value"),
        (json!({ "regarding": null }), 422, "involvedObject.namespace: Invalid value: \"\": does not match"),
        (json!({ "metadata": { "name": "Pod info" } }), 422, "a lowercase RFC 1123 subdomain"),
        (json!({ "metadata": { "name": null } }), 422, "name or generateName is required"),
        (
            json!({ "metadata": { "namespace": "dev" } }),
            400,
            "the namespace of the provided object does not match",
        ),
        (json!({ "series": { "count": 1 } }), 422, "series.count"),
        (json!({ "deprecatedCount": 1 }), 422, "count: Invalid value: \"\": needs to be unset"),
        (json!({ "apiVersion": "v1" }), 400, "does not match the expected API version"),
    ];
    let count = cases.len();
    for (changes, expected, words) in cases {
        let (status, answer) = cluster.post(EVENTS, but(changes.clone())).await;
        let message = answer["message"].as_str().unwrap();
        assert!(status == expected && message.contains(words), "{changes}: {status} {message}");
    }
    assert_eq!(cluster.api.complaints().len(), count);
    assert_eq!(cluster.api.events(), [json!(null); 0]);
    assert_eq!(cluster.post(EVENTS, but(json!({ "note": "ü".repeat(512) }))).await.0, 201);
}
