//! Messages to a team's channels.

use std::time::Duration;

use fake_jira::{Fault, Flavour, Operation, Times};
use serde_json::{Value, json};

use crate::world::{
    World,
    channel::{Channel, FakeChannel},
    log::Log,
    program::until,
};

crate::world::crash::crash_tests!(each_turn_of_a_gate_is_told, a_version_that_ships_without_approval);

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_turn_of_a_gate_is_told() {
    for flavour in [Flavour::Cloud, Flavour::DataCenter] {
        let channel = FakeChannel::start().await;
        let world = World::start_with(flavour, &channel.settings("json")).await;
        let key = world.promotion_waits().await;
        world.run_worker().await;
        assert_eq!(channel.events(), ["waiting"]);
        world.decides(&key, "Approved").await;
        world.promotion_is_open().await;
        world.run_worker().await;
        assert_eq!(channel.events(), ["waiting", "approved"]);
        // Taken back and given again is another turn.
        world.decides(&key, "To Do").await;
        world.decides(&key, "Approved").await;
        world.run_worker().await;
        world.decides(&key, "Rejected").await;
        for _ in 0..3 {
            world.promotes().await;
            world.run_worker().await;
        }
        assert_eq!(channel.events(), ["waiting", "approved", "approved", "rejected"]);
        world.finish().await;
    }
}

/// Exactly once, if nothing fails. Restarts repeat nothing.
#[tokio::test]
async fn a_message_says_what_people_need() {
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    let key = world.promotion_waits().await;
    world.run_worker().await;
    world.restarts().await;
    world.decides(&key, "Approved").await;
    world.run_worker().await;
    world.restarts().await;
    world.promotion_is_open().await;
    world.run_worker().await;
    let bodies = channel.bodies();
    assert_eq!(bodies.len(), 2, "{bodies:#?}");
    let id = bodies[0]["id"].as_str().unwrap().strip_suffix("-waiting").unwrap();
    let link = format!("{}/browse/{key}", world.jira.base_url());
    let expected = json!({
        "id": format!("{id}-waiting"), "event": "waiting", "at": "2026-09-21T14:13:20.000Z",
        "text": "cart is waiting for approval at confirm-promotion", "cluster": "default", "namespace": "shop",
        "canary": "cart", "stage": "confirm-promotion", "gate": null, "step": null, "ticket": { "key": key, "url": link },
        "change": null, "label": null, "by": null, "reason": null,
    });
    assert_eq!(Value::Object(expected.as_object().unwrap().clone()), bodies[0]);
    assert_eq!(bodies[1]["text"], "Mia Change approved cart at confirm-promotion");
    assert_eq!((&bodies[1]["by"], &bodies[1]["ticket"]["url"]), (&json!("Mia Change"), &json!(link)));
    world.finish().await;
}

#[tokio::test]
async fn a_version_that_ships_without_approval() {
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    world.promotion_waits().await;
    world.reports("/event", "Succeeded", "new").await;
    world.run_worker().await;
    assert_eq!(channel.events(), ["waiting", "shipped_without_approval"]);
    world.finish().await;
}

/// Only a gate that has no ticket for some time is told; a Jira that stumbles is no news.
#[tokio::test]
async fn a_gate_that_gets_no_ticket() {
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    let fault = Fault::Status { code: 503, retry_after: None, body: String::new() };
    world.jira.fault(Operation::CreateIssue, fault, Times::Once);
    world.promotes().await;
    world.run_worker().await;
    world.advance_all_clocks(MINUTE * 4).await;
    world.run_worker().await;
    world.advance_all_clocks(MINUTE * 4).await;
    world.run_worker().await;
    assert_eq!(channel.events(), ["waiting"]);

    let body = r#"{"errorMessages":["The project is archived."],"errors":{}}"#.to_owned();
    world.jira.fault(
        Operation::CreateIssue,
        Fault::Status { code: 400, retry_after: None, body },
        Times::Always,
    );
    world.asks("confirm-rollout", "Waiting", "new").await;
    world.run_worker().await;
    assert_eq!(channel.events(), ["waiting"]);
    for _ in 0..3 {
        world.advance(MINUTE * 3);
        world.run_worker().await;
    }
    let last = channel.bodies().pop().unwrap();
    assert_eq!((&last["event"], &last["stage"]), (&json!("stuck"), &json!("confirm-rollout")));
    assert!(last["reason"].as_str().is_some_and(|why| !why.is_empty()), "{last}");
    assert_eq!(channel.events(), ["waiting", "stuck"]);
    world.jira.clear_faults();
    world.advance(MINUTE * 61);
    world.ticks().await;
    world.run_worker().await;
    assert_eq!(channel.events(), ["waiting", "stuck", "waiting"]);
    world.finish().await;
}

