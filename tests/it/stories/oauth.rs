//! A service account of Cloud with an OAuth client: its access tokens end, are refused, or cannot be fetched.

use std::time::Duration;

use fake_jira::{Fault, Flavour, Operation, Times};

use crate::world::{World, log::Log};

crate::world::crash::crash_tests!(a_rollout_while_access_tokens_end);

const CLIENT: &str = "k3Ff0aT5x9";
const SECRET: &str = "the-swordfish-of-the-client";

/// A bridge whose account is a service account, with further settings.
async fn world(settings: &str) -> World {
    let mut world = World::prepare(Flavour::Cloud, settings).await;
    world.jira.set_oauth_client(CLIENT, SECRET);
    let url = world.jira.base_url();
    let kept = world
        .settings
        .lines()
        .filter(|line| !line.starts_with("jira.user = ") && !line.starts_with("jira.token = "));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    world.settings = format!(
        "jira.oauth = {{ client_id = \"{CLIENT}\", client_secret = \"{SECRET}\", token_url = \"{url}/oauth/token\", \
         api_url = \"{url}\" }}\n{kept}"
    );
    world.start_processes().await;
    world
}

#[tokio::test]
async fn a_rollout_while_access_tokens_end() {
    let world = world("ticket.transitions = { succeeded = \"Done\" }").await;
    let ticket = world.promotion_waits().await;
    // What people read leads to the site.
    let answer = world.promotes().await;
    let link = format!("{}/browse/{ticket}", world.jira.base_url());
    assert!(answer.body.contains(&link), "{}", answer.body);
    world.jira.expire_access_tokens();
    world.decides(&ticket, "Approved").await;
    world.promotion_is_open().await;
    // A new token that does not count either would be replaced only some seconds later.
    world.advance_all_clocks(Duration::from_mins(1)).await;
    world.jira.expire_access_tokens();
    world.reports("/event", "Succeeded", "new").await;
    world.run_worker().await;
    // What Jira refused with the old token is tried again a moment later.
    world.drain_outbox().await;
    assert_eq!(world.jira.issue(&ticket).unwrap().status, "Done");
    assert_eq!(world.tickets().len(), 1);
    world.finish().await;
}

/// Nothing can be fetched: as if Jira were down.
#[tokio::test]
async fn a_token_endpoint_that_is_down() {
    let (log, _guard) = Log::start();
    let world = world("jira.trust_for = \"2m\"").await;
    let ticket = world.promotion_approved().await;
    world.promotion_is_open().await;
    world.jira.expire_access_tokens();
    world.jira.fault(Operation::AccessToken, Fault::Dropped, Times::Always);
    world.advance(Duration::from_secs(100));
    world.run_worker().await;
    world.promotion_is_open().await;
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("cannot get an access token for Jira from 127.0.0.1"), "{page}");
    world.advance(Duration::from_secs(100));
    world.run_worker().await;
    world.promotion_is_closed("cannot get an access token").await;
    let metrics = world.sends(world.admin("GET", "/metrics")).await.body;
    let failed = "jira_request_seconds_count{operation=\"access_token\",status=\"error\"} 1\n";
    assert!(metrics.contains(failed), "{metrics}");

    world.jira.clear_faults();
    world.advance_all_clocks(Duration::from_mins(1)).await;
    world.run_worker().await;
    world.promotion_is_open().await;
    let seen = world.jira.access_tokens();
    let log = log.text();
    for secret in seen.iter().map(String::as_str).chain(["access-token-", "swordfish"]) {
        assert!(!log.contains(secret) && !page.contains(secret), "{log}");
    }
    for (name, content) in world.contents().await {
        let content = String::from_utf8_lossy(&content).into_owned();
        assert!(!content.contains("access-token-"), "{name}");
    }
    assert!(page.contains(&ticket));
    world.finish().await;
}

/// The secret is revoked: approvals already seen hold for a while, and the page says what to do.
#[tokio::test]
async fn a_client_whose_secret_is_revoked() {
    let world = world("jira.trust_for = \"2m\"").await;
    world.promotion_approved().await;
    world.promotion_is_open().await;
    world.jira.set_oauth_client(CLIENT, "another");
    world.jira.expire_access_tokens();
    world.advance(Duration::from_secs(100));
    world.run_worker().await;
    world.promotion_is_open().await;
    let page = world.sends(world.admin("GET", "/")).await.body;
    assert!(page.contains("access_denied"), "{page}");
    assert!(page.contains("jira.oauth.client_secret"), "{page}");
    world.advance(Duration::from_secs(100));
    world.run_worker().await;
    world.promotion_is_closed("access token").await;
    world.jira.set_oauth_client(CLIENT, SECRET);
    world.advance_all_clocks(Duration::from_mins(1)).await;
    world.run_worker().await;
    world.promotion_is_open().await;
    world.finish().await;
}

/// Answers that do not name the account stay worthless, as with any token.
#[tokio::test]
async fn an_answer_without_the_account_opens_nothing() {
    let world = world("").await;
    let ticket = world.promotion_waits().await;
    world.jira.fault(Operation::BulkFetch, Fault::Stranger, Times::Always);
    world.jira.fault(Operation::GetIssue, Fault::Stranger, Times::Always);
    world.decides(&ticket, "Approved").await;
    assert_eq!(world.promotes().await.status, 403);
    world.jira.clear_faults();
    world.advance(Duration::from_mins(1));
    world.run_worker().await;
    world.promotion_is_open().await;
    world.finish().await;
}
