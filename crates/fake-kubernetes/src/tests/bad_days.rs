//! A server that is away, that says nothing, that lags, or that restarts.

use std::sync::Arc;

use serde_json::json;

use super::{CANARIES, Cluster, DEPLOYMENTS, canary, deployment};

const PODINFO: &str = "/apis/apps/v1/namespaces/prod/deployments/podinfo";

#[tokio::test]
async fn a_get_tells_the_truth_while_watches_lag() {
    let cluster = Cluster::start().await;
    cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.4.0")).unwrap();
    let mut watch = cluster.watch(DEPLOYMENTS, "1").await;
    cluster.api.hold();
    let pushed = cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.5.0")).unwrap();
    assert_eq!(cluster.get(PODINFO).await, (200, pushed));
    let mut other = cluster.watch(DEPLOYMENTS, &cluster.version(DEPLOYMENTS).await).await;
    cluster.api.close_watches();
    assert_eq!(watch.next().await, "end", "nothing before the end");
    assert_eq!(other.next().await, "end");
    let mut watch = cluster.watch(DEPLOYMENTS, "1").await;
    cluster.api.apply(deployment("prod", "podinfo", "podinfo:6.6.0")).unwrap();
    cluster.api.release();
    assert_eq!(watch.next().await, "MODIFIED prod/podinfo 2");
    assert_eq!(watch.next().await, "MODIFIED prod/podinfo 3");
}

#[tokio::test]
async fn a_restart_ends_watches_and_loses_nothing() {
    let cluster = Cluster::start().await;
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let mut watch = cluster.watch(CANARIES, "1").await;
    cluster.api.close_watches();
    cluster.api.apply(canary("dev", "podinfo")).unwrap();
    assert_eq!(watch.next().await, "end");
    assert_eq!(cluster.watch(CANARIES, "1").await.next().await, "ADDED dev/podinfo 2");
}

#[tokio::test]
async fn an_unavailable_server_answers_503_and_cuts_watches() {
    let cluster = Cluster::start().await;
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let mut watch = cluster.watch(CANARIES, "0").await;
    assert_eq!(watch.next().await, "ADDED prod/podinfo 1");
    cluster.api.unavailable(true);
    assert!(watch.try_next().await.is_err());
    for path in [CANARIES.to_owned(), PODINFO.to_owned(), format!("{CANARIES}?watch=true")] {
        let (status, answer) = cluster.get(&path).await;
        assert_eq!((status, &answer["reason"]), (503, &json!("ServiceUnavailable")), "{path}");
    }
    cluster.api.unavailable(false);
    assert_eq!(cluster.get(CANARIES).await.0, 200);
}

#[tokio::test]
async fn a_hanging_server_answers_nothing_until_it_goes_on() {
    let cluster = Arc::new(Cluster::start().await);
    cluster.api.apply(canary("prod", "podinfo")).unwrap();
    let mut watch = cluster.watch(CANARIES, "1").await;
    cluster.api.hang(true);
    cluster.api.clear_requests();
    cluster.api.patch("Canary", "prod", "podinfo", &json!({ "status": { "phase": "Failed" } })).unwrap();
    let get = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.get(CANARIES).await }
    });
    while cluster.api.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(cluster.api.requests()[0].status, None);
    assert!(!get.is_finished());
    cluster.api.hang(false);
    assert_eq!(get.await.unwrap().0, 200);
    assert_eq!(watch.next().await, "MODIFIED prod/podinfo 2");
    cluster.api.hang(true);
    cluster.api.close_watches();
    assert_eq!(watch.next().await, "end");
}