/// Each channel that matches gets the message, in its format.
#[tokio::test]
async fn channels_are_told_about_their_gates() {
    let [slack, teams, other] =
        [FakeChannel::start().await, FakeChannel::start().await, FakeChannel::start().await];
    let for_shop = |channel: &FakeChannel, format: &str, pattern: &str| {
        channel.settings(format).replace("url =", &format!("match = {{ {pattern} }}\nurl ="))
    };
    let settings = [
        for_shop(&slack, "slack", "namespace = \"sh*\", stage = \"confirm-promotion\""),
        for_shop(&teams, "teams", "canary = \"cart\""),
        for_shop(&other, "json", "namespace = \"payments\""),
    ]
    .concat();
    let world = World::start_with(Flavour::DataCenter, &settings).await;
    let key = world.promotion_waits().await;
    world.run_worker().await;
    world.asks("confirm-rollout", "Waiting", "new").await;
    world.run_worker().await;
    let url = world.jira.base_url();
    assert_eq!(
        slack.texts(),
        [format!(
            "`cart` is waiting for approval at `confirm-promotion`: <{url}/browse/{key}|{key}>\n*Cluster:* `default`\n\
             *Namespace:* `shop`"
        )]
    );
    let cards = teams.bodies();
    assert_eq!(cards.len(), 2, "{cards:#?}");
    let card = &cards[0]["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["actions"][0]["url"], json!(format!("{url}/browse/{key}")));
    assert_eq!(other.bodies(), Vec::<Value>::new());
    world.finish().await;
}

/// The channel was archived: its message is parked, shown, and sent when the address is right. Jira's commands go on.
#[tokio::test]
async fn a_channel_that_refuses() {
    let (log, _guard) = Log::start();
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("slack")).await;
    channel.does(Channel::Answers(404, &[("content-type", "text/plain")], "no_service"));
    let key = world.promotion_waits().await;
    world.run_worker().await;
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("127.0.0.1 answered 404: no_service"), "{page}");
    assert!(page.contains("send a message to a channel"), "{page}");
    world.ticks().await;
    let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
    assert!(metrics.contains("messages_total{format=\"slack\",outcome=\"refused\"} 1\n"), "{metrics}");
    assert!(metrics.contains("outbox_rows{state=\"parked\"} 1\n"), "{metrics}");
    world.decides(&key, "Approved").await;
    world.promotion_is_open().await;
    world.reports("/event", "Succeeded", "new").await;
    world.run_worker().await;
    let comments = world.jira.issue(&key).unwrap().comments;
    assert!(comments.iter().any(|comment| comment.body.to_string().contains("succeeded")), "{comments:?}");
    channel.does(Channel::Takes);
    world.advance(MINUTE * 61);
    world.ticks().await;
    world.run_worker().await;
    let taken: Vec<String> = channel.texts().split_off(2);
    assert!(taken.len() == 2 && taken[0].contains("waiting") && taken[1].contains("approved"), "{taken:#?}");
    let (log, page) = (log.text(), world.sends(world.admin("GET", "/")).await.body);
    assert!(!log.contains("swordfish-of-the-channel") && !page.contains("swordfish"), "{log}");
    world.finish().await;
}

/// It asks to wait, and is waited for.
#[tokio::test]
async fn a_channel_that_asks_to_wait() {
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    channel.does(Channel::Answers(429, &[("retry-after", "300")], ""));
    world.promotion_waits().await;
    world.run_worker().await;
    channel.does(Channel::Takes);
    world.advance(MINUTE * 4);
    world.run_worker().await;
    assert_eq!(channel.bodies().len(), 1);
    world.advance(MINUTE * 3);
    world.run_worker().await;
    assert_eq!(channel.bodies().len(), 2);
    world.finish().await;
}

/// A redirect could lead anywhere: the message is not sent after it.
#[tokio::test]
async fn a_channel_that_redirects() {
    let (channel, elsewhere) = (FakeChannel::start().await, FakeChannel::start().await);
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    let to: &'static str = Box::leak(elsewhere.url().to_owned().into_boxed_str());
    let headers: &'static [(&str, &str)] = Box::leak(Box::new([("location", to)]));
    channel.does(Channel::Answers(307, headers, ""));
    world.promotion_waits().await;
    world.run_worker().await;
    assert_eq!((channel.bodies().len(), elsewhere.bodies().len()), (1, 0));
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("answered 307, a redirect"), "{page}");
    channel.does(Channel::Takes);
    world.advance(MINUTE * 61);
    world.ticks().await;
    world.finish().await;
}

/// Nothing of an earlier configuration is left if its channels are gone.
#[tokio::test]
async fn a_channel_that_is_gone() {
    let channel = FakeChannel::start().await;
    let mut world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    channel.does(Channel::Answers(410, &[], ""));
    world.promotion_waits().await;
    world.run_worker().await;
    assert_ne!(world.count("outbox").await, 0);
    world.settings = world.settings.replace(&channel.settings("json"), "");
    world.restarts().await;
    world.advance(MINUTE * 2);
    world.ticks().await;
    world.run_worker().await;
    assert_eq!(world.count("outbox").await, 0);
    world.finish().await;
}

/// A channel that never answers holds up neither Jira's commands of the same gate nor those of others.
#[tokio::test]
async fn a_silent_channel_delays_nothing_in_jira() {
    let channel = FakeChannel::start().await;
    let world = World::start_with(Flavour::Cloud, &channel.settings("json")).await;
    channel.does(Channel::Holds);
    let working = world.starts_worker().await;
    world.promotes().await;
    until("the channel has the message", async || channel.bodies().len() == 1).await;
    let key = world.newest();
    world.reports("/post-rollout", "Failed", "new").await;
    until("the ticket is told how its rollout ended", async || {
        world.jira.issue(&key).unwrap().comments.iter().any(|it| it.body.to_string().contains("failed"))
    })
    .await;
    channel.does(Channel::Takes);
    until("nothing is left", async || world.count("outbox").await == 0).await;
    assert_eq!(channel.events(), ["waiting"]);
    working.stop().await;
    world.finish().await;
}
