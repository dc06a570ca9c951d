//! Watches: what they send, in which order, and when they end.

use serde_json::{Value, json};

use super::{CANARIES, Cluster, DEPLOYMENTS, Watching, canary, deployment};

#[tokio::test]
async fn a_watch_sees_the_changes_after_the_list_in_their_order() {
    let cluster = Cluster::start().await;
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let mut watch = cluster.watch(CANARIES, &cluster.version(CANARIES).await).await;
    cluster.api.patch("Canary", "prod", "podinfo", &json!({ "status": { "phase": "Progressing" } })).unwrap();
    cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.5.0")).unwrap();
    cluster.api.apply(canary("dev", "podinfo")).unwrap();
    cluster.api.delete("Canary", "prod", "podinfo");
    let first = watch.try_next().await.unwrap().unwrap();
    assert_eq!(first["type"], "MODIFIED");
    assert_eq!(
        (&first["object"]["kind"], &first["object"]["status"]["phase"]),
        (&json!("Canary"), &json!("Progressing"))
    );
    assert_eq!(watch.next().await, "ADDED dev/podinfo 4");
    assert_eq!(watch.next().await, "DELETED prod/podinfo 5");
    let mut built_in = cluster.watch(DEPLOYMENTS, "1").await;
    assert_eq!(built_in.try_next().await.unwrap().unwrap()["object"]["kind"], "Deployment");
}

#[tokio::test]
async fn a_watch_from_an_older_version_replays() {
    let cluster = Cluster::start().await;
    for image in ["podinfo:1", "podinfo:2", "podinfo:3"] {
        cluster.api.apply(deployment("prod", "podinfo", image)).unwrap();
        cluster.api.apply(deployment("dev", "podinfo", image)).unwrap();
    }
    let mut watch = cluster.watch("/apis/apps/v1/namespaces/prod/deployments", "1").await;
    assert_eq!(watch.next().await, "MODIFIED prod/podinfo 3");
    assert_eq!(watch.next().await, "MODIFIED prod/podinfo 5");
    let mut from_nothing = cluster.watch(DEPLOYMENTS, "0").await;
    assert_eq!(from_nothing.next().await, "ADDED dev/podinfo 6");
    assert_eq!(from_nothing.next().await, "ADDED prod/podinfo 5");
    cluster.api.delete("Deployment", "prod", "podinfo");
    assert_eq!(watch.next().await, "DELETED prod/podinfo 7");
    assert_eq!(from_nothing.next().await, "DELETED prod/podinfo 7");
}

#[tokio::test]
async fn a_version_that_is_no_longer_known_is_gone() {
    let cluster = Cluster::start().await;
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let mut open = cluster.watch(CANARIES, "1").await;
    cluster.api.expire_watches();
    assert_eq!(open.next().await, "ERROR 410 too old resource version: 1 (2)");
    assert_eq!(open.next().await, "end");
    let mut old = cluster.watch(CANARIES, "1").await;
    let error = old.try_next().await.unwrap().unwrap();
    assert_eq!(
        error,
        json!({ "type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
        } })
    );
    assert_eq!(old.next().await, "end");
    let mut new = cluster.watch(CANARIES, &cluster.version(CANARIES).await).await;
    cluster.api.apply(canary("dev", "podinfo")).unwrap();
    assert_eq!(new.next().await, "ADDED dev/podinfo 3");
}

#[tokio::test]
async fn the_history_has_an_end() {
    let cluster = Cluster::start().await;
    for replicas in 0..10_002 {
        let mut canary = canary("prod", "podinfo");
        canary["spec"]["replicas"] = replicas.into();
        cluster.api.apply(canary).unwrap();
    }
    assert_eq!(cluster.watch(CANARIES, "1").await.next().await, "ERROR 410 too old resource version: 1 (2)");
    assert_eq!(cluster.watch(CANARIES, "2").await.next().await, "MODIFIED prod/podinfo 3");
}

/// Time passes only while everything waits.
#[tokio::test(start_paused = true)]
async fn a_watch_ends_in_time_and_bookmarks_say_how_far_it_came() {
    let cluster = Cluster::start().await;
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let query = format!("{DEPLOYMENTS}?watch=true&resourceVersion=1&timeoutSeconds=90");
    let response = cluster.send("GET", &format!("{query}&allowWatchBookmarks=true"), None).await;
    let mut watch = Watching { response, read: Vec::new() };
    let bookmark: Value = watch.try_next().await.unwrap().unwrap();
    assert_eq!(
        bookmark,
        json!({ "type": "BOOKMARK", "object": {
            "kind": "Deployment", "apiVersion": "apps/v1", "metadata": { "resourceVersion": "1" },
        } })
    );
    assert_eq!(watch.next().await, "BOOKMARK / 1");
    assert_eq!(watch.next().await, "end");
    let response = cluster.send("GET", &query, None).await;
    assert_eq!(Watching { response, read: Vec::new() }.next().await, "end");
}

#[tokio::test]
async fn streaming_lists_are_refused_as_by_a_server_without_them() {
    let cluster = Cluster::start().await;
    let (status, refused) = cluster.get(&format!("{CANARIES}?watch=1&sendInitialEvents=true")).await;
    assert_eq!((status, &refused["reason"]), (422, &json!("Invalid")));
    assert_eq!(
        refused["message"],
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for \
         watch unless the WatchList feature gate is enabled"
    );
    let (status, _) = cluster.get(&format!("{CANARIES}?watch=1&resourceVersion=new")).await;
    assert_eq!(status, 400);
}
