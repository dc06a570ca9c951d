//! What is stored, listed and got.

use serde_json::{Value, json};

use super::{CANARIES, Cluster, DEPLOYMENTS, canary, deployment};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_have_the_form_of_the_real_ones() {
    let cluster = Cluster::start().await;
    cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.4.0")).unwrap();
    cluster.api.apply(deployment("dev", "podinfo", "podinfo:6.5.0")).unwrap();
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let (status, list) = cluster.get(&format!("{DEPLOYMENTS}?&limit=500")).await;
    assert_eq!(
        (status, &list["kind"], &list["apiVersion"]),
        (200, &json!("DeploymentList"), &json!("apps/v1"))
    );
    assert_eq!(list["metadata"], json!({ "resourceVersion": "3" }));
    let namespaces: Vec<&Value> =
        list["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["namespace"]).collect();
    assert_eq!(namespaces, ["dev", "prod"]);
    assert_eq!((list["items"][0].get("kind"), list["items"][0].get("apiVersion")), (None, None));
    let (_, list) = cluster.get(CANARIES).await;
    assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("CanaryList"), &json!("Canary")));
    let (_, list) = cluster.get("/apis/apps/v1/namespaces/dev/deployments").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let (_, list) = cluster.get("/apis/apps/v1/namespaces/nowhere/deployments").await;
    assert_eq!(list["items"], json!([]));
    assert!(cluster.api.complaints().is_empty(), "{:?}", cluster.api.complaints());
}

#[tokio::test]
async fn pages_show_the_objects_as_they_were_at_the_first() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c"] {
        cluster.api.apply(canary("prod", name)).unwrap();
    }
    let (_, first) = cluster.get(&format!("{CANARIES}?limit=2")).await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    cluster.api.delete("Canary", "prod", "c");
    cluster.api.apply(canary("prod", "d")).unwrap();
    let next = format!("{CANARIES}?limit=2&continue={}", first["metadata"]["continue"].as_str().unwrap());
    for _ in 0..2 {
        let (_, second) = cluster.get(&next).await;
        assert_eq!(names(&second), ["c"]);
        assert_eq!(second["metadata"], json!({ "resourceVersion": "3" }));
    }
    cluster.api.expire_watches();
    let (status, expired) = cluster.get(&next).await;
    assert_eq!((status, &expired["reason"]), (410, &json!("Expired")));
}

#[tokio::test]
async fn the_server_keeps_the_books_of_an_object() {
    let cluster = Cluster::start().await;
    let api = &cluster.api;
    let meta = |object: &Value| object["metadata"].clone();
    let created = api.apply(deployment("prod", "podinfo", "podinfo:6.4.0")).unwrap();
    assert_eq!(
        meta(&created),
        json!({
            "namespace": "prod", "name": "podinfo", "uid": "00000000-0000-4000-8000-000000000001",
            "creationTimestamp": "2026-09-21T13:33:20Z", "generation": 1, "resourceVersion": "1",
        })
    );
    assert_eq!(api.apply(deployment("prod", "podinfo", "podinfo:6.4.0")).unwrap(), created, "no change");
    let status = api.patch("Deployment", "prod", "podinfo", &json!({ "status": { "replicas": 2 } })).unwrap();
    assert_eq!((&meta(&status)["generation"], &meta(&status)["resourceVersion"]), (&json!(1), &json!("2")));
    let pushed = api.apply(deployment("prod", "podinfo", "podinfo:6.5.0")).unwrap();
    assert_eq!((&meta(&pushed)["generation"], &meta(&pushed)["resourceVersion"]), (&json!(2), &json!("3")));
    assert_eq!(meta(&pushed)["uid"], meta(&created)["uid"]);
    assert!(api.delete("Deployment", "prod", "podinfo") && !api.delete("Deployment", "prod", "podinfo"));
    assert_eq!(api.object("Deployment", "prod", "podinfo"), None);
    let again = api.apply(deployment("prod", "podinfo", "podinfo:6.5.0")).unwrap();
    assert_eq!(meta(&again)["uid"], "00000000-0000-4000-8000-000000000002");
    assert_eq!(meta(&again)["generation"], 1);
    assert_eq!(api.apply(json!({ "kind": "Pod" })), None);
    assert_eq!(api.complaints(), [r#"an object that cannot be stored: {"kind":"Pod"}"#]);
}

#[tokio::test]
async fn an_object_is_got_or_not_found() {
    let cluster = Cluster::start().await;
    let stored = cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.4.0")).unwrap();
    let path = "/apis/apps/v1/namespaces/prod/deployments";
    assert_eq!(cluster.get(&format!("{path}/podinfo")).await, (200, stored));
    let (status, missing) = cluster.get(&format!("{path}/nothing")).await;
    assert_eq!(status, 404);
    assert_eq!(
        missing,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "deployments.apps \"nothing\" not found", "reason": "NotFound",
            "details": { "name": "nothing", "group": "apps", "kind": "deployments" }, "code": 404,
        })
    );
    assert!(cluster.api.complaints().is_empty());
}

#[tokio::test]
async fn requests_are_recorded_and_what_is_not_served_is_a_complaint() {
    let cluster = Cluster::start().await;
    let (status, _) = cluster.get(&format!("{DEPLOYMENTS}?labelSelector=a%3Db")).await;
    assert_eq!(status, 400);
    assert_eq!(cluster.get("/api/v1/secrets").await.0, 403);
    assert_eq!(cluster.get("/healthz").await.0, 403);
    cluster.api.allow("delete", "deployments", None);
    let delete = cluster.send("DELETE", "/apis/apps/v1/namespaces/prod/deployments/podinfo", None).await;
    assert_eq!(delete.status(), 405);
    assert_eq!(
        cluster.api.complaints(),
        [
            "GET /apis/apps/v1/deployments: labelSelector is not served here",
            "GET /api/v1/secrets: not served",
            "GET /healthz: not served",
            "DELETE /apis/apps/v1/namespaces/prod/deployments/podinfo: not served",
        ]
    );
    let requests = cluster.api.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].query, [("labelSelector".to_owned(), "a=b".to_owned())]);
    assert_eq!((requests[0].method.as_str(), requests[0].status), ("GET", Some(400)));
    cluster.api.clear_requests();
    assert_eq!(cluster.api.requests(), []);
}
