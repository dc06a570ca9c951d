//! Kubernetes Events on the Canary name its tickets.

use std::time::Duration;

use fake_jira::{Flavour, MIA};

use crate::world::{World, cluster::Cluster};

crate::world::crash::crash_tests!(each_event_is_published_once, a_rejection_is_published);

/// Type, reason and note of each Event on the Canary, in the order of their times. As `kubectl describe` does, it takes
/// only those with the Canary's uid.
fn described(cluster: &Cluster) -> Vec<String> {
    let canary = cluster.api.object("Canary", "shop", "cart").unwrap();
    let on_canary = |event: &serde_json::Value| event["regarding"]["uid"] == canary["metadata"]["uid"];
    let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
    let mut events: Vec<_> = cluster.api.events().into_iter().filter(on_canary).collect();
    events.sort_by_key(|event| text(event, "eventTime"));
    let events = events.iter();
    events.map(|it| ["type", "reason", "note"].map(|field| text(it, field)).join(" ")).collect()
}

async fn starts(settings: &str) -> (Cluster, World) {
    let cluster = Cluster::start().await;
    cluster.is_in_phase("Progressing");
    let world = World::start_with(Flavour::Cloud, &format!("{}\n{settings}", cluster.settings("show"))).await;
    (cluster, world)
}

/// The reasons of the Events.
fn reasons(cluster: &Cluster) -> Vec<String> {
    described(cluster).iter().map(|event| event.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_event_is_published_once() {
    let (cluster, world) = starts("").await;
    let key = world.promotion_waits().await;
    world.run_worker().await;
    assert_eq!(reasons(&cluster), ["ApprovalRequested"]);
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    world.run_worker().await;
    let url = world.jira.base_url();
    assert_eq!(
        described(&cluster),
        [
            format!(
                "Normal ApprovalRequested confirm-promotion is waiting for the approval of {key}: {url}/browse/{key}"
            ),
            format!("Normal Approved Mia Change approved {key} for confirm-promotion: {url}/browse/{key}"),
        ]
    );
    for _ in 0..5 {
        world.promotes().await;
        world.run_worker().await;
    }
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Approved"]);
    assert_eq!(cluster.api.complaints(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_rejection_is_published() {
    let (cluster, world) = starts("").await;
    let key = world.promotion_waits().await;
    world.decides(&key, "Rejected").await;
    world.promotes().await;
    world.run_worker().await;
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Rejected"]);
    world.finish().await;
}

#[tokio::test]
async fn an_approval_that_does_not_count_is_published() {
    let (cluster, world) = starts(&format!("approval.deny = [\"{MIA}\"]")).await;
    let key = world.promotion_waits().await;
    world.decides(&key, "Approved").await;
    world.run_worker().await;
    let events = described(&cluster);
    assert!(
        events[1].starts_with(&format!(
            "Warning ApprovalNotCounted The approval of {key} for confirm-promotion does not count: "
        )),
        "{events:?}"
    );
    world.finish().await;
}

#[tokio::test]
async fn an_approval_that_expired_is_published() {
    let (cluster, world) = starts("approval.valid_for = \"1h\"").await;
    let key = world.promotion_waits().await;
    world.decides(&key, "Approved").await;
    world.run_worker().await;
    world.advance(Duration::from_secs(2 * 3600));
    world.run_worker().await;
    world.promotes().await;
    world.run_worker().await;
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Approved", "ApprovalExpired"]);
    world.finish().await;
}

#[tokio::test]
async fn a_success_without_approval_is_published() {
    let (cluster, world) = starts("").await;
    let key = world.promotion_waits().await;
    world.reports("/post-rollout", "Succeeded", "new").await;
    world.run_worker().await;
    let events = described(&cluster);
    let url = world.jira.base_url();
    assert_eq!(
        events[1],
        format!(
            "Warning ShippedWithoutApproval A version is running although {key} did not open confirm-promotion: {url}/browse/{key}"
        )
    );
    world.finish().await;
}

/// While the API server is away, tickets are opened, read and commented on as always.
#[tokio::test]
async fn an_api_server_that_is_away_delays_only_events() {
    let (cluster, world) = starts("").await;
    cluster.api.unavailable(true);
    let key = world.promotion_waits().await;
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    world.reports("/post-rollout", "Succeeded", "new").await;
    world.run_worker().await;
    assert!(world.jira.issue(&key).unwrap().labels.iter().any(|label| label == "flagger-ended"));
    assert_eq!(described(&cluster), Vec::<String>::new());
    cluster.api.unavailable(false);
    world.advance(Duration::from_secs(3600));
    world.run_worker().await;
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Approved"]);
    world.finish().await;
}

/// A missing right is shown, and what was not published is published once there is one.
#[tokio::test]
async fn a_missing_right_is_shown() {
    let (cluster, world) = starts("").await;
    cluster.api.forbid("create", "events", None);
    let key = world.promotion_waits().await;
    world.decides(&key, "Approved").await;
    assert_eq!(world.promotes().await.status, 200);
    world.run_worker().await;
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("publish an Event on the Canary"), "{page}");
    assert!(page.contains("cannot create resource"), "{page}");
    cluster.api.allow("create", "events", None);
    world.restarts().await;
    world.run_worker().await;
    assert_eq!(reasons(&cluster), ["ApprovalRequested", "Approved"]);
    world.finish().await;
}

/// Nothing is published if that is turned off, or the Canary is deleted.
#[tokio::test]
async fn nothing_is_published_where_nobody_wants_it() {
    let (cluster, world) = starts("kubernetes.events = false").await;
    world.promotion_waits().await;
    world.run_worker().await;
    assert_eq!(cluster.api.events(), Vec::<serde_json::Value>::new());
    world.finish().await;

    let (cluster, world) = starts("").await;
    assert!(cluster.api.delete("Canary", "shop", "cart"));
    world.promotion_waits().await;
    world.run_worker().await;
    assert_eq!(cluster.api.events(), Vec::<serde_json::Value>::new());
    assert_eq!(world.count("outbox").await, 0);
    world.finish().await;
}
